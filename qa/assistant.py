"""The one place that knows the order of the steps: complete the question, search, read, check, cite."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from index.embed import Embedder
from index.store import PassageStore, default_place, open_or_build
from index.types import Document
from qa.answerer import DEFAULT, Answerer, Span, load_answerer
from qa.citations import cite
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
    '突破210亿元'
    """

    def __init__(self, store: PassageStore, retriever: Retriever, answerer: Answerer, calibration: Calibration, threshold: float | None = None):
        self.store, self.retriever, self.answerer, self.calibration = store, retriever, answerer, calibration
        self.threshold = calibration.threshold if threshold is None else threshold

    @classmethod
    def open(
        cls, folder: str | Path, *, index: str | Path | None = None, embedder: str | Path | None = None, answerer: str | Path | None = None,
        template: str = "t5", threshold: float | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None, skipped: Callable[[str, str], None] = lambda name, why: None,
    ) -> Assistant:
        """Open ``folder``: build its index on first use, bring it up to date where files changed, reuse it otherwise.

        ``embedder`` and ``answerer`` take a model's folder (or hub name with JUDIAN_ONLINE=1) in place of the shipped ones.
        ``threshold`` between 0 and 1 is the least confidence of an answer that is given (default: the calibrated one).
        Raises LoadError, StoreError or ModelError, each with what to do.
        """
        path = Path(folder)
        reader = Embedder(embedder)
        store = open_or_build(path, Path(index) if index else default_place(path), reader, progress, skipped)
        calibration = Calibration.load(Path(answerer or DEFAULT))
        return cls(store, Retriever(store, reader, calibration.dense), load_answerer(answerer, template), calibration, threshold)

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
        found = self.calibration.best(asked, self.answerer.answer(asked, hits[:READ]), self.store.documents)
        if found is None:
            return Answer(question, asked, REFUSED, (), hits, 0.0, True, time.perf_counter() - began)
        passage = found.hit.passage
        document = self.document(passage.doc_id)
        found = trimmed(document.text, found)
        confidence = self.calibration.confidence(asked, found, document)
        citation = cite(document, passage.title, found.start, found.end, passage.start, passage.end, 1)
        if confidence < self.threshold:
            return Answer(question, asked, REFUSED, (), hits, confidence, True, time.perf_counter() - began, citation)
        text = document.text[found.start : found.end]
        return Answer(question, asked, text, (citation,), hits, confidence, False, time.perf_counter() - began)

    def stream(self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True) -> Generator[str, None, Answer]:
        """The answer's text in pieces. The generator's return value is the whole :class:`Answer`."""
        answer = self.ask(question, history, rewrite)
        for at in range(0, len(answer.text), 4):
            yield answer.text[at : at + 4]
        return answer

_OUTER = " \t\n，,。；;、：:"
_PAIRS = {"“": "”", "《": "》", "(": ")", "（": "）", "「": "」", "〔": "〕", "‘": "’"}


# A number with its decimals and percent sign, a Latin word: never quoted in part.
_WORD = re.compile(r"[0-9A-Za-z]+(?:[.,][0-9]+)*[%％]?")
_UNIT = re.compile(r"工作日|月|百分点|小时")


def trimmed(text: str, span: Span) -> Span:
    """``span`` with the numbers, Latin words and units that it cuts made whole, without outer spaces and marks, and
    without a bracket or quote whose other half is outside. It stays within its passage."""
    start, end = span.start, span.end
    low, high = span.hit.passage.start, span.hit.passage.end
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
            return Span(span.hit, start, end, span.score, span.none)
