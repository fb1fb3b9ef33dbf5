"""What a question names that can be another's: places, by a list, and numbers and ordinals (二期, 首批, 第40条)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from index.text import fold

_PLACES = Path(__file__).with_name("places.txt")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ORDINAL = re.compile(r"(?:第?([一二三四五六七八九十百零\d]+)|(首))(期|批|季度|级|类|届|轮|阶段|代|条|款|号|标段|产业)|([上下]半年)")
_DIGITS = {**{c: n for n, c in enumerate("零一二三四五六七八九")}, "首": 1}
_TENS = {"十": 10, "百": 100}


def _value(number: str) -> str:
    """四十二 as "42"; digits, and characters read one by one (二〇), as they are."""
    if number.isdigit() or not all(c in _DIGITS or c in _TENS for c in number):
        return number
    total, last = 0, 0
    for c in number:
        if c in _TENS:
            total, last = total + (last or 1) * _TENS[c], 0
        else:
            last = _DIGITS[c]
    return str(total + last)


@lru_cache(maxsize=1)
def _listed() -> re.Pattern[str]:
    """Matches the places in its one group, and outside of it the words in which they stand by chance."""
    rows = [line for line in _PLACES.read_text("utf-8").splitlines() if not line.startswith("#")]
    names = [word for line in rows if not line.startswith("!") for word in line.split()]
    words = [word for line in rows if line.startswith("!") for word in line[1:].split()]
    return re.compile("|".join([*words, *(f"({'|'.join(sorted(names, key=len, reverse=True))})",)]))


@lru_cache(maxsize=512)
def places(text: str) -> frozenset[str]:
    """The places of ``places.txt`` that ``text`` names."""
    return frozenset(name for name in _listed().findall(fold(text)) if name)


@lru_cache(maxsize=512)
def numbered(text: str) -> frozenset[str]:
    """The numbers in ``text``, years left out (:mod:`qa.dates` knows those), and its ordinals with what they count: 二期 as "2期"."""
    text = fold(text)
    ordinals = {part or _value(number or first) + unit for number, first, unit, part in _ORDINAL.findall(text)}
    return frozenset(ordinals | {n for n in _NUMBER.findall(_ORDINAL.sub(" ", text)) if not _YEAR.fullmatch(n)})
