"""Question → hits: dense and lexical search, fused, the best of them ranked again by their sentences. Never generates."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from index.embed import Embedder
from index.lexical import tokens
from index.store import PassageStore
from index.text import sentences
from index.thesaurus import Thesaurus
from index.types import Document, Hit, Passage
from qa.terms import Terms

POOL = 200  # passages that each of the two searches puts forward
DRAWN = 0.4  # how far a question's vector is drawn towards other words for its own, each times its chance
# Passages that are ranked again by their sentences, and what share of their score these have: chosen on held-out training questions among 148,080 passages.
RERANK, CLOSE = 30, 0.7
CROWD, YIELD = 3, 0.9  # each passage of a document after its third stands back by this factor, so that one document does not crowd out the rest
# Of the first TIES hits, those that score this share of the best one are near ties, in which a reader's log-odds say which comes first, each
# worth this much of a score (settled). Chosen on held-out training questions among 12,789 and 148,017 passages.
TIES, TIE, ODDS = 8, 0.8, 0.03
_DATE = re.compile(r"(?:19|20)\d\d(?:-\d\d){0,2}")


class ScopeError(ValueError):
    """A scope that says nothing to be searched; the message says what to do."""


@dataclass(frozen=True)
class Scope:
    """Which documents a question is asked of: those whose id (its path in the folder) fits one of the patterns ``only`` (``*`` stands
    for anything; a folder stands for all in it), dated from ``since`` to ``until``, both included.

    A date is a year, a month or a day: 2021, 2021-06, 2021-06-30. A document without a date is in no span of time. Raises ScopeError.
    """

    only: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        for date in (self.since, self.until):
            if date and not _DATE.fullmatch(date):
                raise ScopeError(f"“{date}”不是日期，请写年、月或日，如 2021、2021-06、2021-06-30 (this is no date: write a year, a month or a day)")

    def holds(self, document: Document) -> bool:
        date = document.meta.get("date", "")
        if (self.since or self.until) and not date:
            return False
        if date[: len(self.since)] < self.since or (self.until and date[: len(self.until)] > self.until):
            return False
        # Brackets stand for themselves: 国发[2021]5号.txt is a name.
        fits = (fnmatchcase(document.id, name.replace("[", "[[]")) or document.id.startswith(name.rstrip("/") + "/") for name in self.only)
        return not self.only or any(fits)


EVERYWHERE = Scope()


def near_ties(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Those of the first TIES ``hits`` that score nearly as much as the best of them; none where there is but one."""
    best = max((hit.score for hit in hits[:TIES]), default=0.0)
    found = tuple(hit for hit in hits[:TIES] if hit.score >= TIE * best)
    return found if len(found) > 1 else ()


def settled(hits: Sequence[Hit], odds: Mapping[str, float]) -> tuple[Hit, ...]:
    """``hits`` with near ties in the order that reading them gives: by score and by ``odds``, a reader's log-odds that the passage of that
    id answers the question (held to ±8; −8 where it has none). Scores stay, ranks are counted anew."""
    ties = {hit.passage.id for hit in near_ties(hits)}

    def worth(hit: Hit) -> float:
        return hit.score + ODDS * max(-8.0, min(8.0, odds.get(hit.passage.id, -8.0)))

    first = sorted((hit for hit in hits if hit.passage.id in ties), key=worth, reverse=True)
    return tuple(replace(hit, rank=n) for n, hit in enumerate((*first, *(hit for hit in hits if hit.passage.id not in ties)), 1))


