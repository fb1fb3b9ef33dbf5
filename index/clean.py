"""Raw text → clean text with an offset map, headings, title and date. Pure functions.

Takes away Jekyll front matter, HTML markup, escaped brackets and link footers; joins
sentences that line or paragraph breaks cut in two; finds headings (Markdown, Chinese
numbering, short paragraphs that stand alone) and articles that share a page.
No sentence is lost: what goes is markup alone.
"""

from __future__ import annotations

import datetime
import html
import re
from dataclasses import dataclass

import yaml

from index.types import Heading

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.S)
# Not `<style>`, of which a text on markup speaks. Nothing looks past the next opening: each character is read a bounded number of times.
_DROP = re.compile(r"(?<!`)<(script|style)\b(?:(?!<\1\b).)*?</\1\s*>(?!`)|<!--(?:(?!<!--).)*?-->", re.S | re.I)
_ATTRIBUTES = r"""(?:\s+[A-Za-z_:][A-Za-z0-9_:.-]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s<>"']+))?)*\s*/?>"""
_BLOCK = re.compile(r"</?(?:p|div|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|pre|hr|center|tbody|thead)" + _ATTRIBUTES, re.I)
_BREAK = re.compile(r"<br" + _ATTRIBUTES, re.I)
_PARAGRAPH = "\x0b"  # stands for a block tag: a paragraph ends here for certain
_CELL = re.compile(r"</?t[dh]" + _ATTRIBUTES, re.I)
_POWER = re.compile(r"(?<=\d)<sup" + _ATTRIBUTES + r"(?=[\d-])", re.I)  # 10<sup>5</sup> is not 105
_INLINE = re.compile(r"</?(?:span|a|b|i|u|em|strong|font|img|sup|sub|small|big|figure|figcaption|label|code|s|del|ins|mark)" + _ATTRIBUTES, re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8}\d?);", re.I)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad\x00-\x08\x0e-\x1f]")
# A line of nothing but links, or one bare address: navigation, no text.
_BARE = r"<https?://[^>\s]*>|https?://[^\s<>，。]++"
_LINK = rf"(?:!?\[[^\]\n]*\]\([^)\n]*\)|{_BARE})"
_ADDRESS = re.compile(_BARE)
_LINKS = re.compile(rf"^[\s|｜·,，、-]*+{_LINK}(?:[\s|｜·,，、-]*+{_LINK})*+[\s|｜·,，、-]*+$")
_MARKDOWN_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$")
_NUMBERED = (
    (2, re.compile(r"^第[一二三四五六七八九十百零〇\d]{1,5}[章编篇部]")),
    (2, re.compile(r"^[一二三四五六七八九十]{1,3}、")),
    (3, re.compile(r"^第[一二三四五六七八九十百零〇\d]{1,6}[条节]")),
    (3, re.compile(r"^[（(][一二三四五六七八九十]{1,3}[)）]")),
    (4, re.compile(r"^(?:\d{1,3}[、．.](?!\d)|[（(]\d{1,3}[)）]|第[一二三四五六七八九十百零〇\d]{1,6}款)")),
)
_END = "。！？!?；;：:…”’」』）)】》〕]>"
_MARKS = re.compile("[，,、。；;：:！!？?]")
_BYLINE = re.compile(r"[（(](?:据[^（）()]{2,20}|来源[:：][^（）()]{2,20}|[\u4e00-\u9fa5]{2,4}(?:[ 、\u3000][\u4e00-\u9fa5]{2,4}){0,4}|本报[^（）()]{2,16}|记者[^（）()]{2,16})[)）]$")
_DAY = r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?"
_DATE_LINE = re.compile(rf"^(?:(?:发布|发文|成文|印发|更新)?(?:时间|日期)\s*[:：])?\s*{_DAY}(?:\s+\d{{1,2}}:\d\d(?::\d\d)?)?$")
# Lines that are not the rest of the line before: items, rows of a table, 姓名：…
_ITEM = re.compile(r"^(?:[-*+•·●◆■▪|>]\s?|[^：:，,。；;]{1,12}[：:])")
_COMMA = re.compile("[，,]")
_CELLS = re.compile(r"\|.*\|")
_TITLED = re.compile(r"(?:现将|印发|关于发布)[^《》\n]{0,6}《([^《》\n]{6,60})》")


@dataclass(frozen=True)
class Cleaned:
    text: str
    runs: tuple[tuple[int, int], ...]
    headings: tuple[Heading, ...]
    title: str
    date: str


