"""History + question → a question that stands alone. Deterministic; whoever asked is shown the result.

A question is completed only where it leans on an earlier turn: it opens with 那/其中/它, holds a pronoun, ends in 呢, is short and
names no place, body or year, or reads like one that leans (a linear model over characters and pairs, ``python -m train.followup``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from index.text import fold

LEANING = Path(__file__).resolve().parent.parent / "models" / "followup.json"

_WITHIN = r"(?:\d{1,2}月?[-—–~～至到])?\d{1,2}月(?!底)(?:\d{1,2}[日号])?|[上下]半年|(?:前三|第?[一二三四])季度"  # a part of a year
_YEAR = re.compile(rf"(?:19|20)\d\d年(?:{_WITHIN}|底|前)?|(?:[今去明]年(?![轻龄])|(?<![目以当之])前年(?![产度均]))(?:{_WITHIN})?|{_WITHIN}")
_A_YEAR = re.compile(r"(?:19|20)\d\d年|[今去明前]年")
_ZONE = "综合保税区|综保区|经济技术开发区|经开区|高新区|开发区|新城|新区|自贸区|工业园|产业园|职教园区"
_BODY = "公司|集团|科技|大学|学院|医院|银行|法院|海关|工信部|委员会|管委会|协会|研究院|中心|局"
_NAME = re.compile(rf"(?:[\u4e00-\u9fff]{{2,6}}?(?:{_ZONE}|{_BODY}|共青城市?|街道)|[\u4e00-\u9fff]{{2,3}}?(?:[省县镇]|(?<!上)市)(?!场|民|委|级|里|值)|全南|共青城|我国|中国|全国|[“《][^”》]{{2,20}}[”》])")
_NOISE = re.compile(r"^(?:请问|想问一下|想问|问一下|我想知道|想知道|那么|那(?!曲)|在|到|去|跟|和|与|关于|以来|截至|目前)+")
# What opens a follow-up and is no part of a longer word (那曲, 那个项目, 他汀, 其他).
_OPENING = re.compile(r"^(?:请问)?(?:那么|那(?![曲么些个家位项座场里边儿时批条届款段次种天])|其中(?!标)|[它他她](?!汀|人)们?|其(?![他它余实次])|该[区县市镇园省]?|此外|还有|这(?:些个?|个)|上述|另外|然后)[，, ]?")
_PRONOUN = re.compile(r"(?<!其)[它他她]|该[区县市镇园项公企]|上述|其中")
_THAT = re.compile("[这那][位款年个些场座只种次家项天月案里边儿时批条届段]")
_WHOLE = re.compile("^(?:什么(?:是|叫)|[你您]好|谢谢|多谢)")
_LONGER = re.compile("吉他|马耳他|维他命|他汀|他人")  # words that hold a pronoun's character
_LONG = 16  # characters
MAY_LEAN = -2.5  # log-odds; above it are 96 of 186 held-out follow-ups that no rule sees, and 44 of 9,012 questions that stand alone
_MORE = re.compile("^(?:那|请问)?(?:还有|别的|其他)(?:吗|呢|哪些|什么|别的|其他的?)*[吗呢]?[？?。！!\\s]*$")
_ENDING = re.compile(r"[？?。！!\s]*$")
_ASKING = re.compile(r"多少|几|哪|什么|谁|怎么|如何|为什么|多大|多长|多久|啥|何|吗|是否|是不是|有没有|能不能|可不可以")
# The asking part of a question about a figure or a thing; without it, what is asked about is left.
_ASKED = re.compile(
    r"(?:一共|总共|大概|分别|大约)?(?:是|有|为|达到|达|叫)?了?(?:多少|几|哪[些个家位里儿年天]?|(?:什么|啥)(?:时候|地方)|何时|什么|谁|多大|多长|多久|啥)(?:个|家|项(?!目)|名|位|条(?!件|例|款)|次|天|亿元|万元|元|平方米|平方公里|万)?"
)
_CHANGE = re.compile(r"^(?:同比|环比|增长|增幅|下降|增速|降幅|增加|减少|占比|排名|排第)")


# What the pattern of a name may begin with and no name does.
_NO_NAME = re.compile("^(?:申请|入驻|进驻|落户|批准|设立|报考|负责|审批|位于|项目|企业|有?哪些|谁)+")


def names(text: str) -> list[str]:
    """The places, bodies and quoted terms that ``text`` names, in order."""
    text = _YEAR.sub(lambda m: " " * len(m.group()), text)  # 2021年南昌综保区: the name begins after the year
    return [name for m in _NAME.finditer(text) if (name := _NO_NAME.sub("", _NOISE.sub("", m.group())))]


# Words that name no subject: a question of nothing else asks on about the one before.
_STANDS_FOR = re.compile("(?:那|请问)?(?:[他她它]们?|该(?:公司|集团|企业|项目|园区|机构|单位|学校|医院)|这(?:个|家|位|项)(?:公司|集团|企业|项目|园区|机构|单位|学校|医院|人))(?!的)")
_NAMED = re.compile("谁|(?:哪|那)[家位个所座]|叫什么|什么(?:公司|项目|名字|人|单位)")
_GENERIC = re.compile(
    "同比|环比|增长率?|增幅|下降|营业收入|收入|利润|总投资|投资额?|总额|金额|产量|销量|面积|产值|规模|数量|比例|占比|排名|时限|时间|地点|原因|目标|目的|内容|要求|措施|"
    r"(?:责任|配合|牵头|主管)单位|负责人|[\d一二三四五六七八九十百千]*[万亿]?元?以[上下]|工业|项目|企业|每年|今年|一共|总共|引进|新增|签约|完成|达到|减到|帮|他们|解决|问题|"
    r"[的了是有要为被把在和与也还都将会能可以呢吗吧，、\s]"
)
_FIGURE = re.compile("(?:营业收入|收入|利润|总投资|投资额|进出口总额|[产销]量|总?面积|总?金额|交易额|总额|比例|环节|时限)$")
_PART = re.compile(r"\d+[万亿]?元?以[上下]的?")
_PARALLEL = re.compile(r"(?:[产销]量|(?:责任|配合|牵头|主管)单位|[\u4e00-\u9fff]{2}率)$")  # one of these for another: 产量 → 销量


def traits(question: str) -> set[str]:
    """What the linear model looks at: characters and pairs of them, how the question begins and ends, how long it is."""
    bare = re.sub(r"[？?。，,！!\s]", "", fold(question))
    return {f"n{min(len(bare), 24)}", "^" + bare[:1], "^" + bare[:2], "$" + bare[-2:], *bare, *(bare[i : i + 2] for i in range(len(bare) - 1))}


@lru_cache(maxsize=1)
def _weights() -> tuple[float, dict[str, float]]:
    """Bias and weights; without the file nothing leans by them."""
    if not LEANING.is_file():
        return -1.0, {}
    row = json.loads(LEANING.read_text("utf-8"))
    return row["bias"], row["weights"]


def leans(question: str) -> bool:
    """Whether ``question`` cannot be understood without the turn before."""
    bare = _ENDING.sub("", question)
    if _WHOLE.match(bare):
        return False
    plain = len(bare) <= 24 and not names(bare) and len(_GENERIC.sub("", _ASKED.sub("", bare))) <= 2
    if len(bare) > _LONG:  # such a one has its subject in itself, though it may speak of 它 later on
        return plain or (bool(_OPENING.match(bare)) and not _THAT.match(bare))
    if plain or _OPENING.match(bare) or _THAT.match(bare) or bare.endswith("呢"):
        return True
    if names(bare) or _LONGER.search(bare):
        return False
    return bool(_PRONOUN.search(bare)) or _leaning(bare) > 0


def _leaning(bare: str) -> float:
    """The linear model's log-odds that the question leans."""
    bias, weights = _weights()
    return bias + sum(weights.get(t, 0.0) for t in traits(bare))


