"""Which span to answer with, and how sure to be: a logistic regression over the reader's and the search's scores.

Its numbers belong to the answerer's weights and lie beside them in ``calibration.json``,
fitted on held-out training questions by ``python -m train.calibrate``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from index.lexical import load_synonyms, tokens
from index.text import fold
from index.types import Document, Passage
from qa.answerer import Span

_YEAR = re.compile(r"(?:19|20)\d\d(?=年|[ 　]|$)")
_ZONES = "综保区|经开区|高新区|开发区|自贸区|保税区"
_ZONE = re.compile(rf"([\u4e00-\u9fff]{{2}})({_ZONES})")
# What stands before a zone word without naming one.
_ANY = {"全国", "全省", "全市", "国家", "这个", "哪个", "哪些", "那个", "各个", "所有", "其他", "我们", "整个", "一个", "两个", "几个", "综合", "技术", "产业", "经济", "是否", "以及", "参与", "考核", "关于", "什么"}


@lru_cache(maxsize=256)
def canonical(text: str) -> str:
    """Folded text with each synonym by its first word, without spaces. Given the same string object again it costs nothing."""
    text = fold(text)
    for variant, word in load_synonyms():
        text = text.replace(variant, word)
    return text.replace(" ", "")


@lru_cache(maxsize=256)
def _years(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"(?:19|20)\d\d", text))


def _said(passage: Passage, document: Document) -> tuple[str, str]:
    """What ``document`` says, as :func:`canonical`: its titles and date, its text. Apart, so that the long text is looked at once."""
    return canonical("\n".join((document.title, passage.title, document.meta.get("date", "")))), canonical(document.text)


def contradicted(question: str, passage: Passage, document: Document) -> bool:
    """Whether ``question`` names a year or a zone that neither the passage's article nor the document's date holds."""
    asked, said = canonical(question), _said(passage, document)
    if any(not any(year in _years(part) for part in said) for year in _YEAR.findall(asked)):
        return True
    return any(place not in _ANY and not any(place + zone in part for part in said) for place, zone in _ZONE.findall(asked))


_ASKING = re.compile(r"(?:[是为有达在叫指于]|(?<=\d)年)*(?:多少|什么时候|什么|哪[些个家位里儿年天]?|谁|怎么样?|如何|为什么|为何|几|多[大长久])|(?<=\d)[年月日]|请问|吗|呢|啥|是否|有没有|是指|指的是")


def _asked(question: str) -> set[str]:
    """The question's numbers, words and character pairs, those that merely ask left out."""
    return {t for t in tokens(_ASKING.sub(" ", fold(question))) if len(t) > 1 or t.isdigit()}


def unheard(question: str, passage: Passage, document: Document) -> float:
    """The share of the question's tokens that stand nowhere in the document: another year, name or thing than it speaks of."""
    asked = _asked(question)
    said = _said(passage, document)
    return sum(not any(token in part for part in said) for token in asked) / len(asked) if asked else 1.0


def coverage(question: str, passage: Passage) -> float:
    """The share of the question's tokens, question words left out, that the passage, its title or heading hold."""
    asked = _asked(question)
    if not asked:
        return 0.0
    return len(asked & set(tokens("\n".join((passage.title, passage.heading, passage.text))))) / len(asked)


def features(question: str, span: Span, document: Document) -> tuple[float, ...]:
    """Reader's odds against "no answer" and log-probability (both held to ±8), search score, coverage, what is unheard of."""
    odds = span.score - span.none if math.isfinite(span.none) else span.score
    passage = span.hit.passage
    return max(-8.0, min(8.0, odds)), max(-8.0, span.score), span.hit.score, coverage(question, passage), unheard(question, passage, document)


@dataclass(frozen=True)
class Calibration:
    """``dense`` is the vectors' share in search, ``weights`` the regression (constant first, then :func:`features`)."""

    dense: float = 0.35
    weights: tuple[float, ...] = (-2.0, 0.35, 0.1, 1.0, 2.0, -1.0)
    threshold: float = 0.35

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """The calibration beside an answerer's weights; the general one where there is none."""
        path = folder / "calibration.json"
        if not path.is_file():
            return cls()
        row = json.loads(path.read_text("utf-8"))
        return cls(row["dense"], tuple(row["weights"]), row["threshold"])

    def best(self, question: str, spans: Sequence[Span], documents: Mapping[str, Document]) -> Span | None:
        """The span of which we are surest; one whose article does not hold the question's year or zone only where no other is left."""

        def key(span: Span) -> tuple[bool, float]:
            passage = span.hit.passage
            return not contradicted(question, passage, documents[passage.doc_id]), self._odds(question, span, documents[passage.doc_id])

        return max(spans, key=key, default=None)

    def _odds(self, question: str, span: Span, document: Document) -> float:
        """The logarithm of the odds that ``span`` answers ``question``."""
        return self.weights[0] + sum(w * f for w, f in zip(self.weights[1:], features(question, span, document), strict=True))

    def confidence(self, question: str, span: Span, document: Document) -> float:
        """The chance, between 0 and 1, that ``span`` answers ``question``. A year or zone that the article does
        not hold cuts it to a fifth."""
        chance = 1 / (1 + math.exp(-self._odds(question, span, document)))
        return chance * 0.2 if contradicted(question, span.hit.passage, document) else chance