class _Mapped:
    """Characters with their raw positions; every edit keeps the two together."""

    def __init__(self, text: str, places: list[int]):
        self.text, self.places = text, places

    def sub(self, pattern: re.Pattern[str], replacement) -> _Mapped:
        """Replace each match by ``replacement(match)``; what it keeps of the match keeps its place, the rest takes its first."""
        texts, places, at = [], [], 0
        for m in pattern.finditer(self.text):
            new = replacement(m)
            texts += [self.text[at : m.start()], new]
            kept = m.group().find(new)
            mine = self.places[m.start() + kept : m.start() + kept + len(new)] if kept >= 0 else [self.places[m.start()]] * len(new)
            places += self.places[at : m.start()] + mine
            at = m.end()
        return _Mapped("".join(texts) + self.text[at:], places + self.places[at:])

    def cut(self, start: int, end: int) -> _Mapped:
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return _Mapped(self.text[start:end], self.places[start:end])


def _front_matter(raw: str) -> tuple[int, dict[str, str]]:
    """Where the body begins, and the front matter's fields; a block that is no YAML mapping stays text."""
    m = _FRONT.match(raw)
    if not m:
        return 0, {}
    try:
        fields = yaml.safe_load(m.group(1))
    except (yaml.YAMLError, ValueError, RecursionError):
        return 0, {}
    if not isinstance(fields, dict):
        return 0, {}
    # Lists and tables may hold each other many times over: what is no plain value is left out.
    return m.end(), {str(k): str(v) for k, v in fields.items() if isinstance(v, str | int | float | datetime.date)}


@dataclass(frozen=True)
class _Line:
    """A trimmed line; whether a blank line or a block tag stands before it, and whether a block tag does."""

    body: _Mapped
    apart: bool
    tagged: bool

    @property
    def text(self) -> str:
        return self.body.text


def _lines(body: _Mapped) -> list[_Line]:
    rows: list[_Line] = []
    apart, tagged, at = True, False, 0
    for part in re.split(f"([\n{_PARAGRAPH}])", body.text):
        if part == _PARAGRAPH:
            apart = tagged = True
        elif part != "\n":
            line = body.cut(at, at + len(part))
            if not line.text:
                apart = True
            # 报名网址： and the address below it are a statement.
            elif not _LINKS.match(line.text) or (rows and not apart and rows[-1].text.endswith(("：", ":", "网址")) and _ADDRESS.fullmatch(line.text)):
                rows.append(_Line(line, apart, tagged))
                apart = tagged = False
        elif not rows or (at and body.text[at - 1] == "\n"):
            apart = True
        at += len(part)
    return rows


def _numbered(line: str) -> tuple[int, str] | None:
    """``(level, words)`` where ``line`` opens with a Chinese section number; the words end at the first full stop."""
    for level, pattern in _NUMBERED:
        if pattern.match(line):
            words = re.split("[。：:]", line, maxsplit=1)[0]
            return (level, words) if len(words) <= 40 else None
    return None


