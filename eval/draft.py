"""Draft gold questions from a folder's documents, for a person to correct: never a yardstick as they are.

A question (:mod:`eval.asking`) keeps all that stood before its answer, so that it makes sense alone; sentences that lean on others
are left out, and where no name is near, what the document is about goes in front. The evidence is the sentence itself.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from eval.asking import ENDS, KINDS, clause_end, questions
from eval.types import GoldError
from index.load import load_documents
from index.text import fold, sentences
from index.types import Document

UNANSWERABLE = 8  # one question in so many has no answer in the documents
LONGEST = 56  # characters of a question

_LEAD = re.compile(
    "^(?:第[一二三四五六七八九十百零0-9]+条|[一二三四五六七八九十]+、|[(][一二三四五六七八九十0-9]+[)]|[0-9]+[.、](?![0-9]))? *"
    "(?:此外|另外|同时|目前|其中|据悉|据了解|据介绍|据统计|近日|日前|因此|为此|而且|并且|但是|但|不过|截至目前|统计显示|[一二三四五六七八九十]是)?[,:]?"
)
_LEANING = re.compile("^(?:这|那|该|其|此|他|她|它|对此|并|而|也|还|又|均|都|以上|上述|前款|前项|与此|之|[)）”])|我|咱|你|您|本报|本办法|该")
_TIME = re.compile(r"(?:\d{4}年|今年|去年|\d{1,2}(?:[-—至]\d{1,2})?月|上半年|前三季度)[^,;。]{0,8},")
_BODY = re.compile(
    "(?=(经开区|开发区|综保区|高新区|新区|示范区|自治州|自治区|县|市|镇|乡|村|公司|集团|大学|学院|医院|博物馆|图书馆|公园|机场|协会|学校|中学|小学))"
)
_GENERAL = re.compile("[在和与及对的为将把从向由年月日]|国家|省级|企业|有限|股份|经济|上市|技术|产业|中小|重点|科技|城镇|超市")
_OTHERS = re.compile("中国|我国|全国|全省|世界|全球|公司|协会|集团|大学")
_HAN = re.compile("[\u4e00-\u9fa5]+")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?=年)")
_CITY_NAMES = (
    "北京 天津 上海 重庆 石家庄 太原 沈阳 大连 长春 哈尔滨 南京 苏州 无锡 南通 徐州 杭州 宁波 温州 合肥 芜湖 福州 厦门 泉州 南昌 赣州 九江 上饶 济南 青岛 烟台 "
    "郑州 洛阳 武汉 宜昌 长沙 株洲 广州 深圳 东莞 珠海 佛山 南宁 桂林 海口 三亚 成都 绵阳 贵阳 遵义 昆明 大理 西安 咸阳 兰州 西宁 银川 拉萨 抚州 吉安 宜春 萍乡"
)
_CITIES = _CITY_NAMES.split()


@dataclass(frozen=True)
class Draft:
    """A proposed question; ``answer`` and ``evidence`` are quotes of the document ``doc``, all three "" where it has no answer."""

    kind: str
    question: str
    answer: str
    doc: str
    evidence: str
    note: str = ""


def draft(folder: Path, count: int = 40, seed: int = 0, skipped: Callable[[str, str], None] = lambda name, why: None) -> list[Draft]:
    """At most ``count`` questions on the documents of ``folder``, spread over documents and kinds; the same for the same seed.

    One in eight is unanswerable: a year or city of a question changed to one that no document holds.
    Raises LoadError where there is no document, GoldError where no sentence can be asked about.
    """
    if count < 1:
        raise GoldError(f"a count of {count} leaves no question: 1 at least")
    documents, rng = load_documents(folder, skipped), Random(seed)
    everything = "\n".join(document.text for document in documents)
    heaps: dict[tuple[str, str], list[Draft]] = {}
    for document in documents:
        for found in _candidates(document):
            if everything.count(found.evidence) == 1:  # asked of a text that stands there twice, either place would be right
                heaps.setdefault((found.kind, document.id), []).append(found)
    if not heaps:
        raise GoldError(f"no sentence in {folder} can be asked about: put documents with whole sentences (numbers, dates, names) there")
    for heap in heaps.values():
        rng.shuffle(heap)
    every = [found for key in sorted(heaps) for found in heaps[key]]
    without = _changed(every, everything, min(count, len({found.evidence for found in every})) // UNANSWERABLE, rng)
    taken: list[Draft] = []
    used: dict[str, int] = {}  # kind or document → questions so far
    evidence: set[str] = {found.note for found in without}
    while len(taken) < count - len(without) and (open_ := [key for key in sorted(heaps) if heaps[key]]):
        least = min(open_, key=lambda key: (used.get(key[0], 0) / (2 if key[0] == "number" else 1) + used.get(key[1], 0) / 2, key))
        found = heaps[least].pop()
        if found.evidence not in evidence:
            evidence.add(found.evidence)
            taken.append(found)
            for key in least:
                used[key] = used.get(key, 0) + 1
    order = {document.id: at for at, document in enumerate(documents)}
    return sorted(taken, key=lambda d: (order[d.doc], KINDS.index(d.kind))) + without


def _candidates(document: Document) -> Iterator[Draft]:
    """Every question of the document's sentences that stand alone."""
    text, before, topic = document.text, "", _topic(document)
    for start, end in sentences(text, semicolons=False):
        sentence = text[start:end]
        whole = _ends(before) or len(before) <= 30  # else it goes on from a line cut in two
        before = sentence
        if not whole or "\n" in sentence or not _ends(sentence):
            continue
        opening, at = "", 0
        for part in re.split("(?<=[;；])", sentence):
            folded = fold(part)
            lead = match.end() if (match := _LEAD.match(folded)) else 0
            if at == 0 and (match := _TIME.match(folded, lead)):
                opening = part[lead : match.end()]
            if 12 <= len(part) - lead <= 180 and not _LEANING.search(folded[lead:]):
                for kind, asked, answer_start, answer_end in questions(part[lead:], folded[lead:]):
                    answer = part[lead + answer_start : lead + answer_end]
                    question = _alone(asked, kind, opening if at else "", topic, fold(sentence))
                    if 8 <= len(question) <= LONGEST and answer.strip() and answer not in question and _balanced(question) and _balanced(answer):
                        yield Draft(kind, question, answer, document.id, sentence if len(sentence) <= 160 else part)
            at += len(part)