def _bare(question: str) -> str:
    """``question`` without what opens and ends a follow-up."""
    return re.sub("呢(?=[，, ]|$)", "", _OPENING.sub("", _ENDING.sub("", question))).replace("，", "").strip() or question


def _swapped(asked: str, new: str) -> str:
    """2020年呢 / 赣州市2020年呢 / 100亿元以上的呢: the question ``asked`` with another time, place or part; empty where ``new`` is no mere swap."""
    left, found = new, asked
    for mine, theirs in ((_YEAR.findall(new), _YEAR.findall(asked)), (names(new), names(asked)), (_PART.findall(new), _PART.findall(asked))):
        if mine and theirs:
            left = left.replace(mine[0], "", 1)
            old, new_one = theirs[0], mine[0]
            year = _A_YEAR.match(old)
            if year and re.fullmatch(_WITHIN, new_one):  # 上半年呢: of the same year
                new_one = year.group() + new_one
            elif year and _A_YEAR.fullmatch(new_one):  # 2020年呢, after a part of 2021: the same part
                old = year.group()
            elif (zone := re.search(f"(?:{_ZONE})$", old)) and new_one.endswith(zone.group()):
                old = old[-len(new_one) :]  # what stands further in front is a verb that the pattern took for a part of the name
            found = found.replace(old, new_one, 1)
    return found + "？" if found != asked and not re.sub("[的在到是换成它他她，,、 ]|该[区县市镇园]", "", left) else ""


