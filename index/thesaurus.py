"""What a text may say where a question says something else: 娃 and 孩子, 儿童; 花了多少钱 and 耗资, 投资.

The words are written (``train/thesaurus.txt``), their chances counted over training questions and the passages that answer
them (:mod:`train.thesaurus`): a translation table (Berger & Lafferty 1999) that a thesaurus holds to what means the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from index.lexical import tokens
from index.text import fold

DEFAULT = Path(__file__).resolve().parent.parent / "models" / "thesaurus.json"
LONGEST = 12  # characters of a word
SURE = 0.15  # share of its rarity that an alternative must be worth for a reader to be shown it


def log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))


def worth(chance: float, rarity: float) -> float:
    """What an alternative says of a passage that holds it, as a share of what the word itself would: the relevance weight
    (Robertson & Spärck Jones 1976) over the ``rarity``, an inverse document frequency; 0 for one that anything might hold."""
    return min(1.0, max(0.0, 1 + log_odds(chance) / rarity)) if rarity > 0 else 0.0


@dataclass(frozen=True)
class Other:
    """Another word: the chance that a passage that answers holds it where it does not hold the word asked with, and that any passage does."""

    word: str
    chance: float
    base: float

    @property
    def needs(self) -> frozenset[str]:
        """The search tokens that a text must hold of it: its pairs and numbers; of a single character that one."""
        found = tokens(self.word)
        return frozenset(t for t in found if len(t) > 1) or frozenset(found)

    @property
    def sure(self) -> bool:
        return len(self.word) > 1 and worth(self.chance, -math.log(self.base)) > SURE


Phrase = tuple[int, int, tuple[Other, ...]]  # where it stands in the question, and what may stand for it, likeliest first


class Thesaurus:
    """``words`` by their other words, ``{}`` for one that only helps to part a question into words. ``told`` are, for search tokens, the
    log-odds that a passage that answers holds the token asked with, against the average token's of its length: 多少 is hardly ever told."""

    def __init__(self, words: Mapping[str, Mapping[str, tuple[float, float]]], told: Mapping[str, float]):
        self.words, self.told = words, told
        self._phrases = lru_cache(maxsize=4096)(self._part)

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Thesaurus:
        """The one in ``path``, which is kept for the next call; an empty one where there is no such file."""
        return _load(path)

    def phrases(self, question: str) -> tuple[Phrase, ...]:
        """The words of ``question`` that have others."""
        return self._phrases(fold(question))

    def _part(self, question: str) -> tuple[Phrase, ...]:
        """``question`` parted into as few known words and unknown characters as can be."""
        best = [(0, 0)]  # pieces so far, and where the last one begins
        for end in range(1, len(question) + 1):
            starts = (at for at in range(max(0, end - LONGEST), end) if at == end - 1 or question[at:end] in self.words)
            best.append(min((best[at][0] + 1, at) for at in starts))
        found, end = [], len(question)
        while end:
            start = best[end][1]
            if rows := self.words.get(question[start:end]):
                found.append((start, end, tuple(sorted((Other(word, *row) for word, row in rows.items()), key=lambda o: -o.chance))))
            end = start
        return tuple(found[::-1])


@lru_cache(maxsize=4)
def _load(path: Path) -> Thesaurus:
    row = json.loads(path.read_text("utf-8")) if path.is_file() else {"words": {}, "told": {}}
    return Thesaurus(row["words"], row["told"])
