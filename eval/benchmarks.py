"""Reading alone: CMRC 2018, DRCD and SQuAD files against an answerer or a baseline, each context given, nothing searched."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.harness import collect, commit, digest, means, report, sample, silent
from eval.metrics import exact_match, f1_score, rouge_l
from eval.types import GoldError, Report
from index.text import fold, sentences
from index.types import Hit, Passage
from qa.answerer import Answerer, Span


@dataclass(frozen=True)
class Example:
    """One question on one context. ``answers`` is empty where the context holds none (``answerable`` false)."""

    id: str
    title: str
    context: str
    question: str
    answers: tuple[str, ...]
    answerable: bool


def load_squad(path: str | Path) -> list[Example]:
    """The examples of a reading file, in order.

    ``.jsonl`` and ``.jsonl.zst`` hold one ``{"id", "context", "question", "answers": […], "title", "answerable"}`` a line (the last
    two may be left out); ``.json`` is the official nesting of SQuAD, DRCD and CMRC 2018 (data → paragraphs → qas, ``is_impossible``
    of SQuAD 2). Raises GoldError, with the place in the file, OSError, or RuntimeError where zstandard is not installed.
    """
    path, found = Path(path), []
    try:
        for place, row in _nested(path) if path.suffix == ".json" else _lines(path):
            try:
                found.append(_example(json.loads(row) if isinstance(row, str) else row))
            except (ValueError, KeyError) as error:
                raise GoldError(f"{path}{place}: " + (f"{error} is missing" if isinstance(error, KeyError) else str(error))) from error
    except UnicodeDecodeError as error:
        raise GoldError(f"{path} is not UTF-8 ({error})") from error
    if not found:
        raise GoldError(f"{path} holds no question")
    if len({example.id for example in found}) < len(found):
        raise GoldError(f"{path}: an id is there twice, so that its answers cannot be told apart")
    return found


def _example(row: Any) -> Example:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    title, answers = row.get("title") or "", row["answers"]
    if not all(isinstance(value, str) for value in (title, row["context"], row["question"])) or not row["context"].strip():
        raise ValueError("'title', 'context' and 'question' must be strings, the context not empty")
    if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise ValueError("'answers' must be a list of strings")
    answerable = row.get("answerable", bool(answers))
    if not isinstance(answerable, bool) or (answerable and not any(a.strip() for a in answers)):
        raise ValueError("'answerable' must be true or false, and an answerable question needs 'answers'")
    return Example(str(row["id"]), title, row["context"], row["question"], tuple(answers) if answerable else (), answerable)


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """``(":line number", line)`` of each line that is not empty."""
    with path.open("rb") as raw:
        stream: Any = raw
        broken: tuple[type[Exception], ...] = ()
        if path.suffix == ".zst":
            try:
                import zstandard
            except ImportError as error:
                raise RuntimeError(f"{path} is zstd-compressed: run pip install -r requirements-dev.txt, or unpack it first") from error
            stream, broken = zstandard.ZstdDecompressor().stream_reader(raw), (zstandard.ZstdError,)
        try:
            for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n"), 1):
                if line.strip():
                    yield f":{number}", line
        except broken as error:
            raise GoldError(f"{path} is not zstd-compressed, or damaged ({error})") from error


def _nested(path: Path) -> Iterator[tuple[str, Any]]:
    """``(place, row)`` of each question, the row as one of a JSON-lines file."""
    try:
        articles = json.loads(path.read_text("utf-8-sig"))["data"]
    except UnicodeDecodeError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise GoldError(f"{path}: an object with 'data', a list of articles with 'paragraphs', is expected ({error!r})") from error
    for number, article in enumerate(articles, 1):
        try:
            rows = [
                {
                    "id": qa["id"], "title": article.get("title"), "context": paragraph["context"], "question": qa["question"],
                    "answers": list(dict.fromkeys(a["text"] for a in qa["answers"])), "answerable": not qa.get("is_impossible", not qa["answers"]),
                }
                for paragraph in article["paragraphs"] for qa in paragraph["qas"]
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise GoldError(f"{path}, article {number}: 'paragraphs' of 'context' and 'qas' (id, question, answers) are expected ({error!r})") from error
        yield from ((f", question {row['id']!r}", row) for row in rows)


def as_hit(example: Example) -> Hit:
    """The example's context as the one hit of a search: a passage of a document "context" that holds nothing else."""
    return Hit(Passage(example.id, "context", example.title, "", example.context, 0, len(example.context)), 1.0, 1)


