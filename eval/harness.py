"""Gold questions → a report, through :meth:`qa.assistant.Assistant.ask` alone: what the app's user would get is what is scored."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import random
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from eval import metrics as m
from eval.types import GoldError, GoldItem, Report
from qa.compose import NO, YES
from qa.types import Answer

if TYPE_CHECKING:
    from qa.assistant import Assistant

DEPTH = 10  # hits kept of each question
_ROOT = Path(__file__).resolve().parent.parent


class HasId(Protocol):
    @property
    def id(self) -> str: ...


Entry = TypeVar("Entry", bound=HasId)


def silent(done: int, total: int) -> None:
    """The progress of those who want none."""


def evaluate(
    assistant: Assistant, gold: Sequence[GoldItem], limit: int | None = None, seed: int = 0,
    progress: Callable[[int, int], None] = silent, part: Path | None = None,
) -> Report:
    """Ask every gold question, with its history, and score what comes back; of ``limit`` questions, drawn with ``seed``, if given.

    With ``part`` each item is appended to that file at once, and those it already holds from a run over the same gold, weights,
    index, threshold and commit are taken over. A question that raises is recorded with "error" and scored as wrong.
    Raises GoldError where a gold document is not indexed.
    """
    chosen = sample(gold, limit, seed)
    held = assistant.store.documents
    for item in chosen:
        if missing := [doc for doc in item.doc if doc not in held]:
            raise GoldError(f"{item.id} asks about {missing[0]}, which is not among the {len(held)} documents: name their folder with --docs")
    index = asdict(assistant.store.manifest)
    manifest = {
        "gold_sha256": digest([asdict(item) for item in gold]), "gold_items": len(gold),
        "index": index, "index_sha256": digest(index["checksums"]), "threshold": assistant.threshold,
    }
    weights = {"answerer": assistant.answerer.name, "embedder": index["embedder"]}
    key = {name: manifest[name] for name in ("gold_sha256", "index_sha256", "threshold")} | weights | {"commit": commit()}
    items = collect(chosen, lambda item: score_item(assistant, item), key, part, progress)
    return report(summarise(items, seed), items, manifest, weights, seed)


def unfindable(assistant: Assistant, gold: Iterable[GoldItem]) -> list[str]:
    """Ids of answerable items whose evidence no passage of the index holds the answer of: their rank can only be "not found"."""
    from index.types import Hit

    hits = [Hit(passage, 0.0, rank) for rank, passage in enumerate(assistant.store.passages, 1)]
    texts = _texts(assistant)
    return [i.id for i in gold if i.answerable and m.evidence_rank(hits, i.doc, i.evidence, i.answers, texts) is None]


def sample(entries: Sequence[Entry], limit: int | None, seed: int) -> list[Entry]:
    """All entries, or ``limit`` of them drawn with ``seed``, in their order. Raises ValueError where ``limit`` is below 1."""
    if limit is not None and limit < 1:
        raise ValueError(f"a limit of {limit} leaves no question: 1 at least")
    if limit is None or limit >= len(entries):
        return list(entries)
    return [entries[i] for i in sorted(random.Random(seed).sample(range(len(entries)), limit))]


def collect(
    entries: Sequence[Entry], one: Callable[[Entry], dict[str, Any]], key: Mapping[str, Any], part: Path | None, progress: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """``one(entry)`` for each entry, in order; ``part`` holds ``key`` on its first line and then one item a line."""
    done = _resume(part, key) if part else {}
    items = []
    file = None
    if part:  # written anew, so that a line broken off halfway goes
        staging = part.with_name(part.name + ".tmp")
        staging.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ({"key": key}, *done.values())), "utf-8")
        os.replace(staging, part)
        file = part.open("a", encoding="utf-8")
    try:
        for count, entry in enumerate(entries, 1):
            if entry.id not in done:
                done[entry.id] = one(entry)
                if file:
                    file.write(json.dumps(done[entry.id], ensure_ascii=False, allow_nan=False) + "\n")
                    file.flush()
            items.append(done[entry.id])
            progress(count, len(entries))
    finally:
        if file:
            file.close()
    return items


def _resume(part: Path, key: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Items by id that a broken-off run with this ``key`` left, those with an error left out; none where there was no such run."""
    rows = []
    for line in part.read_text("utf-8", errors="replace").split("\n") if part.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    if not rows or rows[0] != {"key": dict(key)}:
        return {}
    return {row["id"]: row for row in rows[1:] if "error" not in row}


