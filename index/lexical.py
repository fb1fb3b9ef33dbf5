"""BM25 over Chinese tokens: character bigrams and single characters, numbers and Latin words whole (bm25s underneath)."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from pathlib import Path

import bm25s
import numpy as np

from index.text import fold

logger = logging.getLogger(__name__)
SPARSE = 15  # characters a token; Chinese text has about half a one, English six
SYNONYMS = Path(__file__).with_name("synonyms.txt")
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*|[a-z][a-z&'-]*|[\u3400-\u9fff]+|[^\s\w]|\w")
_WORD = re.compile(r"[\w&]")


@lru_cache(maxsize=4)
def load_synonyms(path: Path = SYNONYMS) -> tuple[tuple[str, str], ...]:
    """``(variant, canonical)`` pairs, longest variant first. One ``word = word = …`` group a line; the first word counts."""
    rows = []
    for line in path.read_text("utf-8").splitlines():
        words = [fold(w.strip()) for w in line.split("#")[0].split("=") if w.strip()]
        rows += [(w, words[0]) for w in words[1:]]
    return tuple(sorted(rows, key=lambda r: -len(r[0])))


def synonyms_digest() -> str:
    """SHA-256 of the synonym list: an index of words is only good for the list it was built with."""
    return hashlib.sha256(SYNONYMS.read_bytes()).hexdigest()


def tokens(text: str) -> list[str]:
    """Search tokens of ``text``: of each run of Han characters its bigrams and characters; numbers and words whole."""
    text = fold(text.replace("，", " "))  # 2020，2021年 are two numbers; folded, the comma would join them
    for variant, canonical in load_synonyms():
        if variant in text:
            text = text.replace(variant, canonical)
    found = []
    for m in _TOKEN.finditer(text):
        word = m.group()
        if "\u3400" <= word[0] <= "\u9fff":
            found += [word[i : i + 2] for i in range(len(word) - 1)]
            found += word
        elif _WORD.match(word):
            found.append(word.replace(",", ""))
    return found


class LexicalIndex:
    """BM25 scores of a question over texts; row ``i`` is the ``i``-th text."""

    def __init__(self, index: bm25s.BM25, size: int):
        self._index, self.size = index, size

    @classmethod
    def build(cls, texts: Sequence[str]) -> LexicalIndex:
        index = bm25s.BM25(k1=1.2, b=0.6)
        one: dict[str, str] = {}  # each token kept once: as its own string it would take 50 bytes a character of text
        found = [[one.setdefault(t, t) for t in tokens(text)] or ["∅"] for text in texts]
        if sum(map(len, found)) * SPARSE < sum(map(len, texts)):
            logger.warning("these texts hold hardly any words that a search could find (%d tokens in %d characters): is this text?",
                           sum(map(len, found)), sum(map(len, texts)))
        index.index(found, show_progress=False)
        return cls(index, len(texts))

    def scores(self, question: str) -> np.ndarray:
        """``(size,)`` float32, 0 where no token is shared."""
        return self.weighted([(token, 1.0) for token in tokens(question)])

    def weighted(self, asked: Iterable[tuple[str, float]]) -> np.ndarray:
        """``(size,)`` float32: the sum of the tokens' BM25 scores, each times its weight."""
        found = np.zeros(self.size, np.float32)
        for token, weight in asked:
            rows, scores = self._postings(token)
            found[rows] += weight * scores
        return found

    def holding(self, wanted: Set[str]) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, scores)``: the texts that hold all the tokens ``wanted``, and the sums of their BM25 scores."""
        first, *others = sorted((self._postings(token) for token in wanted), key=lambda found: len(found[0]))
        rows, scores = first
        for more, added in others:
            rows, here, there = np.intersect1d(rows, more, assume_unique=True, return_indices=True)
            scores = scores[here] + added[there]
        return rows, scores

    def _postings(self, token: str) -> tuple[np.ndarray, np.ndarray]:
        """The texts that hold ``token``, and its BM25 score in each."""
        if (place := self._index.vocab_dict.get(token)) is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        kept = self._index.scores
        part = slice(kept["indptr"][place], kept["indptr"][place + 1])
        return kept["indices"][part], kept["data"][part]

    def rarity(self, words: Sequence[str]) -> np.ndarray:
        """``(len(words),)`` inverse document frequencies, as BM25 weighs them; a token that no text holds is the rarest."""
        ends, place = self._index.scores["indptr"], self._index.vocab_dict
        held = np.array([ends[place[w] + 1] - ends[place[w]] if w in place else 0 for w in words], np.float64)
        return np.log(1 + (self.size - held + 0.5) / (held + 0.5))

    def save(self, folder: Path) -> None:
        """Plain npy and JSON files, no pickle."""
        self._index.save(str(folder), show_progress=False)

    @classmethod
    def open(cls, folder: Path, size: int) -> LexicalIndex:
        return cls(bm25s.BM25.load(str(folder), show_progress=False), size)