class Baseline:
    """A reader without a model: the context's "first" sentence, or the one with most "overlap" (character pairs of the question)."""

    def __init__(self, kind: str):
        if kind not in ("first", "overlap"):
            raise ValueError(f"there is no baseline {kind!r}: choose first or overlap")
        self.kind, self.name = kind, f"baseline:{kind}"

    def answer(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        """One sentence of each hit, best first; offsets in the hit's document, the score is the number of shared pairs."""
        asked, found = _pairs(question), []
        for hit in hits:
            text, at = hit.passage.text, hit.passage.start
            spans = sentences(text, semicolons=False)
            shared = [len(asked & _pairs(text[a:b])) if self.kind == "overlap" else 0 for a, b in spans]
            if spans:
                a, b = spans[shared.index(max(shared))]
                found.append(Span(hit, at + a, at + b, float(max(shared)), -math.inf))
        return sorted(found, key=lambda span: -span.score)


def _pairs(text: str) -> set[str]:
    bare = "".join(c for c in fold(text) if c.isalnum())
    return {bare[i : i + 2] for i in range(len(bare) - 1)}


def evaluate_reader(
    answerer: Answerer, examples: Sequence[Example], limit: int | None = None, seed: int = 0,
    progress: Callable[[int, int], None] = silent, part: Path | None = None,
) -> Report:
    """Score the best span of each context by the official CMRC 2018 rules (not folded); ``limit``, ``seed``, ``part`` as in evaluate.

    Exact match, F1 and ROUGE-L are over the answerable examples, where the best span always counts; ``refused_right`` says for
    each example whether "no answer" scored above the span just where there is none (absent where the reader cannot tell).
    """
    chosen = sample(examples, limit, seed)
    manifest = {"benchmark_sha256": digest([asdict(e) for e in examples]), "benchmark_items": len(examples)}
    weights = {"answerer": answerer.name}
    items = collect(chosen, lambda example: _read(answerer, example), manifest | weights | {"commit": commit()}, part, progress)
    return report({"overall": means(items, seed)}, items, manifest, weights, seed)


def _read(answerer: Answerer, example: Example) -> dict[str, Any]:
    from qa.assistant import trimmed

    row: dict[str, Any] = {"id": example.id, "question": example.question, "gold": list(example.answers)}
    began = time.perf_counter()
    text, refused, error = "", None, {}
    try:
        if spans := answerer.answer(example.question, [as_hit(example)]):
            best = max(spans, key=lambda span: span.score)
            span = trimmed(example.context, best)
            text = example.context[span.start : span.end]
            refused = best.none > best.score if math.isfinite(best.none) else None
    except Exception as problem:  # as in evaluate: recorded, scored as wrong
        error, refused = {"error": f"{type(problem).__name__}: {problem}"}, example.answerable
    row |= {"answer": text, "refused": refused, "seconds": time.perf_counter() - began}
    scores: dict[str, float | None] = dict.fromkeys(("exact", "f1", "rouge_l"))
    if example.answerable:
        scores = {"exact": exact_match(text, example.answers), "f1": f1_score(text, example.answers), "rouge_l": rouge_l(text, example.answers)}
    return row | {"scores": scores | {"refused_right": None if refused is None else float(refused != example.answerable)}} | error
