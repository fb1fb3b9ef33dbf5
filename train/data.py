"""Reading the training data: one place that knows its files, and that keeps the gold and the benchmarks out of it.

    python -m train.data --data DATA eval/gold/paraphrases.jsonl > paraphrases.jsonl
    python -m train.data --data DATA eval/gold/lists.jsonl --to lists

writes questions kept by reference out with their excerpts, for `python -m eval reader` and `retrieval`, or as
documents and gold for `python -m eval run --gold lists/gold.jsonl --docs lists/docs`.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from index.text import fold
from qa.citations import proving_span
from train.protected import GOLD, SEEDS, guard, lines
from train.protected import normalised as normalised

READING = (
    "cmrc2018.train", "cmrc2018.trial", "drcd.dev", "cjrc.dev", "ncp_policy.train",
    "counterterror_news.train", "dureader_qg.dev", "webqa.test",
    "squad11_zh_mt.dev", "squad2_zh_mt.dev",
)
ASKED = Path(__file__).with_name("asked.jsonl")  # questions of our own on the texts, by reference
HELD = ASKED.with_name("held.jsonl")  # questions of yes and no, for calibrating alone
FOLLOWUPS = ASKED.with_name("followups.jsonl")  # questions that lean on a turn before, by reference
TEXTS = ("xwlb_cctv_2012_2026", "crud_rag_docs", "gov_work_reports_1954_2026", "laws_regulations")
PAIRS = ("crud_event_title_news", "simclue_triples", "csts_paraphrase", "qbqtc")


@dataclass(frozen=True)
class Example:
    """One question on one context. ``start`` is -1 where the context holds no answer."""

    source: str
    title: str
    context: str
    question: str
    answer: str
    start: int
    kind: str = ""  # of our own questions: yes and no (the answer is the proof), item (one of several answers), or what is asked for
    before: tuple[str, ...] = ()  # the question and the answer that this one follows
    article: str = ""  # of our own questions: the article's key, and where the context begins there
    at: int = 0


Row = TypeVar("Row")


def sifted(
    name: str, rows: Sequence[Row], questions: Callable[[Row], Iterable[str]], text: Callable[[Row], str], of: tuple[Path, Path | None, Path | None]
) -> list[Row]:
    """``rows`` less those that ask a protected question or copy protected text; says how many those were."""
    watch = guard(*of)
    copies = watch.copies([text(row) for row in rows])
    kept = [row for number, row in enumerate(rows) if number not in copies and not any(map(watch.asks, questions(row)))]
    if len(kept) < len(rows):
        print(f"left out of {name} because the gold, a seed document or a benchmark holds them: {len(rows) - len(kept)} of {len(rows)}", flush=True)
    return kept


@lru_cache(maxsize=8)
def raw_articles(data: Path, name: str) -> list[tuple[str, str]]:
    """``(title, body)`` of each article of one text file. Dates leave the titles, empty titles stay empty. Kept in memory: do not change the list."""
    rows = []
    for line in lines(data / "text" / f"{name}.txt.zst"):
        title, _, body = line.partition("\t")
        title = re.sub(r"^(?:\d{4}[-/]\d\d[-/]\d\d)?(?: ?\d\d:\d\d(?::\d\d)?)?\s*|\(\d{4}-\d\d-\d\d\)$", "", title)
        if len(body) >= 60:
            rows.append((title, body))
    return rows


@lru_cache(maxsize=8)
def articles(data: Path, name: str, gold: Path | None = GOLD, seeds: Path | None = SEEDS) -> list[tuple[str, str]]:
    """:func:`raw_articles` less those that hold protected text (see :mod:`train.protected`). Kept in memory: do not change the list."""
    return sifted(name, raw_articles(data, name), lambda row: [row[0]], "\n".join, (data, gold, seeds))


def raw_pairs(data: Path, name: str) -> list[tuple[str, str]]:
    """``(query, positive)`` of each line of one file of pairs."""
    rows = (json.loads(line) for line in lines(data / "pairs" / f"{name}.jsonl.zst"))
    return [(row["query"], row["positive"]) for row in rows]


@lru_cache(maxsize=8)
def pairs(data: Path, name: str, gold: Path | None = GOLD, seeds: Path | None = SEEDS) -> list[tuple[str, str]]:
    """:func:`raw_pairs` less those with a protected question or text. Kept in memory: do not change the list."""
    return sifted(name, raw_pairs(data, name), lambda row: row, "\n".join, (data, gold, seeds))


def raw_reading(data: Path, name: str) -> list[Example]:
    """Every usable example of one reading set: yes/no items, and answers that are no substring of their context, are left out."""
    kept = []
    for row in map(json.loads, lines(data / "train" / f"{name}.jsonl.zst")):
        answer, start = "", -1
        if row["answerable"]:
            if row["answer_start"] < 0 or not row["answers"]:
                continue
            start = row["answer_start"]
            answer = next((a for a in row["answers"] if row["context"].startswith(a, start)), "")
            if not answer:
                continue
        kept.append(Example(name, row["title"], row["context"], row["question"], answer, start))
    return kept


def article_key(body: str) -> str:
    """What names an article in our own files: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def excerpts(data: Path, path: Path) -> list[tuple[dict[str, Any], str, str]]:
    """The lines of a file that names excerpts by text file, :func:`article_key`, offset and length (so that
    no news text is in the repository), each with the article's title and the excerpt. Those whose article is not among the texts are left out."""
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line] if path.exists() else []
    wanted = {(row["text"], row["article"]) for row in rows}
    bodies = {}
    for name in {name for name, _ in wanted}:
        for title, body in raw_articles(data, name):
            key = (name, article_key(body))
            if key in wanted:
                bodies[key] = (title, body)
    found = []
    for row in rows:
        title, body = bodies.get((row["text"], row["article"]), ("", ""))
        if excerpt := body[row["at"] : row["at"] + row["length"]]:
            found.append((row, title, excerpt))
    return found


