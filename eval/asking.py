"""In-place questions: a sentence with a question word where its number, date, name, list, reason, way or meaning stood.

The questions are for drafts of gold alone (:mod:`eval.draft`); the training makes its own. Patterns are matched on the folded sentence
(simplified, half-width, same offsets), the questions and answers are made of the sentence's own characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

KINDS = ("number", "date", "name", "list", "why", "how", "definition")
ENDS = "。！？!?;；"

_UNIT = (
    "(?:美元|欧元|港元|日元|元|个工作日|工作日|个百分点|个月|人次|平方公里|平方米|公里|公顷|公斤|千瓦时|千瓦|立方米|标箱|小时|分钟|人|个|家|项|名|位|次|倍|亩|吨|"
    "辆|台|套|件|架|艘|座|所|户|岁|天|米|场|届|条|处|批|门|间|万|亿|种|类|部|支|册|卷|幅|棵|株|只|头|张|页|级|层|℃|度)"
)
_NUMBER = re.compile(
    rf"(?<![\d.,\-—~至第a-z+/])(?P<digits>\d+(?:,\d{{3}})*(?:\.\d+)?)(?P<scale>(?:余|多)?(?:万亿|亿|万|千|百)?(?:余|多)?)(?P<unit>%|{_UNIT})(?![\-—~至]\d|[站地所馆单庭于置然])"
)
_RANK = re.compile("第(?P<digits>[0-9]+|[一二三四五六七八九十]+)(?P<unit>[位名])")
_DATE = re.compile(r"(?<![\d\-—~至到从])(?:(?:\d{4}年)?\d{1,2}月(?:\d{1,2}日)?|\d{4}年)(?:底|初|末|中旬|上旬|下旬)?(?![\d\-—~至到起来度间内]|以[来后前]|前)")
_EVENT = re.compile("成立|落户|启动|开工|投产|举行|举办|召开|印发|(?<!新闻)发布(?!会)|建成|签约|揭牌|通过|上线|获批|荣获|获评|设立|开通|施行|实施|开放|竣工|落成|创办|出版|修订|废止|开业|通车|封顶|交付|始建|改名|更名|迁")
_TITLES = "副?(?:总经理|董事长|总裁|总监|经理|主任|书记|主席|院长|校长|所长|馆长|部长|局长|市长|省长|县长|区长|镇长|村长|会长|处长|科长|队长|站长|厂长|司长|厅长)|负责人|发言人|研究员|工程师|教授|组长|秘书长|秘书|创始人|店主|站长|设计师|讲解员"
_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高梁郑罗宋谢唐韩曹许邓萧冯曾程蔡彭潘袁于董余苏叶吕魏蒋田杜丁沈姜范江傅钟卢汪戴崔任陆廖姚方金邱夏谭韦贾邹石熊孟秦阎薛侯雷白龙段郝孔邵史毛常万顾赖武康贺严尹钱施牛洪龚"
    "汤陶黎温莫易樊乔文安殷颜庄章鲁倪庞邢俞翟蓝聂齐向申葛岳兰伍覃季舒阮柯骆耿"
)
_PERSON = re.compile(rf"(?P<role>[\u4e00-\u9fa5、a-z]{{2,30}}?(?:{_TITLES}))(?P<name>[{_SURNAMES}][\u4e00-\u9fa5]{{1,2}}?)(?=介绍|说|表示|告诉|认为|指出|坦言|透露|回忆|赞不绝口|称赞|感慨)")
_NAMED = re.compile(
    "(?<=[\u4e00-\u9fa5])[“「](?P<name>[^“”「」,。]{2,14})[”」](?!引领|带动|推动|助力|是|为)(?P<noun>[\u4e00-\u9fa5]{0,4}(?:制度|模式|机制|平台|改革|行动|工程|计划|称号|品牌|体系|理念|格局|小组|专区|专线|系统|大赛|奖|基地|中心))"
)
_BOOK = re.compile("(?<=[\u4e00-\u9fa5])《(?P<name>[^《》]{4,40})》")
_ITEM = "[^,。;:、!?()]{2,16}"
_HEADS = "包括|包含|涵盖|分为|分别为|分别是|设置|设立|设有|下辖|种有|陈列着|展出|涉及|围绕|聚焦|构建起?|建成|推进|开展|打造|培育|引进|覆盖"
_OWN_HEADS = re.compile("包括|包含|涵盖|分[为别]|设[置立有]|下辖|种有|陈列着|展出")  # these need no noun after the list
_LIST = re.compile(rf"(?P<head>{_HEADS})(?P<list>(?:{_ITEM}、){{2,9}}{_ITEM}?)(?:等(?P<count>[一二三四五六七八九十\d]+[大个项类种]?)?(?P<noun>[\u4e00-\u9fa5]{{2,8}})?)?(?=[,。;])")
_WHY = re.compile("(?:^|(?<=[,;]))(?:由于|因为|因)(?P<why>[^,。;]{4,40}),(?P<what>[^,。;]{6,40})[。;]")
_AIM = re.compile("(?:^|(?<=[,;]))为了?(?P<why>[^,。;]{6,40}),(?P<what>[^,。;]{6,40})[。;]")
_HOW = re.compile("(?:^|(?<=[,;]))通过(?P<how>[^,。;]{6,40}),(?P<what>[^,。;]{6,36})[。;]")
_TERM = re.compile("^(?P<term>[“「]?[^,。;:“”「」()的就不都也还只又可但这是]{2,14}[”」]?)(?P<verb>是指|指的是|,是指|是)(?P<what>[^,。;?!]{7,60})[。;,]")


def questions(own: str, s: str) -> Iterator[tuple[str, str, int, int]]:
    """``(kind, question, answer start, answer end)`` for what can be asked of ``own``; ``s`` is its folded form."""
    traditional = sum(a != b for a, b in zip(own, s, strict=True) if "\u4e00" <= a <= "\u9fff") * 12 > len(own)

    def asked(start: int, end: int, wh: str, stop: int | None = None) -> str:
        """All before ``start``, then ``wh``, then the rest of the clause (or up to ``stop``)."""
        return own[:start] + _in_script(wh, traditional) + own[end : clause_end(s, end) if stop is None else stop].rstrip(ENDS + "，,") + "？"

    for m in _NUMBER.finditer(s):
        scale = m.group("scale").strip("余多")
        after = s[m.end() : clause_end(s, m.end())]
        left = s[_clause_start(s, m.start()) : m.start()]
        stop = m.end() if after[:1] == "、" else None  # another fact follows
        # "分别…和…" has two answers; in "超10亿元项目", "50亿元以上项目" and "从4个减到" the number merely says which
        if "分别" in left or left.endswith("从") or after.endswith("的") or (left.endswith("超") and after) or re.match("(?:以上|以下|左右)[^,]", after):
            continue
        if m.group("unit") == "%":
            if after in ("", "以上", "以下", "左右", "以内") or stop:
                yield "number", asked(*m.span(), "百分之多少", stop), *m.span()
        elif m.group("unit") not in ("万", "亿") and len(left) >= 3:
            unit = own[m.end("digits") : m.end()].translate({ord(c): None for c in "余餘多"}) if scale else own[slice(*m.span("unit"))]
            yield "number", asked(*m.span(), "多少" + unit, stop), *m.span()
    for m in _RANK.finditer(s):
        if re.search("排名?|列|居|位$", s[max(0, m.start() - 6) : m.start()]):
            yield "number", asked(*m.span(), "第几" + own[slice(*m.span("unit"))]), *m.span()
    for m in _DATE.finditer(s):
        wh = "哪一天" if "日" in m.group() else "哪个月" if "月" in m.group() else "哪一年"
        clause = s[m.end() : clause_end(s, m.end() + 1)]
        if _EVENT.search(clause) and clause[-1] not in "上中时后前间" and s[max(0, m.start() - 1) : m.start()] not in ("(", "《", "“", "自", "年", "、"):
            comma = s[m.end() : m.end() + 1] == ","
            yield "date", own[: m.start()] + _in_script(wh, traditional) + own[m.end() + comma : m.end() + len(clause)].rstrip(ENDS + "，,") + "？", *m.span()
    for m in _PERSON.finditer(s):
        if _clause_start(s, m.start("role")) == m.start("role"):
            begin = m.start("role") + (s[m.start("role")] in "让使请据由对向与和同把")
            yield "name", own[begin : m.end("role")] + _in_script("是谁", traditional) + "？", *m.span("name")
    for m in _NAMED.finditer(s):
        clause = s[_clause_start(s, m.start()) : m.end()]
        if len(clause) >= 10 and not re.match("谈及|说起|谈到|提到|对于|关于|随着|作为|在", clause):
            yield "name", asked(m.start(), m.end("name") + 1, "什么"), *m.span("name")
    for m in _BOOK.finditer(s):
        if re.search("(?:印发|发布|出台|根据|依据|制定|按照|通过|编写|出版)(?:了|的)?$", s[: m.start()]):
            yield "name", asked(*m.span(), "什么文件", m.end() if "据" in s[m.start() - 2 : m.start()] else None), *m.span("name")
    for m in _LIST.finditer(s):
        items = m.group("list").split("、")
        own_head = _OWN_HEADS.match(m.group("head"))
        if not (m.group("noun") or own_head) or re.match("[的好与和及]|实现|形成", items[0]) or ("的" in items[-1] and not m.group("noun")):
            continue
        noun = own[slice(*m.span("noun"))] if m.group("noun") else ""
        if not noun and len(shared := _last_shared([item.strip("“”「」") for item in items])) > 1:  # …专区、…专区、…专区
            noun = own[m.end("list") - len(shared) : m.end("list")]
        yield "list", own[: m.end("head")] + _in_script(f"哪{m.group('count')}" if m.group("count") else "哪些", traditional) + noun + "？", *m.span("list")
    for kind, pattern, group, wh in (("why", _WHY, "why", "为什么"), ("why", _AIM, "why", ""), ("how", _HOW, "how", "如何")):
        for m in pattern.finditer(s):
            what = own[slice(*m.span("what"))]
            subject = own[: m.start()]
            question = subject + _in_script(wh, traditional) + what if wh else subject + what + _in_script("是为了什么", traditional)
            yield kind, question + "？", *m.span(group)
    if (defined := _TERM.match(s)) is not None:
        m = defined
        term = own[slice(*m.span("term"))]
        asks = _in_script("什么是", traditional) + term if "指" in m.group("verb") else term + _in_script("是什么", traditional)
        yield "definition", asks + "？", *m.span("what")


def _clause_start(s: str, at: int) -> int:
    return max(s.rfind(c, 0, at) for c in ",;:。") + 1


def clause_end(s: str, at: int) -> int:
    return min((i for i in (s.find(c, at) for c in ",;:。!?") if i >= 0), default=len(s))


def _last_shared(items: Sequence[str]) -> str:
    """The longest ending that all ``items`` have, at most four characters of it."""
    return next((items[0][-n:] for n in (4, 3, 2, 1) if all(item.endswith(items[0][-n:]) and len(item) > n for item in items)), "")


@lru_cache(maxsize=64)
def _in_script(words: str, traditional: bool) -> str:
    """Question words in the script of the document."""
    if not traditional:
        return words
    from opencc import OpenCC

    return str(OpenCC("s2tw").convert(words))
