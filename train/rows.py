"""Training rows for the answerer: a question, a passage window, where the answer stands there or that it does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from index.chunk import chunk_document
from index.lexical import LexicalIndex
from index.text import sentences
from index.types import Document
from qa.reading import TURN, Formatter, with_turn
from train import data as sets
from train.questions import make, near_miss

# How often each reading set is drawn: its size, weighed by how near it is to offices' questions.
WEIGHTS = {
    "cmrc2018.train": 0.30, "cmrc2018.trial": 0.05, "drcd.dev": 0.15, "counterterror_news.train": 0.14, "squad11_zh_mt.dev": 0.10,
    "squad2_zh_mt.dev": 0.11, "webqa.test": 0.05, "cjrc.dev": 0.06, "dureader_qg.dev": 0.02, "ncp_policy.train": 0.02,
}
FEW = 0.3  # of our own questions a quarter share less than this with their excerpt (:func:`shared`)
FOLLOWUPS = 0.4  # share of the weight of our own questions that follow-ups have beside it
TEXT_WEIGHTS = {"xwlb_cctv_2012_2026": 0.42, "crud_rag_docs": 0.40, "gov_work_reports_1954_2026": 0.09, "laws_regulations": 0.09}


@dataclass(frozen=True)
class Row:
    """One training row. ``starts`` lists where the answer may begin in ``passage``; empty means "no answer". ``yes`` is 1 or 0 for a
    question of yes or no, whose answer is the sentence that decides, and -1 for others."""

    question: str
    title: str
    passage: str
    answer: str
    starts: tuple[int, ...]
    yes: int = -1


def occurrences(text: str, part: str, limit: int = 8) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0 and len(found) < limit:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def shared(question: str, context: str) -> float:
    """The share of the question's character pairs that stand in ``context``."""
    pairs = {question[i : i + 2] for i in range(len(question) - 1)}
    return sum(pair in context for pair in pairs) / len(pairs) if pairs else 0.0


def is_dev(context: str) -> bool:
    """One context in 25 is never trained on."""
    return sum(map(ord, context[:60])) % 25 == 0


def split(examples: Sequence[sets.Example]) -> tuple[list[sets.Example], list[sets.Example]]:
    """``(to train on, held out)``: by :func:`is_dev`. A held-out excerpt that overlaps one that is trained on is in neither."""
    trained = [x for x in examples if not is_dev(x.context)]
    read: dict[str, set[tuple[int, int]]] = {}
    for x in trained:
        if x.article:
            read.setdefault(x.article, set()).add((x.at, x.at + len(x.context)))
    held = [x for x in examples if is_dev(x.context)]
    return trained, [x for x in held if not any(a < x.at + len(x.context) and x.at < b for a, b in read.get(x.article, ()))]


class Elsewhere:
    """Passages that look as if they answered a question and do not: what a search by words finds for it away from its own context.

    Served, the reader gets some such passages with every question (hard negatives, as in Karpukhin et al. 2020).
    """

    def __init__(self, passages: Sequence[tuple[str, str]]):
        """``passages`` are ``(title, text)``."""
        self.passages = passages
        self._index = LexicalIndex.build([f"{title}\n{text}" for title, text in passages])

    def find(self, question: str, answer: str, context: str, first: int = 8) -> list[tuple[str, str]]:
        """The ``first`` passages for ``question`` that neither lie in ``context`` nor hold ``answer``, best first; none of less than 100 characters."""
        scores = self._index.scores(question)
        top = np.argpartition(-scores, min(2 * first, len(scores) - 1))[: 2 * first]
        rows = [self.passages[i] for i in top[np.argsort(-scores[top], kind="stable")] if scores[i] > 0]
        # Two excerpts of one article may overlap.
        return [(title, text) for title, text in rows if answer not in text and text[100:130] not in context][:first]


