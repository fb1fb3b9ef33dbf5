"""The one place that knows the order of the steps: complete the question, search, read, check, cite."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from index.embed import Embedder
from index.store import PassageStore, default_place, open_or_build
from index.types import Document, Hit
from qa.answerer import DEFAULT, Answerer, Span, load_answerer
from qa.citations import cite, text_digest, trimmed
from qa.compose import Said, compose, text_of, wants_verdict
from qa.confidence import Calibration
from qa.dates import readings
from qa.followup import question_in_context, standalone_question
from qa.retriever import EVERYWHERE, Retriever, Scope, near_ties, settled
from qa.types import Answer, Citation, Part

MAX_QUESTION = 500
READ = 5  # passages read for one question, at most …
WORTH = 0.55  # … of which only those are read that score this share of the best one: of 546 held-out questions that costs one its passage (train.calibrate)
REFUSED = "文档里没有找到答案。"


class QuestionError(ValueError):
    """A question that cannot be asked: empty, or too long."""


def checked(question: str) -> str:
    """``question`` without outer spaces. Raises QuestionError where it is empty or too long."""
    question = question.strip()
    if not question:
        raise QuestionError("问题是空的，请输入。(the question is empty: type one)")
    if len(question) > MAX_QUESTION:
        raise QuestionError(f"问题有{len(question)}个字，最多{MAX_QUESTION}个。(the question has {len(question)} characters: {MAX_QUESTION} at most)")
    return question


def worth_reading(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits that are read: the first READ, less those that score far below the best of them; near ties a little further down, too."""
    best, ties = max((hit.score for hit in hits[:READ]), default=0.0), near_ties(hits)
    return tuple(hit for number, hit in enumerate(hits) if (number < READ and hit.score >= WORTH * best) or hit in ties)


def best_odds(spans: Sequence[Span]) -> dict[str, float]:
    """The reader's best log-odds of an answer in each passage, by the passage's id."""
    found: dict[str, float] = {}
    for span in spans:
        found[span.hit.passage.id] = max(span.odds, found.get(span.hit.passage.id, span.odds))
    return found


def joined(hits: Sequence[Hit], others: Sequence[Hit], own: int = 2) -> tuple[Hit, ...]:
    """The first ``own`` of ``hits``, then of ``others`` what is new up to READ, then the rest of ``hits``, ranked in this order."""
    found: dict[str, Hit] = {}
    for hit in (*hits[:own], *others[: READ - own], *hits[own:]):
        found.setdefault(hit.passage.id, hit)
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(found.values(), 1))