class Retriever:
    """``search`` ranks the passages of one store. ``dense`` between 0 (words alone) and 1 (vectors alone); ``rerank`` passages are ranked
    again by their sentences. Other words than the question's are found by ``thesaurus`` (the shipped one; an empty one for none)."""

    def __init__(self, store: PassageStore, embedder: Embedder, dense: float = 0.5, rerank: int = RERANK, thesaurus: Thesaurus | None = None):
        if not 0 <= dense <= 1:
            raise ValueError(f"the dense share is {dense}: choose one between 0 and 1")
        self.store, self.embedder, self.dense, self.rerank = store, embedder, dense, rerank
        self.thesaurus = Thesaurus.load() if thesaurus is None else thesaurus

    def search(self, question: str, k: int = 10, scope: Scope = EVERYWHERE) -> tuple[Hit, ...]:
        """The ``k`` best passages of the documents in ``scope``, best first; fewer where there are fewer, none where nothing matches at all.

        A score is the weighted sum of the cosine and of the BM25 score (:meth:`qa.terms.Terms.scores`) as a share of the best one; with
        ``rerank``, CLOSE of it is of the passage's best sentences (:meth:`_best_sentences`). Where one document has many hits, later ones
        stand behind other documents' of about the same score. Raises ScopeError where no document is in ``scope``.
        """
        terms = Terms(question, self.store.lexical, self.thesaurus)
        lexical = terms.scores()
        inside = None if scope == EVERYWHERE else self._inside(scope)
        if inside is not None:
            lexical = np.where(inside, lexical, 0)
        best = float(lexical.max(initial=0.0))
        pool = max(POOL, k)
        near, vector = np.zeros(0, np.int64), None
        if self.dense > 0:
            vector = self._vector(question, terms)
            if inside is None:
                near = np.array([row for row, _ in self.store.dense(vector, pool)], np.int64)
            else:
                rows = np.flatnonzero(inside)
                near = rows[np.argsort(-(self.store.vectors[rows] @ vector), kind="stable")[:pool]]
        rows = np.union1d(np.argsort(-lexical, kind="stable")[:pool], near)
        rows = rows if inside is None else rows[inside[rows]]
        scores = (1 - self.dense) * lexical[rows] / best if best > 0 else np.zeros(len(rows), np.float32)
        if self.dense > 0:
            scores = scores + self.dense * np.maximum(self.store.vectors[rows] @ vector, 0.0)
        if self.rerank and len(rows) and (self.embedder.light or self.dense < 1):
            best_rows = np.argsort(-scores, kind="stable")[: self.rerank]
            scores = scores * (1 - CLOSE)
            scores[best_rows] += CLOSE * self._best_sentences(terms, vector, [self.store.passages[rows[i]] for i in best_rows])
        seen: collections.Counter[str] = collections.Counter()
        found = []
        for i in (i for i in np.argsort(-scores, kind="stable") if scores[i] > 0):
            passage = self.store.passages[rows[i]]
            found.append((float(scores[i]) * YIELD ** max(0, seen[passage.doc_id] + 1 - CROWD), float(scores[i]), passage))
            seen[passage.doc_id] += 1
        found.sort(key=lambda hit: -hit[0])
        return tuple(Hit(passage, score, rank) for rank, (_, score, passage) in enumerate(found[:k], 1))

    def _vector(self, question: str, terms: Terms) -> np.ndarray:
        """The question's vector, drawn towards those of its words' others; not for a model that embeds slowly, and knows such words itself."""
        vector = self.embedder.encode_question(question)
        if not (terms.others and self.embedder.light):
            return vector
        others = self.embedder.encode([other.word for other in terms.others])
        vector = vector + DRAWN * (others * np.array([[other.chance] for other in terms.others], np.float32)).sum(0)
        return vector / (float(np.linalg.norm(vector)) or 1.0)

    def _best_sentences(self, terms: Terms, vector: np.ndarray | None, passages: Sequence[Passage]) -> np.ndarray:
        """``(passages,)``: of each passage the score of its best sentence or two neighbouring ones, title and heading with them.

        That is the share of the question that they say, and the cosine, weighed as passages are. Passages
        hold several facts, of which a question asks for one. Only a light embedder is asked for cosines: others would take too long.
        """
        rows, shares, ends = [], [], []
        for passage in passages:
            around = "\n".join(part for part in (passage.title, passage.heading) if part)
            spans = sentences(passage.text) or [(0, len(passage.text))]
            held = [terms.needed & set(tokens(passage.text[a:b])) for a, b in spans]
            named = terms.needed & set(tokens(around))
            windows = [(i, i) for i in range(len(spans))] + [(i, i + 1) for i in range(len(spans) - 1)]
            rows.append((around, passage.text, [(spans[first][0], spans[last][1]) for first, last in windows]))
            shares += [terms.share(named | held[first] | held[last]) for first, last in windows]
            ends.append(len(shares))
        scores = np.array(shares, np.float32)
        if vector is not None and self.embedder.light:
            scores = (1 - self.dense) * scores + self.dense * np.maximum(self.embedder.encode_spans(rows) @ vector, 0.0)
        return np.array([scores[a:b].max() for a, b in zip([0, *ends], ends, strict=False)], np.float32)

    def _inside(self, scope: Scope) -> np.ndarray:
        """``(passages,)`` bool: which passages are of a document in ``scope``."""
        held = {name for name, document in self.store.documents.items() if scope.holds(document)}
        if not held:
            raise ScopeError("没有符合条件的文档，请放宽文件名或日期 (no document is among those to be searched: widen the names or the dates)")
        return np.array([passage.doc_id in held for passage in self.store.passages])