def score_item(assistant: Assistant, item: GoldItem) -> dict[str, Any]:
    """One question, asked and scored; a JSON-ready dict. None scores do not apply to the item (most, where it is not answerable)."""
    row: dict[str, Any] = {"id": item.id, "question": item.question, "type": item.type, "answerable": item.answerable, "doc": list(item.doc)}
    row |= {"gold": list(item.answers), "evidence": item.evidence, "history": [list(turn) for turn in item.history]}
    began = time.perf_counter()
    try:
        answer = assistant.ask(item.question, item.history)
        seconds = time.perf_counter() - began
        scores = score_answer(answer, item, _texts(assistant))
    except Exception as error:  # one question must not end the run; the report counts these
        scores = {name: None if value is None else 0.0 for name, value in score_answer(_NOTHING, item, lambda doc: None).items()}
        blank = {"answer": "", "rewritten": item.question, "refused": False, "confidence": 0.0, "citations": [], "withheld": None, "hits": []}
        return row | blank | {"seconds": time.perf_counter() - began, "scores": scores, "error": f"{type(error).__name__}: {error}"}
    withheld = {"text": withheld_text(answer), "citation": asdict(answer.withheld)} if answer.withheld else None
    hits = [
        {"doc_id": h.passage.doc_id, "start": h.passage.start, "end": h.passage.end, "rank": h.rank, "score": float(h.score)} for h in answer.hits[:DEPTH]
    ]
    return row | {
        "answer": answer.text, "rewritten": answer.rewritten, "refused": answer.refused,
        "confidence": answer.confidence if math.isfinite(answer.confidence) else 0.0,
        "alone": {"search": answer.search_score, "reader": answer.reader_odds if math.isfinite(answer.reader_odds) else 0.0},
        "citations": [asdict(c) for c in answer.citations], "withheld": withheld, "hits": hits, "seconds": seconds, "scores": scores,
    }


_NOTHING = Answer("", "", "", (), (), 0.0, False, 0.0)


def _texts(assistant: Assistant) -> m.Texts:
    def text_of(doc: str) -> str | None:
        try:
            return assistant.document(doc).text
        except KeyError:
            return None

    return text_of


def score_answer(answer: Answer, item: GoldItem, text_of: m.Texts) -> dict[str, float | int | None]:
    """The scores of one answer by name, 0 to 1, but ``evidence_rank``: 1-based, None where no hit has the evidence.

    A refused answer scores as an empty one, but for ``candidate_right``: ``right`` with what it withheld in its place, so that it
    does not depend on the threshold. Texts are compared folded (see :mod:`eval.metrics`).
    """
    decided = float(answer.refused != item.answerable)
    valid = m.offsets_valid(answer, text_of)
    if not item.answerable:
        unasked = ("exact", "f1", "contains", "rouge_l", "evidence_rank", "document_cited", "citation_hit", "citation_precision", "candidate_right")
        return dict.fromkeys(unasked) | {"right": decided, "offsets_valid": valid, "refused_right": decided}
    text = stated(answer)
    offered = withheld_text(answer) if answer.refused else text
    support = (answer.citations, item.doc, item.evidence, item.answers)
    return {
        "exact": m.exact_match(text, item.answers, True), "f1": m.f1_score(text, item.answers, True),
        "contains": m.contains_answer(text, item.answers, True), "rouge_l": m.rouge_l(text, item.answers, True),
        "evidence_rank": m.evidence_rank(answer.hits[:DEPTH], item.doc, item.evidence, item.answers, text_of),
        "document_cited": float(any(c.doc_id in item.doc for c in answer.citations)), "citation_hit": m.citation_recall(*support),
        "citation_precision": m.citation_precision(*support) if answer.citations else None,
        "right": m.is_right(text, item.answers), "candidate_right": m.is_right(offered, item.answers), "offsets_valid": valid, "refused_right": decided,
    }


def stated(answer: Answer) -> str:
    """The text that is compared with the gold: none of a refusal, 是 or 否 alone where the answer is one of these with its proof."""
    if answer.refused:
        return ""
    return answer.text[0] if answer.parts and answer.parts[0].text in (YES, NO) else answer.text


def withheld_text(answer: Answer) -> str:
    """The text that a refusal withheld, "" where there is none."""
    c = answer.withheld
    return c.quote[c.answer_start - c.start : c.answer_end - c.start] if c else ""


def candidate(row: Mapping[str, Any]) -> float | None:
    """1 or 0 for an item whose given or withheld answer is right or wrong (always wrong where not answerable); None: there is neither."""
    if "error" in row or (row["refused"] and not row.get("withheld")):
        return None
    scores = row["scores"]
    return float((scores["candidate_right"] if "candidate_right" in scores else scores["right"]) or 0.0)  # reports of before have no candidates


