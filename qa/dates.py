"""Which time a sentence speaks of; words such as 今年 and 8月 are read with the document's date of publication."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from index.text import fold
from index.types import Document

_YEAR = r"(?:19|20)\d\d"
_TO = r"[ 　]?(?:[—–\-~～至到、/]+)[ 　]?"
# A year is one that says so, begins a date or a range of years, or stands at the end (2000至3000万元 names none).
_EXPLICIT = re.compile(rf"(?<!\d)({_YEAR})(?=[ 　]?年|{_TO}{_YEAR}(?:[ 　]?年|$)|[./-]\d{{1,2}}(?![\d万亿元%个])|[ 　](?![\d万亿千百元余多个家人名吨台项])|$)")
_RANGE = re.compile(rf"(?<!\d)({_YEAR})年?[ 　]?(?:[—–\-~～至到]+)[ 　]?({_YEAR})(?=[ 　]?年|$)")
_HAN_YEAR = re.compile("[一二][九〇零○][〇零○一二三四五六七八九]{2}(?=年)")
_HAN_DIGITS = str.maketrans("〇零○一二三四五六七八九", "000123456789")
_RELATIVE = {"今年": 0, "本年": 0, "去年": -1, "前年": -2, "明年": 1, "后年": 2}  # not 上年: it leans on the sentence's own year
# Not 如今年产, 今年轻人 …; not 证明年限, 目前年产, 以前年度, 此后年均, 基本年薪 …
_RELATIVE_WORD = re.compile(
    r"(?<![每历目当如])(?:今年|去年)(?![轻龄份])|(?<![说证文])明年(?!限)|(?<![每历目以当之此如文说证成基日资过])(?:本年度?|前年|后年)(?![产轻限薪龄])"
)
_COMPARED = re.compile("(?:同?比|较|与|和)?(?:去年|上年|前年)同期|(?:比|较)(?:去年|前年)")  # what a figure is compared with is not its time
_MONTH = re.compile(r"(?<![\d年.])(\d{1,2})月(?:份|底|初|末)?(?:(\d{1,2})[日号])?")
_MONTHS = re.compile(r"(?<!\d)(\d{1,2})(?:[—–\-~～至](\d{1,2}))?月")
_PARTS = tuple(map(re.compile, ("[上下]半年", "前三季度|[一二三四]季度", "[上中下]旬", "十[一二三四五]五(?=[”\"]?(?:期间|规划|时期|末|开局|以来))")))
_PLANS = {"十一五": 2006, "十二五": 2011, "十三五": 2016, "十四五": 2021, "十五五": 2026}  # the first year of each five-year plan
_AHEAD = re.compile("将|预计|计划|拟|力争|须|确保|[月日号底]前")
_NEAR = 60  # characters before a bare month in which a year still counts as its own


def published(document: Document) -> tuple[int, int] | None:
    """Year and month of publication; None where the document names none."""
    found = re.match(r"((?:19|20)\d\d)-(\d\d)", document.meta.get("date", ""))
    return (int(found[1]), int(found[2])) if found else None


@lru_cache(maxsize=512)
def _shifts(text: str) -> frozenset[int]:
    return frozenset(shift for _, shift in _relative(fold(text)))


def _relative(text: str) -> Iterator[tuple[str, int]]:
    for match in _RELATIVE_WORD.finditer(text):
        yield match.group(), _RELATIVE[match.group()[:2]]


@lru_cache(maxsize=512)
def named_years(text: str, between: bool = True) -> frozenset[int]:
    """The years that ``text`` names in figures or characters (二〇二一年); ``between``: those within a range (2020—2022年), too."""
    text = _HAN_YEAR.sub(lambda m: m.group().translate(_HAN_DIGITS), fold(text))
    found = {int(year) for year in _EXPLICIT.findall(text)}
    for first, last in _RANGE.findall(text):
        found |= set(range(int(first), int(last) + 1)) if between else {int(first), int(last)}
    return frozenset(found)


@lru_cache(maxsize=512)  # a document's whole text is asked for with every span
def _planned(text: str) -> frozenset[int]:
    """The years of the five-year plans that ``text`` names."""
    return frozenset(year for plan, first in _PLANS.items() if plan in text for year in range(first, first + 5))


def years(text: str, document: Document) -> set[int]:
    """The years that ``text`` names (:func:`named_years`) or means by a five-year plan, 今年 and its like among them where the document is dated."""
    found = set(named_years(text) | _planned(text))
    if date := published(document):
        found |= {date[0] + shift for shift in _shifts(text)}
    return found


@lru_cache(maxsize=512)
def _months(text: str) -> set[int]:
    found: set[int] = set()
    for first, last in _MONTHS.findall(text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def clash(question: str, said: str, document: Document) -> bool:
    """Whether ``said`` speaks of another time than ``question``: another year, month, half or quarter, and not of the one asked about."""
    question, said = fold(question), _COMPARED.sub("", fold(said))
    year, told_years = named_years(question), years(said, document)
    if year and told_years and not year & told_years:
        return True
    if (asked := _months(question)) and (told := _months(said)) and not asked & told:
        return True
    return any((mine := set(part.findall(question))) and (theirs := set(part.findall(said))) and not mine & theirs for part in _PARTS)


def apart(one: str, first: Document, other: str, second: Document) -> bool:
    """Whether two quotes speak of different times: of other years, where both name one, or of other parts of a year."""
    one, other = (_COMPARED.sub("", fold(text)) for text in (one, other))
    mine, theirs = years(one, first), years(other, second)
    return bool(mine and theirs and not mine & theirs) or _months(one) != _months(other) or any(set(p.findall(one)) != set(p.findall(other)) for p in _PARTS)


def readings(document: Document, start: int, end: int) -> tuple[tuple[str, str], ...]:
    """How the words of time in ``document.text[start:end]`` that lean on the date of publication are to be read: ``(word, reading)``.

    A bare month takes the year of publication (the year before where a paper of the first quarter speaks of its last one), unless
    a year stands shortly before it or what is told of is still to come. Nothing where the document is not dated.
    """
    date = published(document)
    if not date:
        return ()
    quote = document.text[start:end]
    found = {word: f"{date[0] + shift}年" for word, shift in _relative(quote)}
    for match in _MONTH.finditer(quote):
        before = document.text[max(0, start + match.start() - _NEAR) : start + match.start()]
        month = int(match[1])
        if 1 <= month <= 12 and not _EXPLICIT.search(fold(before)) and not any(True for _ in _relative(before)):
            clause = re.split("[，。；,;！？!?\n]", quote[: match.start()])[-1] + re.split("[，。；,;！？!?\n]", quote[match.start() :])[0]
            past = date[1] <= 3 and month >= 10 and not _AHEAD.search(clause)
            found[match.group()] = f"{date[0] - past}年{month}月"
    return tuple(found.items())
