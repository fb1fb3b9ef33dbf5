"""Gold items and reports: what the evaluation reads and writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


class GoldError(ValueError):
    """A gold, benchmark or report file that cannot be used; the message names the file, the line where there is one, and why."""


@dataclass(frozen=True)
class GoldItem:
    """One question with its accepted answers. ``doc`` names every document that holds the answer.

    ``evidence`` is a quote of the document (whitespace apart), so that re-chunking never voids it. ``history`` holds
    earlier ``(question, answer)`` turns, oldest first. Where not ``answerable``, answers, doc and evidence are empty.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    doc: tuple[str, ...]
    evidence: str
    type: str
    answerable: bool
    history: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Report:
    """One run: means (0 to 1) with their intervals in ``metrics``, one JSON-ready dict a question in ``items``.

    An item has at least ``id`` and ``scores``; ``python -m eval run`` also keeps the answer, its citations, what a refusal withheld and
    the gold. ``manifest`` tells the data (gold or benchmark, index), ``weights`` the models, ``machine`` versions, cores and when it ended;
    ``seconds`` is the sum of the items' own seconds, those of an earlier, broken-off part included.
    """

    metrics: Mapping[str, Any]
    items: tuple[Mapping[str, Any], ...]
    manifest: Mapping[str, Any]
    weights: Mapping[str, str]
    commit: str
    seed: int
    seconds: float
    machine: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write JSON to ``path``, whole or not at all. Raises OSError."""
        staging = path.with_name(path.name + ".tmp")
        staging.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False), "utf-8")
        os.replace(staging, path)

    @classmethod
    def open(cls, path: str | Path) -> Report:
        """Read a saved report. Raises GoldError where the file is none, OSError where it cannot be read."""
        try:
            row = json.loads(Path(path).read_text("utf-8"))
        except ValueError as error:
            raise GoldError(f"{path} is no JSON: name a report that `python -m eval run --out` wrote ({error})") from error
        names = {f.name for f in fields(cls)}
        if not isinstance(row, dict) or not names <= row.keys() or not isinstance(row["items"], list):
            raise GoldError(f"{path} is no report: it lacks one of {', '.join(sorted(names))}")
        return cls(**{name: row[name] for name in names} | {"items": tuple(row["items"])})


def load_gold(path: str | Path) -> list[GoldItem]:
    """The items of a JSON-lines file, in order; empty lines are skipped.

    A line: ``{"id", "question", "answers": […], "doc": "…" or […], "evidence", "type", "answerable", "history": [{"question", "answer"}]}``;
    ``history`` may be left out. Raises GoldError, naming file and line, for anything else, and OSError.
    """
    items: dict[str, GoldItem] = {}
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GoldError(f"{path} is not UTF-8: save it as UTF-8 ({error})") from error
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines(): text may hold U+2028
        if not line.strip():
            continue
        try:
            item = _item(json.loads(line))
            if item.id in items:
                raise ValueError(f"the id {item.id!r} is there twice")
        except ValueError as error:
            raise GoldError(f"{path}:{number}: {error}") from error
        items[item.id] = item
    if not items:
        raise GoldError(f"{path} holds no question: one JSON object a line is expected")
    return list(items.values())


def _item(row: Any) -> GoldItem:
    """One decoded line as an item. Raises ValueError with what is wrong."""
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    for name in ("id", "question", "type", "evidence"):
        if not isinstance(row.get(name), str) or (name != "evidence" and not row[name].strip()):
            raise ValueError(f"{name!r} must be a string that is not empty" if name != "evidence" else "'evidence' must be a string")
    if not isinstance(row.get("answerable"), bool):
        raise ValueError("'answerable' must be true or false")
    answers, doc, history = row.get("answers"), row.get("doc"), row.get("history", [])
    if not isinstance(answers, list) or not all(isinstance(a, str) and a.strip() for a in answers):
        raise ValueError("'answers' must be a list of strings that are not empty")
    doc = [doc] if isinstance(doc, str) and doc else ([] if doc == "" else doc)
    if not isinstance(doc, list) or not all(isinstance(d, str) and d for d in doc):
        raise ValueError("'doc' must be a document's id, or a list of them")
    if not isinstance(history, list) or not all(isinstance(t, dict) and all(isinstance(t.get(k), str) for k in ("question", "answer")) for t in history):
        raise ValueError('\'history\' must be a list of {"question": …, "answer": …}')
    if row["answerable"] and not (answers and doc and row["evidence"].strip()):
        raise ValueError("an answerable question needs 'answers', 'doc' and 'evidence'")
    if not row["answerable"] and answers:
        raise ValueError("a question that is not answerable must have no 'answers'")
    past = tuple((t["question"], t["answer"]) for t in history)
    return GoldItem(row["id"], row["question"], tuple(answers), tuple(doc), row["evidence"], row["type"], row["answerable"], past)
