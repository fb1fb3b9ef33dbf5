"""Which span to answer with, and how sure to be: a logistic regression over the reader's and the search's scores.

Its numbers belong to the answerer's weights and lie beside them in ``calibration.json``,
fitted on held-out training questions by ``python -m train.calibrate``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from index.embed import ModelError
from index.lexical import load_synonyms, tokens
from index.text import fold
from index.thesaurus import Thesaurus
from index.types import Document, Passage
from qa.answerer import Span
from qa.citations import proving_span
from qa.dates import clash, named_years, years
from qa.measures import mismatched
from qa.names import numbered, places

_PLACES = "省|市|县|区|镇|乡|村|街道"
# A zone by name: the two characters before the word …
_ZONE = re.compile(rf"([\u4e00-\u9fff]{{2}})(?:{_PLACES})?(综保区|经开区|高新区|开发区|自贸区|保税区)")
# … unless they name none: 几个开发区, 国家高新区, 位于经开区, 目前综保区.
_NO_NAME = re.compile(
    "^[在是和与及到为对从向由把被让给于往了请问有该这那哪此各每某全几两整前去今明其当所个]|[国省市县区个几些么家哪此的在有于前年级座类批多少和与及问合术业济"
    "否考到入进展是名一二两三四五六七八九十节目地本当同别他它位内成出准管]$|^(?:申报|申请|依托|围绕|新增|批准|成立|离开|帮扶|封关|监管|完善|提升|落户|入驻|进驻|建设|支持|推动|管理|打造|优化|设立|集聚|参观|投资|服务|高新)$"
)


@lru_cache(maxsize=256)
def canonical(text: str) -> str:
    """Folded text with each synonym by its first word, without spaces. Given the same string object again it costs nothing."""
    text = fold(text)
    for variant, word in load_synonyms():
        text = text.replace(variant, word)
    return text.replace(" ", "")


def _said(passage: Passage, document: Document) -> tuple[str, str]:
    """What ``document`` says, as :func:`canonical`: its titles and date, its text. Apart, so that the long text is looked at once."""
    return canonical("\n".join((document.title, passage.title, document.meta.get("date", "")))), canonical(document.text)


def contradicted(question: str, passage: Passage, document: Document) -> bool:
    """Whether ``question`` names a year or a zone that neither the document nor its date holds."""
    if asked := named_years(question, between=False):
        told = years(document.text, document).union(*map(_figures, (document.title, passage.title, document.text, document.meta.get("date", ""))))
        if not asked <= told:
            return True
    return _other_zone(question, _said(passage, document))


@lru_cache(maxsize=256)
def _figures(text: str) -> frozenset[int]:
    """Whatever looks like a year."""
    return frozenset(int(year) for year in re.findall(r"(?:19|20)\d\d", fold(text)))


@lru_cache(maxsize=256)  # many spans share a passage
def _other_zone(question: str, said: tuple[str, str]) -> bool:
    zones = [(place, zone) for place, zone in _ZONE.findall(canonical(question)) if not _NO_NAME.search(place)]
    # 南通经开区 is called 南通开发区, too.
    forms = [f"{place}(?:{_PLACES})?{'(?:经开区|开发区)' if zone in ('经开区', '开发区') else zone}" for place, zone in zones]
    return any(not any(re.search(form, part) for part in said) for form in forms)


_ASKING = re.compile(r"(?:[是为有达在叫指于]|(?<=\d)年)*(?:多少|什么时候|什么|哪[些个家位里儿年天]?|谁|怎么样?|如何|为什么|为何|几|多[大长久])|(?<=\d)[年月日]|请问|吗|呢|啥|是否|有没有|是指|指的是")


@lru_cache(maxsize=256)
def _asked(question: str) -> tuple[dict[str, float], tuple[tuple[frozenset[str], tuple[frozenset[str], ...]], ...]]:
    """The question's numbers, words and character pairs, those that merely ask left out, each with the chance that a passage that answers
    holds it; and of its words that have others the tokens, and those of each other word."""
    thesaurus, said = Thesaurus.load(), _ASKING.sub(" ", fold(question))
    weights = {t: 1 / (1 + math.exp(-thesaurus.told.get(t, 0.0))) for t in tokens(said) if len(t) > 1 or t.isdigit()}
    phrases = ((said[a:b], others) for a, b, others in thesaurus.phrases(said))
    return weights, tuple((frozenset(tokens(word)), tuple(o.needs for o in others if o.sure)) for word, others in phrases)


@lru_cache(maxsize=256)
def coverage(question: str, *texts: str) -> float:
    """How much of the question the ``texts`` say together, in its own words or others, from 0 to 1; question words are left out."""
    weights, others = _asked(question)
    held = set(tokens("\n".join(texts)))
    told = held.union(*(own for own, instead in others if any(needs <= held for needs in instead)))
    return sum(w for t, w in weights.items() if t in told) / sum(weights.values()) if weights else 0.0


_COUNT = re.compile("多少|几(?!乎|率|何)|多[大长高宽重]")
_WHEN = re.compile("什么时候|啥时候|何时|哪天|哪一?年|哪个?月|几月|几号|几点")
_FIGURE = re.compile("[0-9零一二三四五六七八九十百千万亿两半]")
_TIME = re.compile("[0-9年月日号时点周天季初末底前后]")


def unfit(question: str, answer: str) -> bool:
    """Whether ``answer`` holds no figure where ``question`` asks for one, figures of another kind only, or no time where it asks for a time."""
    question, answer = fold(question), fold(answer)
    if _WHEN.search(question):
        return not _TIME.search(answer)
    return (bool(_COUNT.search(question)) and not _FIGURE.search(answer)) or mismatched(question, answer)


def features(question: str, span: Span, document: Document, best: float) -> tuple[float, ...]:
    """What speaks for and against ``span``: the reader's odds against "no answer" (held to ±8), the search score as a share of ``best``, the
    highest there is; the question's coverage by passage and by proving sentence, each with title and heading; another time, the wrong
    kind of answer, a place that the document never names, a number that the passage lacks."""
    passage = span.hit.passage
    a, b = proving_span(document.text, span.start, span.end, passage.start, passage.end)
    said, around = document.text[a:b], (passage.title, passage.heading)
    return (
        max(-8.0, min(8.0, span.odds)), span.hit.score / best if best > 0 else 0.0,
        coverage(question, passage.text, *around), coverage(question, said, *around),
        float(clash(question, said, document)), float(unfit(question, document.text[span.start : span.end])),
        float(not places(question) <= places(document.title) | places(document.text)),
        float(not numbered(question) <= numbered(passage.text) | numbered("\n".join((*around, document.title)))),
    )


def judging(question: str, span: Span, document: Document) -> tuple[float, ...]:
    """What speaks for and against the yes or no of ``span``, the surest one: its :func:`features` but the search score, and how sure the reader is of it."""
    odds, _, *others = features(question, span, document, 1.0)
    return odds, *others, min(8.0, abs(span.yes))


def _best(spans: Iterable[Span]) -> float:
    return max((span.hit.score for span in spans), default=0.0)


@dataclass(frozen=True)
class Calibration:
    """``dense`` is the vectors' share in search, ``weights`` the regression (constant first, then :func:`features`); ``verdict`` the one
    for yes and no (constant, then :func:`judging`)."""

    dense: float = 0.5
    weights: tuple[float, ...] = (-3.0, 0.4, 2.0, 1.0, 1.0, -1.0, -0.5, -1.0, -0.5)
    threshold: float = 0.35
    verdict: tuple[float, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """The calibration beside an answerer's weights; the general one where there is none. Raises ModelError where it is of another version."""
        path = folder / "calibration.json"
        if not path.is_file():
            return cls()
        row = json.loads(path.read_text("utf-8"))
        found = cls(row["dense"], tuple(row["weights"]), row["threshold"], tuple(row.get("verdict", ())))
        if len(found.weights) != len(cls.weights) or len(found.verdict) not in (0, len(cls.weights)):
            raise ModelError(f"{path} belongs to another version of the program: run python -m train.calibrate, or take it away for a general calibration")
        return found

    def ranked(self, question: str, spans: Sequence[Span], documents: Mapping[str, Document]) -> list[tuple[float, Span]]:
        """``(confidence, span)``, the surest first; one whose document does not hold the question's year or zone only after all others.

        A confidence is the chance, between 0 and 1, that the span answers ``question``; such a year or zone cuts it to a fifth.
        """
        found, best = [], _best(spans)
        for span in spans:
            document = documents[span.hit.passage.doc_id]
            chance = _chance(self.weights, features(question, span, document, best))
            against = contradicted(question, span.hit.passage, document)
            found.append((not against, chance * (0.2 if against else 1.0), span))
        found.sort(key=lambda row: row[:2], reverse=True)
        return [(chance, span) for _, chance, span in found]

    def judged(self, question: str, span: Span, document: Document) -> float:
        """The chance that what ``span``, the surest one, says of yes or no is right."""
        chance = _chance(self.verdict, judging(question, span, document))
        return chance * (0.2 if contradicted(question, span.hit.passage, document) else 1.0)


def _chance(weights: Sequence[float], traits: Sequence[float]) -> float:
    odds = weights[0] + sum(w * f for w, f in zip(weights[1:], traits, strict=True))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
