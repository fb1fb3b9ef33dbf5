"""The values that travel through the index. All frozen; scores never live on a passage."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A heading of a document: where its line begins in the text, its depth (1 is the outermost), its words."""

    start: int
    level: int
    title: str


@dataclass(frozen=True)
class Document:
    """A cleaned document. ``id`` is its path within its folder, with ``/`` between parts.

    ``runs`` maps offsets of ``text`` to the raw file's decoded text: pairs ``(start, raw_start)``,
    ascending; between two starts both advance together.
    """

    id: str
    title: str
    text: str
    path: str
    meta: Mapping[str, str] = field(default_factory=dict)
    headings: tuple[Heading, ...] = ()
    runs: tuple[tuple[int, int], ...] = ((0, 0),)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` begins and ends in the raw file's decoded text (markup between may be inside)."""
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no span {start}:{end} in {self.id}, which has {len(self.text)} characters")
        return self._raw(start), self._raw(end - 1) + 1

    def _raw(self, position: int) -> int:
        clean, raw = self.runs[bisect_right(self.runs, (position, float("inf"))) - 1]
        return raw + position - clean


@dataclass(frozen=True)
class Passage:
    """A piece of a document: always ``document.text[start:end] == text``. ``heading`` is the path it stands under."""

    id: str
    doc_id: str
    title: str
    heading: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Hit:
    """A passage found for a question. ``rank`` counts from 1; ``score`` only compares hits of one search."""

    passage: Passage
    score: float
    rank: int


@dataclass(frozen=True)
class Manifest:
    """What an index was built from, and with.

    ``documents`` and ``skipped`` map each file's id to its SHA-256; the skipped ones held no readable text. ``synonyms`` is the SHA-256 of the list
    with which the words were indexed.
    """

    version: int
    embedder: str
    dim: int
    chunk_size: int
    overlap: int
    documents: Mapping[str, str]
    passages: int
    checksums: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)
    synonyms: str = ""
