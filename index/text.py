"""Length-preserving text operations shared by search, reading and training.

Everything here keeps ``len(fold(s)) == len(s)``, so an offset into the folded
text is an offset into the original: no map is needed and no quote can drift.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# A sentence runs to its closing mark and the quotes or brackets that follow it.
_CLOSERS = "[”’」』）)】》〕\"']*"
_SENTENCE = re.compile(rf"[^。！？!?\n]*(?:[。！？!?]+{_CLOSERS}|\n|$)")
_CLAUSE = re.compile(rf"[^。！？!?；;\n]*(?:[。！？!?；;]+{_CLOSERS}|\n|$)")


@lru_cache(maxsize=1)
def _fold_table() -> dict[int, str]:
    """Character → folded character, for every character that folds to exactly one."""
    from opencc import OpenCC

    han = [chr(c) for c in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000))]
    simplified = OpenCC("t2s").convert("\n".join(han)).split("\n")
    table = {ord(a): b for a, b in zip(han, simplified, strict=True) if a != b and len(b) == 1}
    # Full-width forms, compatibility ideographs, Kangxi radicals, capital letters, odd spaces.
    ranges = (range(0x41, 0x5B), range(0xA0, 0x3400), range(0xF900, 0x10000))
    for code in (c for r in ranges for c in r):
        folded = unicodedata.normalize("NFKC", chr(code)).lower()
        if len(folded) == 1 and folded != chr(code):
            table[code] = table.get(ord(folded), folded)
    for code in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029):
        table[code] = " "
    return table


def fold(text: str) -> str:
    """The search form of ``text``, of the same length.

    Traditional becomes simplified (OpenCC, character by character), full-width
    becomes half-width (NFKC where one character maps to one), letters become
    lower case, line breaks become spaces.
    """
    return text.translate(_fold_table())


def sentences(text: str, semicolons: bool = True) -> list[tuple[int, int]]:
    """``(start, end)`` of each sentence of ``text``, blank ones left out, outer spaces trimmed.

    With ``semicolons``, a semicolon ends one too.
    """
    spans = []
    for match in (_CLAUSE if semicolons else _SENTENCE).finditer(text):
        start, end = match.span()
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end:
            spans.append((start, end))
    return spans
