"""Weigh the thesaurus: how often a passage that answers holds another word than the question's.

    python -m train.thesaurus --data DATA

``train/thesaurus.txt`` has a word a line, ``word：same same|near near``: what people say and what texts say for it. Of each pair, both
ways, the chance is counted over training questions whose passage does not hold the word itself; pairs that are seen seldom have the
mean chance of their kind, and those that say nothing are left out. Contexts held out for the answerer (:func:`train.rows.split`) are not read.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from index.lexical import tokens
from index.text import fold
from index.thesaurus import DEFAULT, LONGEST, Thesaurus, log_odds
from train import data as sets
from train.leaks import refuse_leaks
from train.rows import split

WRITTEN = Path(__file__).with_name("thesaurus.txt")
SOURCES = ("asked", "followups", "counterterror_news.train", "ncp_policy.train", "dureader_qg.dev", "cjrc.dev", "webqa.test")  # people's own words
PRIOR, LEAST, LIFT = 10, 0.02, 1.5  # questions that a kind's mean counts for; the least chance, and how often the base one, of what is kept
TOLD_PRIOR = 8


def written(path: Path = WRITTEN) -> dict[str, dict[str, str]]:
    """``{word: {other: kind}}``, both ways; a kind is ``same`` or ``near``, ``-`` behind it for the way back. Words alone on a line have none."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in path.read_text("utf-8").splitlines():
        word, _, others = line.split("#")[0].partition("：")
        word = fold(word.strip())
        if not 0 < len(word) <= LONGEST:
            continue
        found[word]
        for part, kind in zip(others.split("|"), ("same", "near"), strict=False):
            for other in (fold(o.strip("，、,；;")) for o in part.split()):
                if 0 < len(other) <= LONGEST and other != word and tokens(other):
                    for a, b, way in ((word, other, kind), (other, word, f"{kind}-")):
                        found[a][b] = min(way, found[a].get(b, "~"), key=("same", "same-", "near", "near-", "~").index)
    return found


def held(texts: Iterable[str], words: set[str]) -> dict[str, set[str]]:
    """Which of ``words`` each text holds."""
    found = {}
    for text in texts:
        folded = fold(text)
        found[text] = {part for n in range(1, LONGEST + 1) for part in (folded[i : i + n] for i in range(len(folded) - n + 1)) if part in words}
    return found


def weigh(words: dict[str, dict[str, str]], asked: Sequence[tuple[str, str]]) -> Thesaurus:
    """The thesaurus of ``words`` with chances counted over ``asked``, ``(question, passage that answers it)``."""
    parted = Thesaurus({word: dict.fromkeys(others, (0.5, 0.5)) for word, others in words.items()}, {})
    holds = held(dict.fromkeys(passage for _, passage in asked), set(words))
    base = Counter(word for found in holds.values() for word in found)
    missed: Counter[str] = Counter()  # questions with the word whose passage does not hold it
    instead: Counter[tuple[str, str]] = Counter()
    for question, passage in asked:
        found, folded = holds[passage], fold(question)
        for start, end, others in parted.phrases(question):
            if (word := folded[start:end]) not in found:
                missed[word] += 1
                instead.update((word, o.word) for o in others if o.word in found)
    seen: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for word, row in words.items():
        for other, kind in row.items():
            counts = seen[kind, min(len(other), 4)]
            counts[0] += missed[word]
            counts[1] += instead[word, other]
    chances: dict[str, dict[str, tuple[float, float]]] = {}
    for word, row in words.items():
        chances[word] = {}
        for other, kind in row.items():
            times, hits = seen[kind, min(len(other), 4)]
            chance = (instead[word, other] + PRIOR * (hits + 1) / (times + 10)) / (missed[word] + PRIOR)
            usual = max(base[other], 0.5) / (len(holds) or 1)
            if chance >= LEAST and chance > LIFT * usual:
                chances[word][other] = (round(min(chance, 0.95), 3), round(min(usual, 0.9), 5))
    return Thesaurus(chances, told(asked))


def told(asked: Sequence[tuple[str, str]], least: float = 0.2) -> dict[str, float]:
    """As :attr:`Thesaurus.told`: for tokens that differ from the average by ``least``."""
    holds: dict[str, set[str]] = {}
    times: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for question, passage in asked:
        inside = holds[passage] if passage in holds else holds.setdefault(passage, set(tokens(passage)))
        found = set(tokens(question))
        times.update(found)
        hits.update(found & inside)
    result = {}
    for one in (True, False):
        group = [t for t in times if (len(t) == 1) == one]
        mean = min(0.999, max(0.001, sum(hits[t] for t in group) / max(1, sum(times[t] for t in group))))
        for token in group:
            chance = (hits[token] + TOLD_PRIOR * mean) / (times[token] + TOLD_PRIOR)
            shift = log_odds(min(0.999, max(0.001, chance))) - log_odds(mean)
            if times[token] >= 5 and abs(shift) >= least:
                result[token] = round(shift, 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.thesaurus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    args = parser.parse_args()
    refuse_leaks(args.data)
    trained, _ = split(sets.reading(args.data))
    found = weigh(written(), [(x.question, x.context) for x in trained if x.source in SOURCES and x.answer])
    print(json.dumps({"words": len(found.words), "others": sum(map(len, found.words.values())), "told": len(found.told)}))
    text = json.dumps({"words": found.words, "told": found.told}, ensure_ascii=False, separators=(",", ":"))
    args.out.write_text(text.replace("},", "},\n"), "utf-8")


if __name__ == "__main__":
    main()
