"""Which spans make the answer, and what may stand between them: one span, the items of a list, the same fact from another
document, or another document's different figure. Nothing but quotes and :data:`CONNECTORS` ever becomes an answer's text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from index.text import fold, sentences
from index.types import Document
from qa.answerer import Span
from qa.citations import proving_span, trimmed
from qa.confidence import coverage, unfit
from qa.dates import apart, clash

NEXT, ELSE, YES, NO = "；", "；另有文档写作：", "是。", "否。"
CONNECTORS = (NEXT, ELSE, YES, NO)
MOST_ITEMS, MOST_SOURCES = 20, 3
ABOUT = 0.7  # how much less probable than the surest one (log) another item of a list may be; chosen on held-out training questions
SURE = 0.8  # the least chance of being right with which yes or no is said; below it the proof stands alone
_ITEM = 160  # characters of an item of a list; a longer one is a section
_HEADLINE = 48  # characters of a list's item that are quoted, to the end of their clause
_LIST = re.compile(
    "哪些|哪几|哪[两二三四五六七八九十\\d]+|分别|几(?:个|种|类|项|条|点|大)?(?:方面|步骤|措施|举措|要求|任务|环节)|有什么(?:措施|举措|办法|要求|条件|做法)|包括什么"
)
_STEPS, _ONE_FIGURE = re.compile("步骤|流程"), re.compile("多少|多久|多长|几个?(?:工作日|天|小时|分钟|月|年|元)")
_WHICH = re.compile("多少|几|哪|什么|谁|怎么|如何|为何|啥|多[大长久]|何时|何地")
# 能告诉我……吗: what is told of is asked for, not whether.
_MAY = "(?:能不能|能否|可不可以|可否|可以|能)"
_POLITE = re.compile(
    f"^(?:请问)?(?:[你您]?{_MAY}?(?:请|帮我|给我)*(?:告诉|告知|列出)|[你您]知道|知道"
    # 可以查看合同吗, 解释权是否归公司: these words alone are no request.
    f"|(?:[你您]{_MAY}|{_MAY}?(?:请(?!问)|帮我|给我)+)(?:介绍|解释|说明|查|说|讲)|{_MAY}?(?:介绍|解释|说明|查|说|讲)[一下])"
)
_WHETHER = re.compile("[吗么嘛][？?。！! ]*$|是否|是不是|有没有|有无|能否|可否|([能会要算行对用需])不(?:要|可以|需要|应该)?\\1|可不可以|应不应该|需不需要")
_ONES = (*(tens := "一二三四五六七八九十"), *(f"十{n}" for n in tens[:9]), "二十")
# Families of marks that number the items of a list; each holds how the n-th mark (from 0) reads.
_FAMILIES = (
    *(tuple(f"{pre}{n}{post}" for n in _ONES) for pre, post in (("", "是"), ("", "要"), ("第", "，"), ("第", "、"), ("第", "是"), ("（", "）"), ("(", ")"))),
    tuple(f"{n}、" for n in _ONES),
    *(tuple(f"{pre}{n}{post}" for n in range(1, 21)) for pre, post in (("", "."), ("", "．"), ("", "、"), ("（", "）"), ("(", ")"), ("", "）"), ("", ")"))),
    tuple("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"), tuple("⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽"),
)
_RINGED = "".join(mark for family in _FAMILIES[-2:] for mark in family)  # stand anywhere
_BEFORE_MARK = "。；;！？!?：:\n，, 　"  # what a mark may stand after
_FIGURE = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True)
class Said:
    """A piece of an answer: ``connector`` stands before it; ``spans`` all say it, and the first is the one quoted."""

    connector: str
    spans: tuple[Span, ...]


def wants_verdict(question: str) -> bool:
    """Whether ``question`` is to be answered with yes or no."""
    question = fold(question)
    return bool(_WHETHER.search(question)) and not _WHICH.search(question) and not _POLITE.match(question)


def wants_list(question: str) -> bool:
    question = fold(question)
    return bool(_LIST.search(question) or (_STEPS.search(question) and not _ONE_FIGURE.search(question)))


def text_of(span: Span, documents: Mapping[str, Document]) -> str:
    return documents[span.hit.passage.doc_id].text[span.start : span.end]


def compose(
    question: str, ranked: Sequence[tuple[float, Span]], documents: Mapping[str, Document], threshold: float, verdict: float | None = None
) -> list[Said]:
    """The pieces of the answer whose surest span is ``ranked[0]``; of the others only those as sure as ``threshold`` count.
    ``verdict`` is given where the question is one of yes or no and the model says which: the chance that it is right."""
    best = ranked[0][1]
    document = documents[best.hit.passage.doc_id]
    if verdict is not None:
        start, end = _proof(document.text, best)
        word = (YES if best.yes > 0 else NO) if verdict >= SURE else ""
        return [Said(word, (replace(best, start=start, end=end),))]
    if wants_list(question):
        items = enumerated(document.text, best.start, best.end) or gathered([span for _, span in ranked])
        if len(items) > 1:
            return [Said(NEXT if number else "", (replace(best, start=start, end=end),)) for number, (start, end) in enumerate(items)]
    others = [span for chance, span in ranked[1:] if chance >= threshold and span.hit.passage.doc_id != best.hit.passage.doc_id]
    same = [best]
    for span in others:
        fresh = span.hit.passage.doc_id not in {s.hit.passage.doc_id for s in same}
        if fresh and len(same) < MOST_SOURCES and bare(text_of(span, documents)) == bare(text_of(best, documents)):
            same.append(span)
    found = [Said("", tuple(same))]
    if other := next((span for span in others if differs(question, best, span, documents)), None):
        found.append(Said(ELSE, (other,)))
    return found


def _proof(text: str, span: Span) -> tuple[int, int]:
    """The clause between full stops and semicolons that ``span`` begins in, within its passage."""
    passage = span.hit.passage
    a, b = proving_span(text, span.start, span.start + 1, passage.start, passage.end)
    inner = [(a + s, a + e) for s, e in sentences(text[a:b]) if a + s <= span.start < a + e]
    return trimmed(text, *(inner[0] if inner else (a, b)), passage.start, passage.end)


def bare(text: str) -> str:
    """``text`` for comparing: folded, without spaces, marks and words of degree."""
    return re.sub(r"约|近|超过?|突破|达到?|逾|共计?|[\s,，。、；;：:“”\"'《》()]", "", fold(text))


def differs(question: str, one: Span, other: Span, documents: Mapping[str, Document]) -> bool:
    """Whether ``other`` gives another figure, of the same unit, for what seems to be the same fact and time."""
    a, b = (bare(text_of(span, documents)) for span in (one, other))
    if a == b or not _FIGURE.search(a) or _FIGURE.sub("", a) != _FIGURE.sub("", b) or unfit(question, b):
        return False
    quotes = []
    for span in (one, other):
        document, passage = documents[span.hit.passage.doc_id], span.hit.passage
        start, end = proving_span(document.text, span.start, span.end, passage.start, passage.end)
        quotes.append(document.text[start:end])
        if clash(question, quotes[-1], document):
            return False
    if apart(quotes[0], documents[one.hit.passage.doc_id], quotes[1], documents[other.hit.passage.doc_id]):
        return False
    least = coverage(question, quotes[0])
    return least >= 0.5 and coverage(question, quotes[1]) >= 0.9 * least


def gathered(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """The offsets of the first of ``spans`` and of those in its passage that are about as probable and do not overlap, in their order."""
    best, kept = spans[0], [spans[0]]
    for span in sorted(spans[1:], key=lambda s: -s.score):
        alike = span.hit.passage.id == best.hit.passage.id and span.score >= best.score - ABOUT and len(kept) < MOST_ITEMS
        if alike and all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted((span.start, span.end) for span in kept)


def enumerated(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The items of the numbered list (一是…二是…, （一）…（二）…, 1. …, ①…) of which ``text[start:end]`` begins one, or leads up to it, each as the
    offsets of its first clause; empty where there is no such list of two items or more, each of two characters or more. Of several lists
    the one counts whose item begins nearest to ``start``, else the one that follows in the same sentence."""
    if "、" in text[start:end]:
        return []  # a list already
    low, high = max(0, start - 2500), min(len(text), end + 2500)
    found: list[tuple[bool, int, list[tuple[int, int]], int]] = []  # whether it only follows, how far, its marks, where it ends
    for family in _FAMILIES:
        for places in _runs(text, family, low, high):
            close = _end(text, places[-1][1], high)
            near = all(b[0] - a[1] <= _ITEM for a, b in pairwise(places)) and close - places[-1][1] <= _ITEM  # no headings of sections
            if not near:
                continue
            stops = [*(begin for begin, _ in places[1:]), close]
            inside = [abs(start - after) for (begin, after), stop in zip(places, stops, strict=True) if begin <= start < stop and start - after <= 12]
            gap = text[end : places[0][0]]
            if inside:
                found.append((False, min(inside), places, close))
            elif end <= places[0][0] and len(gap) <= 60 and not re.search("[。！？!?；;]", gap):
                found.append((True, len(gap), places, close))
    if not found:
        return []
    _, _, places, close = min(found, key=lambda row: row[:2])
    items = []
    for number, (_, after) in enumerate(places[:MOST_ITEMS]):
        stop = places[number + 1][0] if number + 1 < len(places) else close
        items.append(trimmed(text, *_headline(text, after, stop), after, stop))
    return items if all(b - a > 1 for a, b in items) else []