class Assistant:
    """Answers questions over one folder of documents.

    >>> assistant = Assistant.open("seeds")
    >>> assistant.ask("南昌综保区2021年进出口总额是多少？").text
    '210亿元'
    """

    def __init__(self, store: PassageStore, retriever: Retriever, answerer: Answerer, calibration: Calibration, threshold: float | None = None):
        self.store, self.retriever, self.answerer, self.calibration = store, retriever, answerer, calibration
        self.threshold = calibration.threshold if threshold is None else threshold

    @classmethod
    def open(
        cls, folder: str | Path, *, index: str | Path | None = None, embedder: str | Path | None = None, answerer: str | Path | None = None,
        template: str = "t5", grounded: bool = True, threshold: float | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None, skipped: Callable[[str, str], None] = lambda name, why: None,
    ) -> Assistant:
        """Open ``folder``: build its index on first use, bring it up to date where files changed, reuse it otherwise.

        ``embedder`` and ``answerer`` take a model's folder (or hub name with JUDIAN_ONLINE=1) in place of the shipped ones.
        ``template`` is such an answerer's prompt format; with ``grounded`` false it writes freely and is held to the passages afterwards.
        ``threshold`` between 0 and 1 is the least confidence of an answer that is given (default: the calibrated one).
        Raises LoadError, StoreError or ModelError, each with what to do.
        """
        path = Path(folder)
        reader = Embedder(embedder)
        store = open_or_build(path, Path(index) if index else default_place(path), reader, progress, skipped)
        calibration = Calibration.load(Path(answerer or DEFAULT))
        return cls(store, Retriever(store, reader, calibration.dense), load_answerer(answerer, template, grounded), calibration, threshold)

    def document(self, doc_id: str) -> Document:
        """The cleaned document. Raises KeyError where there is none of that id."""
        return self.store.documents[doc_id]

    def names(self) -> list[str]:
        """What a :class:`Scope` may name here: the subfolders that hold documents, each with a slash at its end, then the documents."""
        folders = {f"{folder}/" for name in self.store.documents for folder in PurePosixPath(name).parents if folder.name}
        return [*sorted(folders), *sorted(self.store.documents)]

    def check(self, citation: Citation) -> Literal["valid", "changed", "removed"]:
        """Whether a citation that was kept still proves what it did: its document may have been changed, or removed, since."""
        document = self.store.documents.get(citation.doc_id)
        if document is None:
            return "removed"
        same = citation.source in ("", text_digest(document.text))
        return "valid" if same and document.text[citation.start : citation.end] == citation.quote else "changed"

    def ask(
        self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True, scope: Scope = EVERYWHERE, *, complete: bool = False
    ) -> Answer:
        """Answer ``question`` from the documents in ``scope``; ``history`` holds earlier ``(question, answer)`` turns, oldest first.

        With ``rewrite`` false the question is searched as it is. ``complete`` says that ``history`` holds questions as they were searched
        (:attr:`Answer.rewritten`), not as they were typed. Raises QuestionError where it is empty or too long, ScopeError
        where no document is in ``scope``.
        """
        began = time.perf_counter()
        question = checked(question)
        history = [(q, "" if a == REFUSED else a) for q, a in history]  # a refusal is no answer to go on from
        asked = standalone_question(question, history, complete) if rewrite else question
        # The turn before leads to the passage, even where the completed question has lost some of its words …
        hits = self.retriever.search(asked if asked == question else f"{history[-1][0]} {asked}", scope=scope)
        if rewrite and history and asked == question:  # … or leans in a way that no rule saw; then it stays as it was typed
            hits = joined(hits, self.retriever.search(f"{history[-1][0]} {asked}", scope=scope))
        read = question_in_context(question, asked, history, complete) if rewrite and self.answerer.follows else asked
        spans = self.candidates(read, worth_reading(hits))
        hits = settled(hits, best_odds(spans))
        ranked = self.calibration.ranked(asked, [span for span in spans if span.start < span.end], self.store.documents)
        if not ranked:
            unsupported = spans[0].said if spans else ""
            return Answer(question, asked, REFUSED, (), hits, 0.0, True, time.perf_counter() - began, unsupported=unsupported)
        confidence, best = ranked[0]
        verdict = None
        if self.calibration.verdict and self.answerer.judges and (wants_verdict(asked) or wants_verdict(question)):
            verdict = self.calibration.judged(asked, best, self.document(best.hit.passage.doc_id))
        parts, citations = self._cited(compose(asked, ranked, self.store.documents, self.threshold, verdict))
        if confidence < self.threshold:
            seconds = time.perf_counter() - began
            return Answer(question, asked, REFUSED, (), hits, confidence, True, seconds, citations[0], search_score=best.hit.score, reader_odds=best.odds)
        text = "".join(part.text for part in parts)
        dates = self._dates(citations)
        return Answer(
            question, asked, text, citations, hits, confidence, False, time.perf_counter() - began, parts=parts, dates=dates,
            search_score=best.hit.score, reader_odds=best.odds,
        )

    def _dates(self, citations: Sequence[Citation]) -> tuple[tuple[str, str], ...]:
        """How the quotes' words of time are to be read; where two citations differ, each reading with its number."""
        found: dict[str, dict[str, int]] = {}
        for citation in citations:
            for word, reading in readings(self.document(citation.doc_id), citation.start, citation.end):
                found.setdefault(word, {}).setdefault(reading, citation.marker)
        return tuple((w, next(iter(r)) if len(r) == 1 else "、".join(f"{reading}[{number}]" for reading, number in r.items())) for w, r in found.items())

    def candidates(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        """What the answerer finds in ``hits``, with cut words and brackets made whole; empty spans are what no passage says."""
        found = []
        for span in self.answerer.answer(question, hits):
            passage = span.hit.passage
            if span.start < span.end:
                start, end = trimmed(self.document(passage.doc_id).text, span.start, span.end, passage.start, passage.end)
                span = replace(span, start=start, end=end)
            found.append(span)
        return found

    def _cited(self, pieces: Sequence[Said]) -> tuple[tuple[Part, ...], tuple[Citation, ...]]:
        """The answer's parts, and a citation for every span of them, numbered from 1."""
        parts: list[Part] = []
        citations: list[Citation] = []
        for piece in pieces:
            if piece.connector:
                parts.append(Part(piece.connector))
            first = len(citations) + 1
            for span in piece.spans:
                passage = span.hit.passage
                document = self.document(passage.doc_id)
                low, high = min(span.start, passage.start), max(span.end, passage.end)  # an item of a list may lie beyond the passage
                citations.append(cite(document, passage.title, span.start, span.end, low, high, len(citations) + 1))
            parts.append(Part(text_of(piece.spans[0], self.store.documents), tuple(range(first, len(citations) + 1))))
        return tuple(parts), tuple(citations)

    def stream(
        self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True, scope: Scope = EVERYWHERE, *, complete: bool = False
    ) -> Generator[str, None, Answer]:
        """The answer's text in pieces. The generator's return value is the whole :class:`Answer`."""
        answer = self.ask(question, history, rewrite, scope, complete=complete)
        for at in range(0, len(answer.text), 4):
            yield answer.text[at : at + 4]
        return answer
