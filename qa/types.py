"""What a question comes back as."""

from __future__ import annotations

from dataclasses import dataclass

from index.types import Hit


@dataclass(frozen=True)
class Citation:
    """A quote that proves an answer: always ``document.text[start:end] == quote``.

    ``answer_start``/``answer_end`` are where the answer itself stands, in the same document. ``source`` is the SHA-256 of the
    document's text, so that a citation that was kept can be checked later (:meth:`qa.assistant.Assistant.check`).
    """

    marker: int
    doc_id: str
    title: str
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int
    source: str = ""


@dataclass(frozen=True)
class Part:
    """A piece of an answer's text: what the citations numbered ``markers`` say, word for word as the first of them; or, without markers,
    one of the few connectors of :data:`qa.compose.CONNECTORS`."""

    text: str
    markers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """``text`` is made of quotes from ``citations`` alone, ``parts`` says how; or, where ``refused``, a sentence that says so (then neither).

    ``rewritten`` is the question as it was searched: the same as ``question`` unless it leaned on
    an earlier turn. ``confidence`` is between 0 and 1, ``seconds`` the time the whole answer took.
    ``withheld`` is what a refusal would have cited, had it been surer: for measuring, and the nearest
    passage to show; never an answer. None where an answer is given or nothing was found. ``unsupported``
    is what a model that may write freely wrote although no passage says so, "" otherwise: no answer either. ``dates`` says how words
    of time in the quotes (今年, 8月) were read by the documents' dates: ``(word, reading)``. ``search_score`` is that of the passage
    answered from, ``reader_odds`` the reader's log-odds of the answer against "no answer" there (both 0 without a candidate).
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
    parts: tuple[Part, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()
    search_score: float = 0.0
    reader_odds: float = 0.0

    def __post_init__(self) -> None:
        if self.citations and not self.parts:  # one quote
            object.__setattr__(self, "parts", (Part(self.text, tuple(c.marker for c in self.citations)),))
