"""Scores of answers, hits and citations, and the statistics over them. Pure functions; every score is 0 to 1, more is better.

The answer scores take ``folded``: false is the official CMRC 2018 scoring, for the benchmarks; true first maps traditional
to simplified and full-width to half-width (:func:`index.text.fold`) and leaves out inner spaces and thousands commas, for `eval run`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np

from index.text import fold
from index.types import Hit
from qa.compose import CONNECTORS, bare
from qa.types import Answer, Citation

# The list of ymcui/cmrc2018 cmrc2018_evaluate.py; its "……" has two characters, so it never matches one there either.
_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_FOLDED_MARKS = _MARKS | {fold(mark) for mark in _MARKS}
_HAN = re.compile("([\u4e00-\u9fa5])")
_RUN = re.compile(r"[^\W_]+(?:\.[^\W_]+|,\d+)*|\S")  # words, and numbers with their points and commas, as nltk keeps them
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|[〇零一二两三四五六七八九十百千]+")

Texts = Callable[[str], str | None]  # document id → its text, None where there is no such document


def _without_marks(text: str, folded: bool, instead: str = "") -> str:
    text = fold(_THOUSANDS.sub("", text)) if folded else text
    marks = _FOLDED_MARKS if folded else _MARKS
    return "".join(instead if c in marks else c for c in text.lower().strip())


def normalise(text: str, folded: bool = False) -> str:
    """``text`` in lower case without outer spaces and the official list's marks (``remove_punctuation`` of the official script)."""
    text = _without_marks(text, folded)
    return squeezed(text) if folded else text


def segments(text: str, folded: bool = False, apart: bool = False) -> list[str]:
    """Chinese characters one by one, other text by words and numbers (``mixed_segmentation(rm_punc=True)``, nltk left out).

    Against nltk, 28 of the 8,367 answers of CMRC 2018 dev and DRCD test are cut otherwise (initials, ″ marks, ℃ after a number).
    The official script joins what stood on both sides of a mark ("2021-5" is "20215"); with ``apart`` a mark separates.
    """
    parts = _HAN.split(_without_marks(text, folded, " " if apart else ""))
    return [token for part in parts for token in _RUN.findall(part)]


def squeezed(text: str) -> str:
    """``text`` without any whitespace."""
    return "".join(c for c in text if not c.isspace())


def exact_match(prediction: str, answers: Sequence[str], folded: bool = False) -> float:
    """1 where the prediction equals an answer after :func:`normalise` (official ``calc_em_score``)."""
    return float(any(normalise(prediction, folded) == normalise(answer, folded) for answer in answers))


def f1_score(prediction: str, answers: Sequence[str], folded: bool = False) -> float:
    """2PR/(P+R) over the longest common substring of :func:`segments`, the best over the answers (official ``calc_f1_score``)."""
    return max((_f1(prediction, answer, folded) for answer in answers), default=0.0)


def _f1(prediction: str, answer: str, folded: bool) -> float:
    mine, gold = segments(prediction, folded), segments(answer, folded)
    common = SequenceMatcher(None, mine, gold, autojunk=False).find_longest_match(0, len(mine), 0, len(gold)).size
    return 2 * common / (len(mine) + len(gold)) if common else 0.0


def contains_answer(prediction: str, answers: Sequence[str], folded: bool = False) -> float:
    """1 where the prediction holds an answer's segments in a row: whole numbers and words, so "17个" does not hold "7个"."""
    return float(any(_holds(prediction, answer, folded) for answer in answers))


def _holds(text: str, answer: str, folded: bool) -> bool:
    mine, gold = segments(text, folded, apart=True), segments(answer, folded, apart=True)
    return bool(gold) and any(mine[at : at + len(gold)] == gold for at in range(len(mine) - len(gold) + 1))


def rouge_l(prediction: str, answers: Sequence[str], folded: bool = False) -> float:
    """F1 over the longest common subsequence of characters, the best over the answers (Lin 2004, beta 1, by character)."""
    best, mine = 0.0, normalise(prediction, folded)
    for gold in (normalise(answer, folded) for answer in answers):
        row = [0] * (len(gold) + 1)
        for c in mine:
            diagonal = 0
            for j, g in enumerate(gold, 1):
                diagonal, row[j] = row[j], (diagonal + 1 if c == g else max(row[j], row[j - 1]))
        best = max(best, 2 * row[-1] / (len(mine) + len(gold)) if row[-1] else 0.0)
    return best