def raw_asked(data: Path, path: Path = ASKED) -> list[Example]:
    """The questions written for this project on excerpts of the texts (``train/asked.jsonl``), source "asked".

    A line holds an excerpt's ``questions``, each ``[question, answer, kind]``, or one ``question`` with its ``answer``.
    """
    found = []
    for row, title, excerpt in excerpts(data, path):
        for question, answer, kind in row.get("questions", [(row.get("question"), row.get("answer"), row.get("kind", row.get("type")))]):
            start = excerpt.find(answer) if answer else -1
            if start >= 0 or not answer:
                found.append(Example("asked", title, excerpt, question, answer, start, kind, (), row["article"], row["at"]))
    return found


def raw_followups(data: Path, path: Path = FOLLOWUPS) -> list[Example]:
    """The dialogues written for this project: what was asked first and the follow-up in full, source "asked", and the follow-up with the
    turn before it, source "followups". Some follow-ups have no answer."""
    found = []
    for row, title, excerpt in excerpts(data, path):
        first, said = row["before"]
        turns = (("asked", first, said, ()), ("asked", row["whole"], row["answer"], ()), ("followups", row["question"], row["answer"], (first, said)))
        for source, question, answer, before in turns:
            start = excerpt.find(answer) if answer else -1
            if start >= 0 or not answer:
                kind = "followup" if before else "other"
                found.append(Example(source, title, excerpt, question, answer, start, kind, before, row["article"], row["at"]))
    return found


@lru_cache(maxsize=4)
def reading(data: Path, gold: Path | None = GOLD, seeds: Path | None = SEEDS) -> list[Example]:
    """:func:`raw_reading` of all sets, less what asks a protected question or holds protected text. Kept in memory: do not change the list."""
    of = (data, gold, seeds)
    sources = [(name, raw_reading(data, name)) for name in READING] + [("asked", raw_asked(data)), ("followups", raw_followups(data))]
    return [x for name, rows in sources for x in sifted(name, rows, lambda row: [row.question, *row.before[:1]], lambda row: row.context, of)]


def character_vocabulary(data: Path, size: int) -> list[str]:
    """The ``size`` most frequent folded characters of the training text, most frequent first; mere counts, so that nothing is left out."""
    counts: collections.Counter[str] = collections.Counter()
    for name in TEXTS:
        step = 3 if name.startswith(("xwlb", "crud")) else 1
        for i, line in enumerate(lines(data / "text" / f"{name}.txt.zst")):
            if i % step == 0:
                counts.update(fold(line))
    for name in READING:
        for row in map(json.loads, lines(data / "train" / f"{name}.jsonl.zst")):
            counts.update(fold(row["question"] + row["context"]))
    for c in range(0x21, 0x7F):
        counts[fold(chr(c))] += 1
    return [c for c, _ in counts.most_common() if not c.isspace()][:size]


def write_gold(data: Path, path: Path, out: Path, whole: bool = False) -> int:
    """Write the excerpts that ``path`` asks about to ``out``/docs and its questions to ``out``/gold.jsonl; returns how many these are.

    With ``whole`` follow-ups are asked in full, without what came before. Questions whose article is not among the texts are left out.
    """
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    found = {(x.question, len(x.context)): x for x in raw_asked(data, path)}
    (out / "docs").mkdir(parents=True, exist_ok=True)
    asked = [(row, x) for row in rows if (x := found.get((row["question"], row["length"])))]
    docs = {f"{row['article']}-{row['at']}-{row['length']}.txt": x for row, x in asked}
    for name, x in docs.items():
        (out / "docs" / name).write_text(f"{x.title}\n{x.context}\n", "utf-8")
    gold = []
    for row, x in asked:
        evidence = x.context[slice(*proving_span(x.context, x.start, x.start + len(x.answer), 0, len(x.context)))] if x.answer else ""
        item = {"id": row["id"], "question": row["whole"] if whole and "whole" in row else row["question"], "answers": row["answers"], "type": row["type"]}
        holding = [name for name, other in docs.items() if other.article == x.article and evidence in other.context]  # excerpts may overlap
        item |= {"doc": holding if x.answer else [], "evidence": evidence, "answerable": bool(x.answer)}
        gold.append(item if whole else item | {"history": row.get("history", [])})
    (out / "gold.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in gold), "utf-8")
    return len(gold)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="questions by reference, as train/asked.jsonl")
    parser.add_argument("--data", type=Path, required=True, help="the folder with text/")
    parser.add_argument("--to", type=Path, help="write documents and gold to this folder")
    parser.add_argument("--whole", action="store_true", help="with --to: follow-ups asked in full")
    args = parser.parse_args()
    if args.to:
        print(f"{write_gold(args.data, args.file, args.to, args.whole)} questions in {args.to / 'gold.jsonl'}, their documents in {args.to / 'docs'}")
        return
    for number, x in enumerate(raw_asked(args.data, args.file), 1):
        row = {"id": f"{args.file.stem}-{number}", "title": x.title, "context": x.context, "question": x.question}
        print(json.dumps({**row, "answers": [x.answer] if x.answer else [], "answerable": bool(x.answer)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
