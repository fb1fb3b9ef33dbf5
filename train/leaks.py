"""The leak check: does anything that training reads hold a gold or benchmark question, or a passage of theirs?

    python -m train.leaks --data DATA

:mod:`train.data` leaves such rows out; this looks again at what it hands on. Without --data only the committed material
is checked. The exit code is 1 where a leak is left, 2 where DATA cannot be read.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train import data as sets
from train.protected import GOLD, ROOT, SEEDS, Guard, guard, normalised

# What is committed and shapes the answers: no gold question or passage may stand in there.
COMMITTED = ("train/*.py", "train/*.jsonl", "train/*.txt", "index/synonyms.txt", "qa/places.txt", "models/*/calibration.json")
OWN = ("asked", "followups")  # what sets.reading calls our own questions
MISSING = (
    "{data} has no text/, train/ and pairs/, so only the committed files were checked for leaks. "
    "Name the folder of the training data with --data (make leaks DATA=…); train/LOG.md says what belongs in it."
)


@dataclass(frozen=True)
class Leak:
    """A row of the set (or file) ``where`` that holds the protected ``shared`` (normalised), as a "question" or in its "text", or whose
    "excerpt", named by ``shared``, overlaps one of the gold."""

    where: str
    kind: str
    source: str
    shared: str


Set = tuple[str, list[Sequence[str]], list[str]]  # name, the questions of each row, the text of each row


def find_leaks(data: Path, gold: Path | None = GOLD, seeds: Path | None = SEEDS, raw: bool = False) -> list[Leak]:
    """The leaks in everything that training reads, after the filter of :mod:`train.data`; with ``raw`` before it.

    A leak is a question that is a gold or benchmark question of more than 12 normalised characters, or a text that holds a whole
    gold evidence (15 and more) or 30 characters in a row of a benchmark's context or a seed document. Raises OSError, ValueError.
    """
    watch = guard(data, gold, seeds)
    return [leak for name, questions, texts in _sets(data, gold, seeds, raw) for leak in _in_set(watch, name, questions, texts)]


def _in_set(watch: Guard, name: str, questions: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Leak]:
    asked = [Leak(name, "question", "", normalised(q)) for row in questions for q in row if watch.asks(q)]
    return asked + [Leak(name, "text", copy.source, copy.run) for copy in watch.copies(texts).values()]


def _sets(data: Path, gold: Path | None, seeds: Path | None, raw: bool) -> Iterator[Set]:
    for name in sets.TEXTS:
        articles = sets.raw_articles(data, name) if raw else sets.articles(data, name, gold, seeds)
        yield name, [[title] for title, _ in articles], ["\n".join(row) for row in articles]
    for name in sets.PAIRS:
        pairs = sets.raw_pairs(data, name) if raw else sets.pairs(data, name, gold, seeds)
        yield name, list(pairs), ["\n".join(row) for row in pairs]
    own = sets.raw_asked(data) + sets.raw_followups(data) if raw else sets.reading(data, gold, seeds)
    for name in (*sets.READING, *OWN):
        examples = sets.raw_reading(data, name) if raw and name not in OWN else [x for x in own if x.source == name]
        yield name, [[x.question, *x.before[:1]] for x in examples], [x.context for x in examples]


def committed_leaks(root: Path = ROOT, gold: Path | None = GOLD, seeds: Path | None = SEEDS) -> list[Leak]:
    """The leaks in the files of ``root`` that are ``COMMITTED``; a question counts wherever it stands in them."""
    watch = guard(None, gold, seeds)
    found = []
    for path in sorted(path for pattern in COMMITTED for path in root.glob(pattern)):
        name, text = path.relative_to(root).as_posix(), path.read_text("utf-8")
        said = normalised(text)
        found += [Leak(name, "question", "", q) for q in sorted(watch.questions) if q in said]
        found += [Leak(name, "text", copy.source, copy.run) for copy in watch.copies([text]).values()]
    return found + (_shared_excerpts(root, gold) if gold else [])


def _shared_excerpts(root: Path, gold: Path) -> list[Leak]:
    """Excerpts of ``train/*.jsonl`` that overlap one that the gold asks about, both kept by reference: no text says so."""
    kept: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for path, row in _references(gold.glob("*.jsonl")):
        kept.setdefault((row["text"], row["article"]), []).append((row["at"], row["at"] + row["length"], f"{path.name} {row['id']}"))
    found: dict[Leak, None] = {}
    for path, row in _references(sorted((root / "train").glob("*.jsonl"))):
        for start, end, source in kept.get((row["text"], row["article"]), ()):
            if start < row["at"] + row["length"] and row["at"] < end:
                leak = Leak(path.relative_to(root).as_posix(), "excerpt", source, f"{row['article']}@{row['at']}")
                found[leak] = None
    return list(found)


def _references(paths: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The lines that name an excerpt by reference, each with its file."""
    for path in paths:
        for line in path.read_text("utf-8").split("\n"):
            if line and "article" in (row := json.loads(line)):
                yield path, row


def refuse_leaks(data: Path) -> None:
    """Stop a training that would read a leak: raises ValueError, which names the first."""
    if leaks := find_leaks(data) + committed_leaks():
        first = leaks[0]
        raise ValueError(f"{len(leaks)} leaks into the training, first in {first.where}: {first.shared[:60]!r}; see python -m train.leaks --data {data}")


def main(argv: list[str] | None = None) -> int:
    """Print how many leaks each set held before and holds after the filter. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.leaks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with train/, pairs/, text/ and bench/ (default: check the committed files alone)")
    parser.add_argument("--gold", type=Path, default=GOLD, help="the folder of the gold files (default: eval/gold)")
    parser.add_argument("--seeds", type=Path, default=SEEDS, help="the folder of the documents that they ask about (default: seeds)")
    args = parser.parse_args(argv)
    try:
        watch = guard(args.data, args.gold, args.seeds)
        print(f"protected: {len(watch.questions)} long questions, {len(watch.passages)} passages")
        left = committed_leaks(ROOT, args.gold, args.seeds)
        print(f"{'set':<30}{'before the filter':>18}{'after':>7}")
        print(f"{'committed files':<30}{'':>18}{len(left):>7}")
        if args.data and not all((args.data / name).is_dir() for name in ("text", "train", "pairs")):
            print(MISSING.format(data=args.data), file=sys.stderr)
            return 2
        if args.data:
            before = collections.Counter(leak.where for leak in find_leaks(args.data, args.gold, args.seeds, raw=True))
            rest = find_leaks(args.data, args.gold, args.seeds)
            after = collections.Counter(leak.where for leak in rest)
            for name in (*sets.TEXTS, *sets.PAIRS, *sets.READING, *OWN):
                print(f"{name:<30}{before[name]:>18}{after[name]:>7}")
            left += rest
    except (OSError, ValueError) as error:  # LoadError among them
        print(f"error: {error}", file=sys.stderr)
        return 2
    for leak in left[:20]:
        print(f"leak: {leak.where} holds the {leak.kind} {leak.shared[:80]!r}" + (f" of {leak.source}" if leak.source else ""))
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