def is_right(prediction: str, answers: Sequence[str], folded: bool = True, length: float = 2.5, least: float = 0.6) -> float:
    """1 where the prediction answers the question by the lenient rule.

    With one of the answers it matches exactly, or holds it and is at most ``length`` times as long (characters after
    :func:`normalise`), or has an F1 of ``least`` and no other number: "2018年5月" is not right where "2017年5月" is asked for.
    """

    def agrees(answer: str) -> bool:
        mine, gold = normalise(prediction, folded), normalise(answer, folded)
        if mine == gold or (_holds(prediction, answer, folded) and len(mine) <= length * len(gold)):
            return True
        numbers, wanted = _numbers(prediction, folded), _numbers(answer, folded)
        return _f1(prediction, answer, folded) >= least and (numbers <= wanted or wanted <= numbers)

    return float(any(agrees(answer) for answer in answers))


def _numbers(text: str, folded: bool) -> set[str]:
    return set(_NUMBER.findall(_without_marks(text, folded, " ")))


def locate(text: str, quote: str) -> list[tuple[int, int]]:
    """``(start, end)`` of every place where ``quote`` stands in ``text``, whitespace apart."""
    places = [i for i, c in enumerate(text) if not c.isspace()]
    bare, wanted, found = squeezed(text), squeezed(quote), []
    at = bare.find(wanted) if wanted else -1
    while at >= 0:
        found.append((places[at], places[at + len(wanted) - 1] + 1))
        at = bare.find(wanted, at + 1)
    return found


def evidence_rank(hits: Sequence[Hit], docs: Sequence[str], evidence: str, answers: Sequence[str], text_of: Texts) -> int | None:
    """The 1-based rank of the first hit on the evidence, None where there is none.

    A hit counts where its ``[start, end)`` of a document in ``docs`` covers the evidence, or covers a part of it that
    holds the answer (the first listed that the evidence holds). Passages do not overlap, so the second case
    arises only where the evidence runs over several of them.
    """
    answer = next((a for a in answers if squeezed(a) in squeezed(evidence)), None)
    spans = {doc: locate(text_of(doc) or "", evidence) for doc in docs}
    for rank, hit in enumerate(hits, 1):
        doc, low, high = hit.passage.doc_id, hit.passage.start, hit.passage.end
        text = text_of(doc) or ""
        for a, b in spans.get(doc, []):
            part = text[max(a, low) : min(b, high)]
            if (low <= a and b <= high) or (answer and _holds(part, answer, folded=False)):
                return rank
    return None


def recall_at(ranks: Sequence[int | None], k: int) -> float:
    """The share of ranks (1-based, None: not found) that are at most ``k``; 0 for no ranks."""
    return _mean(float(rank is not None and rank <= k) for rank in ranks)


def mrr(ranks: Sequence[int | None]) -> float:
    """Mean of 1/rank, 0 for what was not found."""
    return _mean(1 / rank if rank else 0.0 for rank in ranks)


def ndcg(ranks: Sequence[int | None], k: int = 10) -> float:
    """Mean of 1/log2(1 + rank) up to ``k``: nDCG with one relevant passage a question, whose ideal DCG is 1."""
    return _mean(1 / math.log2(1 + rank) if rank and rank <= k else 0.0 for rank in ranks)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def citation_precision(citations: Sequence[Citation], docs: Sequence[str], evidence: str, answers: Sequence[str]) -> float:
    """The share of citations that support the answer: right document, and a quote with the evidence or an accepted answer.

    After ALCE (Gao et al. 2023), with the gold in place of its entailment model. 0 for no citations.
    """
    return _mean(
        float(c.doc_id in docs and (squeezed(evidence) in squeezed(c.quote) or contains_answer(c.quote, answers, folded=True) > 0)) for c in citations
    )


def citation_recall(citations: Sequence[Citation], docs: Sequence[str], evidence: str, answers: Sequence[str]) -> float:
    """1 where at least one citation supports the answer (ALCE's recall of a one-sentence answer)."""
    return float(citation_precision(citations, docs, evidence, answers) > 0)


def offsets_valid(answer: Answer, text_of: Texts) -> float:
    """1 where every offset checks out: citations and hits quote their documents exactly, and the answer's text is made of nothing but
    what its citations mark, and the connectors of :mod:`qa.compose`.

    A refusal must cite nothing, anything else must cite something.
    """
    if answer.refused != (not answer.citations):
        return 0.0
    quotes = [(c.doc_id, c.start, c.end, c.quote) for c in answer.citations]
    if not answer.refused:
        by_marker = {c.marker: c for c in answer.citations}
        named = [marker for part in answer.parts for marker in part.markers]
        if sorted(named) != sorted(by_marker) or "".join(part.text for part in answer.parts) != answer.text:
            return 0.0
        if any(not part.markers and part.text not in CONNECTORS for part in answer.parts):
            return 0.0
        first = [(by_marker[part.markers[0]], part.text) for part in answer.parts if part.markers]
        quotes += [(c.doc_id, c.answer_start, c.answer_end, text) for c, text in first]
        others = [(by_marker[marker], part.text) for part in answer.parts for marker in part.markers[1:]]
        if any(bare((text_of(c.doc_id) or "")[c.answer_start : c.answer_end]) != bare(text) for c, text in others):
            return 0.0
    quotes += [(h.passage.doc_id, h.passage.start, h.passage.end, h.passage.text) for h in answer.hits]
    inside = all(c.start <= c.answer_start and c.answer_end <= c.end for c in answer.citations)
    return float(inside and all(0 <= a < b <= len(text_of(doc) or "") and (text_of(doc) or "")[a:b] == quote for doc, a, b, quote in quotes))