def _before(history: Sequence[tuple[str, str]], complete: bool) -> str:
    """The question of the last turn; one that leaned itself is completed first, so a chain of follow-ups keeps its subject."""
    return history[-1][0] if complete else standalone_question(history[-1][0], history[:-1])


def standalone_question(question: str, history: Sequence[tuple[str, str]] = (), complete: bool = False) -> str:
    """``question`` completed from ``history`` (earlier ``(question, answer)`` turns, oldest first), or as it is.

    ``complete`` says that the questions of ``history`` have been completed already.
    """
    if not history or not leans(question):
        return question
    asked = _ENDING.sub("", _before(history, complete))
    new = _bare(question)
    stands_for = _STANDS_FOR.match(question)
    if stands_for and _NAMED.search(asked) and 1 < len(history[-1][1]) <= 16:  # 他写的什么 after 董事长是谁: the answer is the subject
        rest = _ENDING.sub("", question)[stands_for.end() :]
        return _NOISE.sub("", _ASKED.sub("", asked)) + history[-1][1] + rest + "？"
    if same := _swapped(asked, new):
        return same
    if _MORE.match(question):
        return _NOISE.sub("", _ASKED.sub("", asked)) + "还有哪些？"
    if names(new) and _ASKING.search(new) and len(new) > 8 and not _PRONOUN.search(question) and not set(names(new)) & set(names(asked)):
        return new + "？"  # 另外，全南县…: a subject of its own
    years, old_years = _YEAR.findall(new), _YEAR.findall(asked)
    places, old_places = names(new), names(asked)
    subject = "".join(dict.fromkeys([*old_places[:1], *(y for y in old_years[:1] if not years)]))
    topic = _NOISE.sub("", _ASKED.sub("", asked))
    head = _ASKED.sub("", new)  # what is asked for now
    if "其中" in question or _CHANGE.match(new) or (_PART.match(new) and not places and not _ASKED.sub("", _PART.sub("", new)).strip("的")):
        lead = topic  # still about the same figure
    elif (old := _PARALLEL.search(topic)) and _PARALLEL.fullmatch(head):
        lead = topic[: old.start()]
    elif len(head) <= 6 and not places and len(_GENERIC.sub("", head)) <= 1:
        lead = _FIGURE.sub("", topic)
    else:
        lead = subject or topic
    if not _ASKING.search(new):
        new += "是多少" if re.search("多少|几|多大", asked) else ("是谁" if "谁" in asked else "")
    return ("" if new.startswith(lead) else lead) + new + "？"


def question_in_context(question: str, completed: str, history: Sequence[tuple[str, str]], complete: bool = False) -> str:
    """What the reader is given of ``question``, which :func:`standalone_question` made ``completed``.

    A follow-up as it was typed, the turn before in front (the reader is trained on such), unless it merely swaps a year, a place or a
    part, which completes it without a loss; so too one that is not sure enough to lean to be changed, but may. Any other as it is.
    """
    from qa.reading import with_turn

    if not history or (completed == question and _leaning(_ENDING.sub("", question)) < MAY_LEAN):
        return question
    before = _before(history, complete)
    if completed != question and completed == _swapped(_ENDING.sub("", before), _bare(question)):
        return completed
    return with_turn(_ENDING.sub("？", question, count=1), _ENDING.sub("？", before, count=1), history[-1][1])
