"""Spans → citations with exact offsets. Pure functions; what does not check out raises."""

from __future__ import annotations

import hashlib
import re
from difflib import SequenceMatcher

from index.text import fold, sentences
from index.types import Document
from qa.types import Citation

_LONG = 240
_LEAST = 0.6  # of what a free model said must stand in the passage
_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_OUTER = " \t\n，,。；;、：:"
_PAIRS = {"“": "”", "《": "》", "(": ")", "（": "）", "「": "」", "〔": "〕", "‘": "’"}
# A number with its decimals and percent sign, a Latin word: never quoted in part.
_WORD = re.compile(r"[0-9A-Za-z]+(?:[.,][0-9]+)*[%％]?")
_UNIT = re.compile(r"工作日|月|百分点|小时")


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
    return Citation(marker, document.id, title, a, b, document.text[a:b], start, end, text_digest(document.text))


def text_digest(text: str) -> str:
    """SHA-256 of a document's text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def trimmed(text: str, start: int, end: int, low: int, high: int) -> tuple[int, int]:
    """``[start, end)`` of ``text`` with the numbers, Latin words and units that it cuts made whole, without outer spaces and
    marks, and without a bracket or quote whose other half is outside. It stays within the passage ``[low, high)``."""
    for word in _WORD.finditer(text, low, high):
        if word.start() < start < word.end():
            start = word.start()
        if word.start() < end < word.end():
            end = word.end()
    if re.search(r"\d个$", text[start:end]) and (unit := _UNIT.match(text, end, high)):
        end = unit.end()
    while True:
        before = (start, end)
        while start < end - 1 and text[start] in _OUTER:
            start += 1
        while end > start + 1 and text[end - 1] in _OUTER:
            end -= 1
        inner = text[start:end]
        if end - start > 1 and inner[0] in _PAIRS and _PAIRS[inner[0]] not in inner:
            start += 1
        elif end - start > 1 and inner[-1] in _PAIRS.values() and not any(o in inner for o, c in _PAIRS.items() if c == inner[-1]):
            end -= 1
        if (start, end) == before:
            return start, end


def aligned(said: str, passage: str) -> tuple[int, int] | None:
    """Where ``passage`` says what a model that wrote freely said, as offsets in it; None where it does not.

    Compared folded and without spaces. A part of ``said`` is enough where it is at least six tenths of it and holds its every number.
    """
    folded = fold(passage)
    places = [i for i, c in enumerate(folded) if not c.isspace()]
    bare = "".join(folded[i] for i in places)
    wanted = "".join(c for c in fold(said) if not c.isspace()).strip(_OUTER)
    block = SequenceMatcher(None, wanted, bare, autojunk=False).find_longest_match(0, len(wanted), 0, len(bare))
    if not wanted or block.size < _LEAST * len(wanted):
        return None
    start, end = trimmed(passage, places[block.b], places[block.b + block.size - 1] + 1, 0, len(passage))
    figures = _FIGURE.findall(folded[start:end])  # whole ones: 12 is not said where 120 stands
    return (start, end) if all(figure in figures for figure in _FIGURE.findall(wanted)) else None