def bootstrap_means(values: Sequence[float], resamples: int, seed: int) -> np.ndarray:
    """``(resamples,)`` means of ``values`` drawn anew with replacement; the same for the same seed."""
    given, rng = np.asarray(values, np.float64), np.random.default_rng(seed)
    step = max(1, 2_000_000 // max(1, len(given)))  # draws at once: at most 16 MB of indices
    sizes = [min(step, resamples - at) for at in range(0, resamples, step)]
    return np.concatenate([given[rng.integers(0, len(given), (size, len(given)))].mean(1) for size in sizes])


def bootstrap_interval(values: Sequence[float], seed: int = 0, resamples: int = 2000) -> tuple[float, float]:
    """The 95% percentile interval of the mean of ``values``. Raises ValueError where there are none."""
    if not len(values):
        raise ValueError("no values: an interval needs at least one")
    low, high = np.percentile(bootstrap_means(values, resamples, seed), (2.5, 97.5))
    return float(low), float(high)


def mcnemar(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the exact McNemar test over paired 0/1 scores: the binomial tail over the pairs that differ."""
    pairs = list(zip(a, b, strict=True))
    if any(value not in (0, 1) for pair in pairs for value in pair):
        raise ValueError("McNemar's test needs scores of 0 or 1")
    wins, losses = sum(y > x for x, y in pairs), sum(y < x for x, y in pairs)
    tail = sum(math.comb(wins + losses, i) for i in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2 ** (wins + losses))


def paired_bootstrap(a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = 10_000) -> tuple[float, float, float, float]:
    """``(difference, low, high, p)`` of mean(b) − mean(a) over paired scores: 95% interval, two-sided p (Koehn 2004)."""
    differences = [y - x for x, y in zip(a, b, strict=True)]
    if not differences:
        raise ValueError("no pairs: a comparison needs at least one")
    means = bootstrap_means(differences, resamples, seed)
    low, high = np.percentile(means, (2.5, 97.5))
    tail = 1 + min(int((means <= 0).sum()), int((means >= 0).sum()))
    return _mean(differences), float(low), float(high), min(1.0, 2 * tail / (resamples + 1))


def area_difference(
    one: Sequence[float], other: Sequence[float], right: Sequence[float], seed: int = 0, resamples: int = 2000
) -> tuple[float, float, float, float]:
    """``(difference, low, high, p)`` of the area under risk–coverage with the confidences ``other`` less that with ``one``, for the same
    answers: 95% interval and two-sided p by paired bootstrap over the questions. Below 0, ``other`` is the better order."""
    scores = [np.asarray(values, np.float64) for values in (one, other, right)]
    if not len(right):
        raise ValueError("no answers: a comparison needs at least one")

    def difference(rows: np.ndarray) -> float:
        mine, theirs, good = (values[rows].tolist() for values in scores)
        return risk_coverage(theirs, good)[1] - risk_coverage(mine, good)[1]

    rng, whole = np.random.default_rng(seed), np.arange(len(right))
    drawn = np.array([difference(rng.integers(0, len(right), len(right))) for _ in range(resamples)])
    low, high = np.percentile(drawn, (2.5, 97.5))
    tail = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return difference(whole), float(low), float(high), min(1.0, 2 * tail / (resamples + 1))


def risk_coverage(confidences: Sequence[float], right: Sequence[float], total: int | None = None) -> tuple[list[tuple[float, float]], float]:
    """``([(coverage, risk), …], area)``: the share of wrong answers among the most confident ones, as more are given.

    One point a distinct confidence, highest first; coverage is a share of ``total`` questions (default: those given).
    The area is the mean risk over the answers (Geifman & El-Yaniv 2017): 0 is perfect, less is better.
    """
    ordered = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    curve, area, wrong, before = [], 0.0, 0.0, 0
    for count, (confidence, score) in enumerate(ordered, 1):
        wrong += 1 - score
        if count == len(ordered) or ordered[count][0] < confidence:
            curve.append((count / (total or len(ordered)), wrong / count))
            area += (count - before) * wrong / count
            before = count
    return curve, area / len(ordered) if ordered else 0.0
