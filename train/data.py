"""Reading the training data: one place that knows its files, and that keeps the benchmarks out of it."""

from __future__ import annotations

import collections
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from index.text import fold

READING = (
    "cmrc2018.train", "cmrc2018.trial", "drcd.dev", "cjrc.dev", "ncp_policy.train",
    "counterterror_news.train", "dureader_qg.dev", "webqa.test",
    "squad11_zh_mt.dev", "squad2_zh_mt.dev",
)
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


def lines(path: Path) -> Iterator[str]:
    """Lines of a zstd-compressed UTF-8 file, without their newline; empty ones left out."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: --data must name the folder with train/, pairs/ and text/")
    with path.open("rb") as raw:
        reader = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8", newline="\n")
        for line in reader:
            if line := line.rstrip("\n"):
                yield line


def articles(data: Path, name: str) -> list[tuple[str, str]]:
    """``(title, body)`` of each article of one text file. Dates leave the titles, empty titles stay empty."""
    rows = []
    for line in lines(data / "text" / f"{name}.txt.zst"):
        title, _, body = line.partition("\t")
        title = re.sub(r"^(?:\d{4}[-/]\d\d[-/]\d\d)?(?: ?\d\d:\d\d(?::\d\d)?)?\s*|\(\d{4}-\d\d-\d\d\)$", "", title)
        if len(body) >= 60:
            rows.append((title, body))
    return rows


def pairs(data: Path, name: str) -> list[tuple[str, str]]:
    rows = (json.loads(line) for line in lines(data / "pairs" / f"{name}.jsonl.zst"))
    return [(row["query"], row["positive"]) for row in rows]


def normalised(text: str) -> str:
    """What two texts share when they differ in script, width, case, space or punctuation alone."""
    return "".join(c for c in fold(text) if c.isalnum())


def forbidden(data: Path, gold: Path | None) -> tuple[set[str], set[str]]:
    """Normalised ``(questions, passages)`` of every benchmark and gold file there is."""
    questions, passages = set(), set()
    for path in sorted((data / "bench").glob("*.jsonl.zst")):
        for row in map(json.loads, lines(path)):
            questions.add(normalised(row["question"]))
            passages.add(normalised(row["context"]))
    for path in sorted(gold.glob("*.jsonl")) if gold else []:
        for row in map(json.loads, filter(None, path.read_text("utf-8").split("\n"))):
            questions.add(normalised(row["question"]))
            if row.get("evidence"):
                passages.add(normalised(row["evidence"]))
    return questions, passages


def reading(data: Path, gold: Path | None = Path("eval/gold")) -> list[Example]:
    """Every usable example of the reading sets, less those that occur in a benchmark or in the gold.

    Yes/no items, and answers that are no substring of their context, are left out.
    """
    bad_questions, bad_passages = forbidden(data, gold)
    kept: list[Example] = []
    leaked: collections.Counter[str] = collections.Counter()
    for name in READING:
        for row in map(json.loads, lines(data / "train" / f"{name}.jsonl.zst")):
            if normalised(row["context"]) in bad_passages:
                leaked[name] += 1
                continue
            # A question alone may recur by chance on another passage ("他是哪国人？"); long ones do not.
            if (key := normalised(row["question"])) in bad_questions and len(key) > 12:
                leaked[name] += 1
                continue
            answer, start = "", -1
            if row["answerable"]:
                if row["answer_start"] < 0 or not row["answers"]:
                    continue
                start = row["answer_start"]
                answer = next((a for a in row["answers"] if row["context"].startswith(a, start)), "")
                if not answer:
                    continue
            kept.append(Example(name, row["title"], row["context"], row["question"], answer, start))
    if leaked:
        print("left out because a benchmark or the gold holds them:", dict(leaked))
    return kept


def character_vocabulary(data: Path, size: int) -> list[str]:
    """The ``size`` most frequent folded characters of the training text, most frequent first."""
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