def _ends(text: str) -> bool:
    return not text or text.rstrip("”’」』）)】》〕\"'")[-1:] in ENDS


def _topic(document: Document) -> str:
    """The place or body that the document is about: the one named most often, three times at least; the title's count threefold."""
    folded, title = fold(document.text), fold(document.title)
    counts: Counter[str] = Counter()
    for m in _BODY.finditer(folded):
        for at in range(max(0, m.start() - 4), m.start() - 1):
            if _HAN.fullmatch(folded, at, m.start()) and not _GENERAL.match(folded, at) and folded[m.start() - 1] not in "全各本该我":
                counts[folded[at : m.end(1)]] += 1
    for name in counts:
        counts[name] *= 3 if name in title else 1
    short = max((name for name in counts if counts[name] >= 3), key=lambda name: (counts[name], -len(name)), default="")
    if not short:
        return ""
    at = folded.index(topic := max((name for name in counts if name.endswith(short) and counts[name] >= 0.8 * counts[short]), key=len))
    return document.text[at : at + len(topic)]


def _alone(question: str, kind: str, opening: str, topic: str, sentence: str) -> str:
    """``question`` with the sentence's time and the document's topic in front, where neither is in it and none other is named."""
    question = re.sub("(?<=[\u4e00-\u9fff])[ \u3000]+|[ \u3000]+(?=[\u4e00-\u9fff])", "", question)
    folded = fold(question)
    if opening and not _TIME.match(folded):
        question = opening + question
    first = sentence[: clause_end(sentence, 0)]
    named = fold(topic)[:2] in folded or _OTHERS.search(first + folded) or (folded.endswith("是谁?") and folded[0] not in "区县市镇乡村")
    if named or kind == "definition" or not topic:
        return question
    overlap = next((n for n in range(len(topic) - 1, 0, -1) if question.startswith(topic[-n:])), 0)
    return topic + question[overlap:]


def _balanced(text: str) -> bool:
    return all(text.count(a) == text.count(b) for a, b in ("“”", "《》", "「」", "（）", "()", "‘’"))


def _changed(drafts: Sequence[Draft], everything: str, count: int, rng: Random) -> list[Draft]:
    """At most ``count`` unanswerable questions. Their ``note`` is the evidence that they were made from."""
    held = fold(everything)
    found: list[Draft] = []
    years = [str(year) for year in range(1950, 2031) if str(year) not in held]
    cities = [city for city in _CITIES if city not in held]
    for origin in rng.sample(drafts, len(drafts)):
        if len(found) >= count:
            break
        if origin.kind in ("why", "how") or any(origin.doc == f.doc and origin.evidence == f.note for f in found):
            continue
        question = fold(origin.question)
        old, new = "", ""
        if (year := _YEAR.search(question)) and years:
            old, new = year.group(), min(years, key=lambda y: (abs(int(y) - int(year.group())), y))
        elif (city := next((c for c in _CITIES if c in question), "")) and cities:
            old, new = city, rng.choice(cities)
        if old:
            at = question.index(old)
            found.append(Draft("unanswerable", origin.question[:at] + new + origin.question[at + len(old) :], "", origin.doc, "", origin.evidence))
    return found


def row(number: int, item: Draft) -> dict[str, Any]:
    """One line of a gold file, marked as a draft; ``made_from`` tells whoever corrects an unanswerable one what it was."""
    fields: dict[str, Any] = {"id": f"draft-{number:03d}", "question": item.question, "answers": [item.answer] if item.answer else []}
    fields |= {"doc": item.doc if item.answer else "", "evidence": item.evidence, "type": item.kind, "answerable": bool(item.answer), "history": []}
    return fields | {"status": "draft"} | ({"made_from": item.note} if item.note else {})


def lines(drafts: Sequence[Draft]) -> list[str]:
    """The lines of a gold file, ids draft-001 and on."""
    return [json.dumps(row(number, item), ensure_ascii=False) for number, item in enumerate(drafts, 1)]


def writable(out: Path, force: bool = False) -> None:
    """Make sure that a new file can be at ``out``, its folder with it. Raises GoldError, also where one is there already (unless ``force``), OSError."""
    if out.is_dir():
        raise GoldError(f"{out} is a folder: --out must name a file")
    if out.exists() and not force:
        raise GoldError(f"{out} is there already, maybe with corrections: name another file, or overwrite it with --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise GoldError(f"{out} cannot be written: name a file in a folder of your own")


def unreviewed(path: Path) -> int:
    """How many lines of a gold file are still marked as drafts."""
    rows = (json.loads(line) for line in path.read_text("utf-8-sig").split("\n") if line.strip())
    return sum(row.get("status") == "draft" for row in rows)
