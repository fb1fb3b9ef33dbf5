"""Spans → citations with exact offsets. Pure functions; what does not check out raises."""

from __future__ import annotations

from index.text import sentences
from index.types import Document
from qa.types import Citation

_LONG = 240


def proving_span(text: str, start: int, end: int, low: int, high: int) -> tuple[int, int]:
    """The sentence or sentences of ``text[low:high]`` that hold ``text[start:end]``, as ``(start, end)`` in ``text``.

    A sentence of more than 240 characters gives way to the clause between semicolons, where one holds the span.
    """
    span = _around(text, start, end, low, high, clauses=False)
    if span[1] - span[0] > _LONG:
        span = _around(text, start, end, *span, clauses=True)
    return span


def _around(text: str, start: int, end: int, low: int, high: int, clauses: bool) -> tuple[int, int]:
    spans = [(a + low, b + low) for a, b in sentences(text[low:high], clauses)]
    touching = [(a, b) for a, b in spans if a < end and b > start]
    return (min(touching[0][0], start), max(touching[-1][1], end)) if touching else (start, end)


def cite(document: Document, title: str, start: int, end: int, low: int, high: int, marker: int) -> Citation:
    """A citation for the answer ``document.text[start:end]`` found in the passage ``[low, high)``.

    Raises ValueError where the offsets do not lie in the document in that order.
    """
    if not 0 <= low <= start < end <= high <= len(document.text):
        raise ValueError(f"offsets {low} ≤ {start} < {end} ≤ {high} do not fit {document.id} of {len(document.text)} characters")
    a, b = proving_span(document.text, start, end, low, high)
    return Citation(marker, document.id, title, a, b, document.text[a:b], start, end)
