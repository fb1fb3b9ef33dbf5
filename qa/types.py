"""What a question comes back as."""

from __future__ import annotations

from dataclasses import dataclass

from index.types import Hit


@dataclass(frozen=True)
class Citation:
    """A quote that proves an answer: always ``document.text[start:end] == quote``.

    ``answer_start``/``answer_end`` are where the answer itself stands, in the same document.
    """

    marker: int
    doc_id: str
    title: str
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int


@dataclass(frozen=True)
class Answer:
    """``text`` is a quote from ``citations``, or, where ``refused``, a sentence that says so (then no citation).

    ``rewritten`` is the question as it was searched: the same as ``question`` unless it leaned on
    an earlier turn. ``confidence`` is between 0 and 1, ``seconds`` the time the whole answer took.
    ``withheld`` is what a refusal would have cited, had it been surer: for measuring, and the nearest
    passage to show; never an answer. None where an answer is given or nothing was found. ``unsupported``
    is what a model that may write freely wrote although no passage says so, "" otherwise: no answer either.
    """

    question: str
    rewritten: str
    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    confidence: float
    refused: bool
    seconds: float
    withheld: Citation | None = None
    unsupported: str = ""
