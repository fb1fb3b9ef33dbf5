"""Reading alone: the contexts of each example are given to an answerer or a baseline, nothing is searched."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.benchmarks import Example
from eval.harness import collect, commit, digest, means, report, sample, silent
from eval.metrics import exact_match, f1_score, rouge_l
from eval.types import Report
from index.text import fold, sentences
from index.types import Hit, Passage
from qa.answerer import Answerer, Span
from qa.citations import trimmed


def as_hits(example: Example) -> list[Hit]:
    """The example's contexts as the hits of a search, all alike good: each a passage that is the whole of its document."""
    passages = [Passage(f"{example.id}#{n}", f"context-{n}", example.title, "", text, 0, len(text)) for n, text in enumerate(example.contexts, 1)]
    return [Hit(passage, 1.0, rank) for rank, passage in enumerate(passages, 1)]


class Baseline:
    """A reader without a model: each context's "first" sentence, or the one with most "overlap" (character pairs of the question)."""

    judges = follows = False

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


def rgb_right(prediction: str, parts: Sequence[Sequence[str]]) -> float:
    """1 where the prediction holds one alternative of each part, as a substring (Chen et al. 2024, RGB's evalue.py).

    As there, case is ignored and the prediction's spaces go, but not the alternatives'. Long answers gain by it: read `--baseline overlap`,
    which quotes whole sentences, beside any figure.
    """
    text = prediction.replace(" ", "").lower()
    return float(bool(parts) and all(any(alternative.lower() in text for alternative in part) for part in parts))


def evaluate_reader(
    answerer: Answerer, examples: Sequence[Example], limit: int | None = None, seed: int = 0,
    progress: Callable[[int, int], None] = silent, part: Path | None = None, about: Mapping[str, Any] | None = None,
) -> Report:
    """Score the best span over each example's contexts; ``limit``, ``seed``, ``part`` as in evaluate; ``about`` goes into the manifest.

    Forced: ``exact``, ``f1``, ``rouge_l`` (official CMRC 2018 rules, not folded) and ``rgb`` (:func:`rgb_right`) are over the answerable
    examples and score the best span whatever "no answer" scored. What "no answer" does stands beside them, where the reader can tell:
    ``refused_right``, whether it scored above the best span just where there is no answer; ``unanswered``, the share of answerable
    examples where it did; ``rgb_or_none``, RGB's own count, in which a refusal is wrong; and, where the file has examples of both
    kinds, ``exact_or_none`` and ``f1_or_none``, in which a refusal is right just where there is no answer (SQuAD 2.0, Rajpurkar et al.
    2018; with the reader's own threshold, not the best one in hindsight).
    """
    chosen = sample(examples, limit, seed)
    mixed = len({example.answerable for example in examples}) == 2
    manifest: dict[str, Any] = {**(about or {}), "benchmark_sha256": digest([asdict(e) for e in examples]), "benchmark_items": len(examples)}
    weights = {"answerer": answerer.name}
    items = collect(chosen, lambda example: _read(answerer, example, mixed), manifest | weights | {"commit": commit()}, part, progress)
    overall = means(items, seed)
    refusals = [row | {"scores": {"unanswered": float(row["refused"])}} for row in items if row["gold"] and row["refused"] is not None]
    if refusals:
        overall["unanswered"] = means(refusals, seed)["unanswered"]
    return report({"overall": overall}, items, manifest, weights, seed)


def explained(found: Report) -> str:
    """One sentence on what "no answer" does to the scores of a reader's report."""
    overall = found.metrics["overall"]
    if "refused_right" not in overall:
        return 'the best span always counts: this reader cannot say "no answer"'
    forced = [name for name in ("exact", "f1", "rouge_l", "rgb") if name in overall]
    told = []
    if forced:
        share = f"{overall['unanswered']['mean']:.1%}" if "unanswered" in overall else "some"
        names = ", ".join(forced)
        told.append(f'{names}: the best span always counts, also in the {share} of answerable questions where "no answer" scored higher (unanswered)')
    if counted := [name for name in ("exact_or_none", "f1_or_none", "rgb_or_none") if name in overall]:
        told.append(f'{", ".join(counted)}: there "no answer" is the answer')
    return "; ".join([*told, 'refused_right: "no answer" scored higher just where there is none'])


def _read(answerer: Answerer, example: Example, mixed: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"id": example.id, "question": example.question, "gold": list(example.answers)}
    began = time.perf_counter()
    text, refused, error = "", None, {}
    try:
        if spans := answerer.answer(example.question, as_hits(example)):
            best = max(spans, key=lambda span: span.score)
            context = best.hit.passage.text
            start, end = trimmed(context, best.start, best.end, 0, len(context)) if best.end > best.start else (0, 0)
            text = context[start:end] or best.said  # a model that writes freely is scored by what it wrote
            refused = best.none > best.score if math.isfinite(best.none) else None
    except Exception as problem:  # as in evaluate: recorded, scored as wrong
        error, refused = {"error": f"{type(problem).__name__}: {problem}"}, example.answerable
    row |= {"answer": text, "refused": refused, "seconds": time.perf_counter() - began}
    return row | {"scores": _scores(text, refused, example, mixed)} | error


def _scores(text: str, refused: bool | None, example: Example, mixed: bool) -> dict[str, float | None]:
    """By name, None where a score does not apply to the example; ``refused`` is None for a reader that cannot refuse."""
    scores: dict[str, float | None] = {"refused_right": None if refused is None else float(refused != example.answerable)}
    if example.parts:
        right = rgb_right(text, example.parts)
        return scores | {"rgb": right, "rgb_or_none": None if refused is None else right * (not refused)}
    exact, f1 = exact_match(text, example.answers), f1_score(text, example.answers)
    scores |= {"exact": exact, "f1": f1, "rouge_l": rouge_l(text, example.answers)} if example.answerable else dict.fromkeys(("exact", "f1", "rouge_l"))
    if mixed:
        told = float(bool(refused) != example.answerable)
        scores |= {"exact_or_none": told * exact, "f1_or_none": told * f1} if example.answerable else dict.fromkeys(("exact_or_none", "f1_or_none"), told)
    return scores