def risk_coverage(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Risk over coverage were each candidate (given or withheld) given above some confidence, the threshold moved from 1 to 0.

    ``curve`` holds ``(coverage, risk)``: the share of all questions answered, and of wrong ones among them. ``area`` is the mean risk over
    coverage 0 to 1 (see :func:`eval.metrics.risk_coverage`); a question without a candidate comes last and counts as wrong, so that
    finding nothing makes no curve better. ``point`` is where the run's own threshold lies (coverage 0, risk 0: it answered nothing).
    """
    found = [(row["confidence"], right) for row in items if (right := candidate(row)) is not None]
    curve, _ = m.risk_coverage([c for c, _ in found], [right for _, right in found], len(items))
    missing = len(items) - len(found)
    _, area = m.risk_coverage([*(c for c, _ in found), *[-1.0] * missing], [*(right for _, right in found), *[0.0] * missing])
    given = [right for row in items if not row["refused"] and (right := candidate(row)) is not None]
    point = {"coverage": len(given) / len(items) if items else 0.0, "risk": 1 - sum(given) / len(given) if given else 0.0}
    return {"area": area, "curve": curve, "point": point}


def orders(items: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The area under risk–coverage by search score alone and by reader's odds alone, over the same candidates, and how much lower it is by
    confidence: paired bootstrap. Nothing where a report does not hold these scores."""
    found = []
    for by in ("search", "reader"):
        if rows := [(row["confidence"], row["alone"][by], good) for row in items if "alone" in row and (good := candidate(row)) is not None]:
            confidence, alone, right = map(list, zip(*rows, strict=True))
            tested = dict(zip(("difference", "low", "high", "p"), m.area_difference(alone, confidence, right, seed), strict=True))
            found.append({"by": by, "n": len(rows), "alone": m.risk_coverage(alone, right)[1], "confidence": m.risk_coverage(confidence, right)[1], **tested})
    return found


def summarise(items: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """``{"overall", "by_type", "by_document", "risk_coverage", "orders"}``; an item on several documents counts for each."""
    return {
        "overall": means(items, seed),
        "by_type": {name: means([r for r in items if r["type"] == name], seed) for name in sorted({r["type"] for r in items})},
        "by_document": {name: means([r for r in items if name in r["doc"]], seed) for name in sorted({d for r in items for d in r["doc"]})},
        "risk_coverage": risk_coverage(items),
        "orders": orders(items, seed),
    }


def means(items: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Each metric as ``{"mean", "low", "high", "n"}`` with its 95% bootstrap interval, over the items it applies to; and counts, seconds."""
    values: dict[str, list[float]] = {}
    for row in items:
        of_item = {name: value for name, value in row["scores"].items() if name != "evidence_rank"}
        if row.get("answerable"):
            of_item["false_refusal"] = float(row["refused"])
        elif "answerable" in row:
            of_item["true_refusal"] = float(row["refused"])
        if row.get("answerable") and "evidence_rank" in row["scores"]:
            rank = [row["scores"]["evidence_rank"] or None]
            of_item |= {f"recall@{k}": m.recall_at(rank, k) for k in (1, 3, 5, 10)} | {"mrr": m.mrr(rank), "ndcg@10": m.ndcg(rank)}
        for name, value in of_item.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    found: dict[str, Any] = {}
    for name, numbers in values.items():
        low, high = m.bootstrap_interval(numbers, seed)
        found[name] = {"mean": sum(numbers) / len(numbers), "low": low, "high": high, "n": len(numbers)}
    seconds = sorted(row["seconds"] for row in items)
    times = {f"p{q}": seconds[min(len(seconds) - 1, len(seconds) * q // 100)] if seconds else 0.0 for q in (50, 95)}
    return found | {"seconds": times, "items": len(items), "errors": sum("error" in row for row in items)}


def report(metrics: Mapping[str, Any], items: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any], weights: Mapping[str, str], seed: int) -> Report:
    """The report of finished items, stamped with commit and machine."""
    versions = {name: _version(name) for name in ("torch", "transformers")}
    machine = {"python": platform.python_version(), **versions, "cpus": os.cpu_count() or 0, "platform": platform.platform()}
    machine["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(metrics, tuple(items), manifest, weights, commit(), seed, sum(row["seconds"] for row in items), machine)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def commit() -> str:
    """The commit that the program's own checkout is at, "" where it is none."""
    try:
        asked = subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], cwd=_ROOT, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def digest(value: Any) -> str:
    """SHA-256 of a JSON-ready value, the same for the same content."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
