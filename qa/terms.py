"""A question by its words, for one collection: what a text is worth that holds them, or other words for them."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from index.lexical import LexicalIndex, tokens
from index.text import fold
from index.thesaurus import Other, Thesaurus, worth

MOST = 14  # other words looked for in place of one


@dataclass(frozen=True)
class Instead:
    """Another word: the tokens that a text must hold of it, what it is worth, and what share of the BM25 scores of its tokens that is."""

    needs: frozenset[str]
    worth: float
    share: float


class Terms:
    """``weights`` are the question's tokens, each with its inverse document frequency and what the thesaurus says of how often it is told;
    ``whole`` their sum; ``others`` the other words that are looked for, likeliest first. ``needed`` are all tokens that count."""

    def __init__(self, question: str, lexical: LexicalIndex, thesaurus: Thesaurus):
        self._lexical, self._asked = lexical, tokens(question)
        asked = sorted(set(self._asked))
        self._rarity = dict(zip(asked, lexical.rarity(asked).tolist(), strict=True))
        # The odds that a passage lacks the token (its rarity is log(1 + odds)) times those that one that answers holds it.
        self.weights = {t: math.log1p(math.exp(thesaurus.told.get(t, 0.0)) * math.expm1(rarity)) for t, rarity in self._rarity.items()}
        self.whole = sum(self.weights.values()) or 1.0
        question = fold(question)
        phrases = [(question[start:end], others[:MOST]) for start, end, others in thesaurus.phrases(question)]
        split = {other.word: tokens(other.word) for _, others in phrases for other in others}
        parts = sorted({t for found in split.values() for t in found})
        rarity = dict(zip(parts, lexical.rarity(parts).tolist(), strict=True))
        self.others: list[Other] = []
        self._instead: list[tuple[frozenset[str], list[Instead]]] = []
        for word, others in phrases:
            found = []
            for other in others:
                needs = other.needs
                value = worth(other.chance, max((rarity[t] for t in needs), default=0.0))
                if value > 0:
                    whole = sum(rarity[t] for t in set(split[other.word]))
                    found.append(Instead(needs, value * whole, value * whole / sum(rarity[t] for t in needs)))
                    self.others.append(other)
            if found:
                self._instead.append((frozenset(tokens(word)), found))
        self.needed = frozenset(self.weights).union(*(one.needs for _, found in self._instead for one in found))

    def scores(self) -> np.ndarray:
        """``(texts,)`` float32: BM25 by the tokens' weights; a word that a text says otherwise counts as much as the other word is worth."""
        found = self._weighted(self._asked)
        for own, others in self._instead:
            best = np.zeros_like(found)
            for other in others:
                rows, scores = self._lexical.holding(other.needs)
                best[rows] = np.maximum(best[rows], other.share * scores)
            if best.any():
                found += np.maximum(0.0, best - self._weighted(sorted(own)))
        return found

    def _weighted(self, asked: list[str]) -> np.ndarray:
        return self._lexical.weighted([(t, self.weights[t] / self._rarity[t] if self._rarity.get(t) else 0.0) for t in asked if t in self.weights])

    def share(self, held: AbstractSet[str]) -> float:
        """How much of the question a text says that holds the tokens ``held``, from 0 to 1."""
        found = sum(self.weights[t] for t in self.weights.keys() & held)
        for own, others in self._instead:
            said = sum(self.weights.get(t, 0.0) for t in own & held)
            found += max(0.0, max((o.worth for o in others if o.needs <= held), default=0.0) - said)
        return min(1.0, found / self.whole)