class RowSampler:
    """Endless training rows for windows of ``size`` tokens, and fixed development rows."""

    def __init__(self, data: Path, formatter: Formatter, rng: Random, limit: int | None = None, asked: float = 0.35, wrong: float = 0.0, few: float = 1.0):
        """``limit`` articles of each text file are read; ``asked`` is the weight of our own questions beside WEIGHTS, whose sum is 1.

        Of the questions with an answer the share ``wrong`` is put to a passage from elsewhere, and half of it changed to near misses. One of our
        own that shares FEW of its character pairs with its excerpt is drawn ``few`` times as often as another.
        """
        self.rng, self.formatter, self.weights = rng, formatter, {**WEIGHTS, "asked": asked, "followups": asked * FOLLOWUPS}
        examples = [x for x in sets.reading(data) if len(x.answer) <= 60 and (len(x.question) >= 4 or x.before)]
        trained, held = split(examples)
        self.real: dict[str, list[sets.Example]] = {}
        for x in trained:
            self.real.setdefault(x.source, []).append(x)
        self.chances = {"asked": list(itertools.accumulate(few if shared(x.question, x.context) < FEW else 1.0 for x in self.real.get("asked", ())))}
        self.real_dev = [x for x in held if x.source in ("cmrc2018.train", "drcd.dev", "counterterror_news.train")]
        asked_dev = [x for x in held if x.source == "asked"]
        self.asked_dev = [x for x in asked_dev if x.kind not in ("yes", "no", "item")]
        self.judged_dev = [x for x in asked_dev if x.kind in ("yes", "no")]
        self.followups_dev = [x for x in held if x.source == "followups"]
        self.texts, self.texts_dev = {}, []
        unread = {x.article for x in held}
        for name in TEXT_WEIGHTS:
            rows = sets.articles(data, name)[:limit]
            self.texts[name] = [a for a in rows if not is_dev(a[1]) and sets.article_key(a[1]) not in unread]
            if name.startswith(("xwlb", "crud")):
                self.texts_dev += [a for a in rows if is_dev(a[1])]
        shortest = Random(0)
        shortest.shuffle(self.real_dev)
        shortest.shuffle(self.texts_dev)
        self.wrong, self.elsewhere = wrong, Elsewhere(self._passages()) if wrong else None

    def _passages(self, articles: int = 5_000) -> list[tuple[str, str]]:
        """What :class:`Elsewhere` searches: the contexts that are trained on, and the passages of some articles of each text file."""
        found = {x.context: x.title for rows in self.real.values() for x in rows}
        for rows in self.texts.values():
            for title, body in rows[:: max(1, len(rows) // articles)]:
                found |= {p.text: title for p in chunk_document(Document("", title, body, ""))}
        return [(title, text) for text, title in found.items()]

    def _window(self, text: str, start: int, end: int, room: int) -> tuple[str, int]:
        """A window of ``text`` of at most ``room`` characters that holds ``[start, end)``, and where it begins."""
        if self.rng.random() < 0.25:
            room = min(room, max(60, end - start + 20, self.rng.randint(60, max(61, room))))
        low, high = max(0, end - room), min(start, max(0, len(text) - room))
        at = self.rng.randint(min(low, high), max(low, high))
        return text[at : at + room], at

    def real_row(self, x: sets.Example, size: int) -> Row:
        title = x.title if self.rng.random() < 0.6 else ""
        question = with_turn(x.question, *x.before[: 2 if self.rng.random() < 0.7 else 1]) if x.before else x.question
        room = self.formatter.room(question, title, size)
        if x.start < 0:
            at = self.rng.randint(0, max(0, len(x.context) - room))
            return Row(question, title, x.context[at : at + room], "", ())
        end = x.start + len(x.answer)
        if self.rng.random() < 0.09:  # a window of the same text without the answer
            sides = [s for s in (x.context[: x.start], x.context[end:]) if len(s) > 50]
            side = self.rng.choice(sides)[:room] if sides else ""
            if side and x.answer not in side:
                return Row(question, title, side, "", ())
        passage, at = self._window(x.context, x.start, end, room)
        others = (o for o in occurrences(passage, x.answer) if o != x.start - at and len(x.answer) > 1)
        return Row(question, title, passage, x.answer, (x.start - at, *others), {"yes": 1, "no": 0}.get(x.kind, -1))

    def elsewhere_row(self, x: sets.Example, size: int) -> Row | None:
        """The question of ``x`` on a passage from elsewhere, or changed to a near miss on its own: neither has an answer. None for most."""
        rng = self.rng
        if not self.elsewhere or x.start < 0 or x.before or (draw := rng.random()) > self.wrong * 1.5:
            return None
        if not (found := self.elsewhere.find(x.question, x.answer, x.context)):
            return None
        other, text = rng.choice(found)
        titled = rng.random() < 0.6
        if draw < self.wrong:
            title = other if titled else ""
            return Row(x.question, title, text[: self.formatter.room(x.question, title, size)], "", ())
        title = x.title if titled else ""
        passage, _ = self._window(x.context, x.start, x.start + len(x.answer), self.formatter.room(x.question, title, size))
        missed = near_miss(x.question, passage + x.title, text, rng)
        return Row(missed, title, passage, "", ()) if missed else None

    def made_row(self, article: tuple[str, str], other: tuple[str, str], size: int) -> Row | None:
        rng = self.rng
        title, body = article
        shift = rng.randint(0, max(0, len(body) - 3000))
        body = body[shift : shift + 3000]
        spans = [(s, e) for s, e in sentences(body) if e - s > 10]
        if not spans:
            return None
        # Of two sentences rather the one with more figures: which of them is asked for is the hard part.
        s, e = max(rng.choices(spans, k=rng.choice((1, 2, 3))), key=lambda span: sum(c.isdigit() for c in body[span[0] : span[1]]))
        made = make(body[s:e], title, rng)
        if not made or made[2] - made[1] > 60:
            return None
        question, start, end = made[0], s + made[1], s + made[2]
        answer = body[start:end]
        title = title if rng.random() < 0.6 else ""
        room = self.formatter.room(question, title, size)
        draw = rng.random()
        if draw > 0.94:
            passage, _ = self._window(body, start, end, room)
            return Row(missed, title, passage, "", ()) if (missed := near_miss(question, passage + title, other[1], rng)) else None
        if draw < 0.05 and len(spans) > 4:  # elsewhere in the same article
            text = body[e:][:room] if len(body) - e > s else body[max(0, s - room) : s]
            return Row(question, title, text, "", ()) if len(text) > 40 and answer not in text else None
        if draw < 0.09:  # another article
            return Row(question, title, other[1][:room], "", ()) if answer not in other[1][:room] else None
        if draw < 0.24 and end - start < room // 2:  # two articles in one window, as on a newspaper page
            passage, at = self._window(body, start, end, room // 2)
            extra = other[1][: room - len(passage)]
            if rng.random() < 0.5:
                return Row(question, title, passage + extra, answer, (start - at,))
            return Row(question, title, extra + passage, answer, (start - at + len(extra),))
        passage, at = self._window(body, start, end, room)
        return Row(question, title, passage, answer, (start - at,))

    def row(self, size: int, made: float) -> Row:
        """One row; ``made`` is the chance that its question is made in place."""
        rng = self.rng
        while True:
            if rng.random() < made:
                name = rng.choices(list(TEXT_WEIGHTS), list(TEXT_WEIGHTS.values()))[0]
                row = self.made_row(rng.choice(self.texts[name]), rng.choice(self.texts[name]), size)
            else:
                source = rng.choices(list(self.real), [self.weights[name] for name in self.real])[0]
                x = rng.choices(self.real[source], cum_weights=self.chances.get(source))[0]
                row = self.elsewhere_row(x, size) or self.real_row(x, size)
            if row:
                return self._slip(row)

    def batches(self, size: int, made: float, count: int, many: int = 12) -> list[tuple[int, list[Row]]]:
        """``many`` batches in random order, each of rows alike in length, with the width in tokens that holds its longest."""
        rows = sorted((self.row(size, made) for _ in range(count * many)), key=self._length)
        groups = [rows[at : at + count] for at in range(0, len(rows), count)]
        self.rng.shuffle(groups)
        return [(min(size, -(-self._length(group[-1]) // 16) * 16), group) for group in groups]

    def _length(self, row: Row) -> int:
        return self.formatter.length(row.question, row.title, row.passage)

    def _slip(self, row: Row) -> Row:
        """One question in 25 gets a wrong character, as typing does."""
        q = row.question
        if self.rng.random() < 0.04 and len(q) > 8 and q[at := self.rng.randrange(len(q) - 3)] != TURN:
            q = q[:at] + self.rng.choice(row.passage or q) + q[at + 1 :]
            return replace(row, question=q)
        return row

    def dev(self, size: int, count: int) -> dict[str, list[Row]]:
        kept, self.rng = self.rng, Random(1)
        real = [self.real_row(x, size) for x in self.real_dev[:count]]
        asked = [self.real_row(x, size) for x in self.asked_dev[:count]]
        judged = [self.real_row(x, size) for x in self.judged_dev[:count]]
        followups = [self.real_row(x, size) for x in self.followups_dev[:count]]
        made: list[Row] = []
        while len(made) < count:
            if row := self.made_row(self.rng.choice(self.texts_dev), self.rng.choice(self.texts_dev), size):
                made.append(row)
        self.rng = kept
        return {name: rows for name, rows in (("real", real), ("asked", asked), ("followups", followups), ("judged", judged), ("made", made)) if rows}


def tensors(rows: list[Row], formatter: Formatter, size: int) -> dict[str, Any]:
    """The keyword arguments of :meth:`CopyModel.forward`."""
    batch, offsets = formatter.batch([(r.question, r.title, r.passage) for r in rows], size)
    starts = torch.tensor([o + r.starts[0] if r.starts else 0 for r, o in zip(rows, offsets, strict=True)])
    lengths = torch.tensor([len(r.answer) if r.starts else 0 for r in rows])
    also = torch.zeros_like(batch["copyable"])
    for i, (r, o) in enumerate(zip(rows, offsets, strict=True)):
        also[i, [o + s for s in r.starts if o + s < size]] = True
    yes = torch.tensor([r.yes if r.starts else -1 for r in rows])
    return {**batch, "starts": starts, "lengths": lengths, "also": also & batch["copyable"], "yes": yes}


class Stream(IterableDataset):
    """Endless batches, as :func:`tensors`, for a DataLoader; each of its workers draws with a seed of its own.

    ``plan(done)`` says, for the share of the training that is done (``progress.value``), how many tokens a row, which
    share of in-place questions and how many rows a batch.
    """

    def __init__(self, sampler: RowSampler, plan: Callable[[float], tuple[int, float, int]], progress: Any, seed: int):
        self.sampler, self.plan, self.progress, self.seed = sampler, plan, progress, seed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        self.sampler.rng.seed(f"{self.seed}/{worker.id if worker else 0}")
        while True:
            size, made, count = self.plan(self.progress.value)
            for width, rows in self.sampler.batches(size, made, count):
                yield tensors(rows, self.sampler.formatter, width)
