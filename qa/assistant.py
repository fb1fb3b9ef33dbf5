"""The one place that knows the order of the steps: complete the question, search, read, check, cite."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from index.embed import Embedder
from index.store import PassageStore, default_place, open_or_build
from index.types import Document
from qa.answerer import DEFAULT, Answerer, load_answerer
from qa.citations import cite, trimmed
from qa.confidence import Calibration
from qa.followup import standalone_question
from qa.retriever import Retriever
from qa.types import Answer

MAX_QUESTION = 500
READ = 5  # passages read for one question
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

    def ask(self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True) -> Answer:
        """Answer ``question``; ``history`` holds earlier ``(question, answer)`` turns, oldest first.

        With ``rewrite`` false the question is searched as it is. Raises QuestionError where it is empty or too long.
        """
        began = time.perf_counter()
        question = checked(question)
        asked = standalone_question(question, history) if rewrite else question
        hits = self.retriever.search(asked)
        spans = self.answerer.answer(asked, hits[:READ])
        found = self.calibration.best(asked, [span for span in spans if span.start < span.end], self.store.documents)
        if found is None:
            unsupported = spans[0].said if spans else ""
            return Answer(question, asked, REFUSED, (), hits, 0.0, True, time.perf_counter() - began, unsupported=unsupported)
        passage = found.hit.passage
        document = self.document(passage.doc_id)
        confidence = self.calibration.confidence(asked, found, document)
        start, end = trimmed(document.text, found.start, found.end, passage.start, passage.end)
        citation = cite(document, passage.title, start, end, passage.start, passage.end, 1)
        if confidence < self.threshold:
            return Answer(question, asked, REFUSED, (), hits, confidence, True, time.perf_counter() - began, citation)
        text = document.text[start:end]
        return Answer(question, asked, text, (citation,), hits, confidence, False, time.perf_counter() - began)

    def stream(self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True) -> Generator[str, None, Answer]:
        """The answer's text in pieces. The generator's return value is the whole :class:`Answer`."""
        answer = self.ask(question, history, rewrite)
        for at in range(0, len(answer.text), 4):
            yield answer.text[at : at + 4]
        return answer