def _runs(text: str, family: Sequence[str], low: int, high: int) -> list[list[tuple[int, int]]]:
    """Each run of marks of ``family`` that begins with its first: ``(where a mark begins, where it ends)`` in ``text[low:high]``."""
    found: list[list[tuple[int, int]]] = []
    # 1.5亿元 is no first item.
    marks = "|".join(re.escape(mark) + (r"(?!\d)" if mark[-1] in ".．" else "") for mark in sorted(family, key=len, reverse=True))
    for match in re.finditer(marks, text[low:high]):
        at, number = low + match.start(), family.index(match.group())
        if at and text[at - 1] not in _BEFORE_MARK and text[at] not in _RINGED:
            continue
        if number == 0:
            found.append([(at, low + match.end())])
        elif found and len(found[-1]) == number:
            found[-1].append((at, low + match.end()))
    return [run for run in found if len(run) > 1]


def _end(text: str, start: int, high: int) -> int:
    """The end of the sentence that begins at ``start``."""
    spans = sentences(text[start:high], semicolons=True)
    return start + spans[0][1] if spans else high


def _headline(text: str, start: int, stop: int) -> tuple[int, int]:
    """The first sentence of ``text[start:stop]`` where it is short, otherwise its first clause of four characters and more."""
    spans = sentences(text[start:stop])
    if not spans:
        return start, stop
    a, b = start + spans[0][0], start + spans[0][1]
    if b - a > _HEADLINE:
        for match in re.finditer("[，,：:]", text[a:b]):
            if match.start() >= 4:
                return a, a + match.start()
    return a, b