def clean(raw: str) -> Cleaned:
    """Clean one document. An empty or markup-only document gives an empty text."""
    begin, fields = _front_matter(raw)
    body = _Mapped(raw[begin:], list(range(begin, len(raw))))
    body = body.sub(re.compile(r"\r\n?|[\x0b\x0c\u2028\u2029\x85]"), lambda m: "\n")
    body = body.sub(_DROP, lambda m: _PARAGRAPH).sub(_BLOCK, lambda m: _PARAGRAPH).sub(_BREAK, lambda m: "\n")
    body = body.sub(_CELL, lambda m: " ").sub(_POWER, lambda m: "^").sub(_INLINE, lambda m: "")
    body = body.sub(_ENTITY, lambda m: html.unescape(m.group())).sub(_INVISIBLE, lambda m: "")
    body = body.sub(_ESCAPE, lambda m: m.group(1)).sub(re.compile("[\u00a0\t]"), lambda m: " ")
    rows = _lines(body)
    title = " ".join(fields.get("title", "").split())
    headed = any(line.text.startswith("# ") for line in rows[:3])
    if not title and not headed and (m := _TITLED.search(body.text)):
        title = m.group(1)
    lengths = sorted(len(line.text) for line in rows)
    # Where lines are wrapped at a width, that width recurs at the long end.
    width = lengths[len(lengths) * 9 // 10] if len(lengths) >= 8 and lengths[-1] <= 90 else 10**6
    if width < 16:
        width = 10**6  # a table or a list of names

    marked = any(_MARKDOWN_HEADING.match(line.text) for line in rows)
    texts: list[str] = []
    places: list[int] = []
    headings: list[Heading] = []
    size = 0
    last, last_is_heading, page_ended = "", False, False
    kicker: tuple[int, str] | None = None  # "工信部:" above a headline

    def put(line: _Mapped, glue: str) -> int:
        """Append a line after ``glue``; where it begins in the clean text."""
        nonlocal size
        if not texts:
            glue = ""
        texts.extend((glue, line.text))
        places.extend([line.places[0]] * len(glue) + line.places)
        size += len(glue) + len(line.text)
        return size - len(line.text)

    for i, line in enumerate(rows):
        following = rows[i + 1] if i + 1 < len(rows) else None
        if (m := _MARKDOWN_HEADING.match(line.text)) and m.group(2).strip():
            level, words = len(m.group(1)), _strip_marks(m.group(2))
            start = put(line.body.cut(m.start(2), m.end(2)), "\n")
            if words[:1] in "—-–" and last_is_heading:  # a subtitle belongs to the title above
                headings[-1] = Heading(headings[-1].start, headings[-1].level, headings[-1].title + words)
            else:
                # On a newspaper page a byline closes an article, whatever marks the next heading has.
                at, before = kicker or (start, "")
                headings.append(Heading(at, 1 if page_ended else level, before + words))
            last, last_is_heading, page_ended, kicker = words, True, False, None
            continue
        numbered = _numbered(line.text)
        full = len(last) >= 0.85 * width
        wrapped = full or (bool(_MARKS.search(last)) and len(last) >= 12)
        if wrapped and _new_item(rows[i - 1].text, line, full):
            wrapped = False
        if wrapped and not (last_is_heading or numbered or line.tagged or last[-1] in _END or (title and line.text in title)):
            latin = (last[-1] + line.text[0]).isascii() and (last[-1] + line.text[0]).isalpha()
            put(line.body, " " if latin else "")
            last = (last + line.text)[-200:]
            page_ended = bool(_BYLINE.search(line.text))
            continue
        start = put(line.body, "\n")
        last, last_is_heading = line.text, False
        if len(line.text) <= 12 and line.text[-1] in ":：" and following and _MARKDOWN_HEADING.match(following.text):
            kicker = start, line.text
            continue
        if numbered:
            headings.append(Heading(start, *numbered))
            last_is_heading = numbered[1] == line.text
        elif not marked and i and line.apart and following and following.apart and _stands_alone(line.text, following.text):
            headings.append(Heading(start, 2, line.text))
            last_is_heading = True
        page_ended = bool(_BYLINE.search(line.text))
    return Cleaned("".join(texts), _runs(places), tuple(headings), title or _first_title(headings, rows), _date(fields, rows))


def _new_item(before: str, line: _Line, full: bool) -> bool:
    """Whether ``line`` begins something of its own: an item, a row, or a number after a number where lines are not wrapped at a width (``full``)."""
    if before[-1].isdigit() and line.text[0].isdigit() and (line.apart or not full):
        return True
    if not full and (commas := len(_COMMA.findall(before))) > 1 and commas == len(_COMMA.findall(line.text)):
        return True  # records of as many fields
    listed = _ITEM.match(line.text)
    if not listed:
        return bool(_CELLS.search(before) and _CELLS.search(line.text))
    return listed.group()[-1] not in ":：" or bool(_ITEM.match(before))  # 姓名：… only among its like


def _strip_marks(words: str) -> str:
    return re.sub(r"[*_`]{1,3}(.+?)[*_`]{1,3}", r"\1", words).strip()


def _stands_alone(line: str, following: str) -> bool:
    """A short paragraph without sentence marks, before a longer one: a heading inside an article."""
    return 6 <= len(line) <= 34 and not re.search("[。；;：:！!？?…]$|[。；]", line) and line[0] not in "□（(〔图文" and len(following) > len(line)


def _first_title(headings: list[Heading], rows: list[_Line]) -> str:
    if headings and headings[0].start == 0:
        return headings[0].title
    first = rows[0].text if rows else ""
    return first if 4 <= len(first) <= 60 and first[-1] not in "。；;，,、" else ""


def _date(fields: dict[str, str], rows: list[_Line]) -> str:
    """ISO date of publication, or "": the front matter's, else the first line that is a date and nothing else."""
    if (m := re.match(_DAY, fields.get("date", ""))) and (day := _iso(m)):
        return day
    for line in rows:
        if (m := _DATE_LINE.match(line.text)) and (day := _iso(m)):
            return day
    return ""


def _iso(match: re.Match[str]) -> str:
    try:
        return datetime.date(*(int(part) for part in match.groups())).isoformat()
    except ValueError:  # a 13th month
        return ""


def _runs(places: list[int]) -> tuple[tuple[int, int], ...]:
    runs: list[tuple[int, int]] = []
    for i, place in enumerate(places):
        if i == 0 or place != places[i - 1] + 1:
            runs.append((i, place))
    return tuple(runs) or ((0, 0),)
