"""What kind of figure a question asks for (money, a share, people, a time …), and what kind an answer gives."""

from __future__ import annotations

import re

from index.text import fold

# The units of each kind. Where one begins another (个, 个月), the longest counts.
UNITS = {
    "money": "元 美元 欧元 港元 日元 英镑 人民币 块钱 块 钱",
    "share": "% ‰ 个百分点 百分点 个点 倍 成",
    "time": "年 个月 月 日 天 号 个工作日 工作日 小时 个小时 分钟 秒 周 个星期 星期 季度 点 时 岁",
    "area": "平方米 平方公里 平方千米 平米 亩 公顷 ㎡",
    "weight": "吨 公吨 公斤 千克 斤 克",
    "length": "公里 千米 米 厘米 毫米 海里",
    "power": "千瓦 瓦 kw mw gw kwh mwh gwh 千瓦时 度 伏",
    "people": "人 名 人次 位",
    "firms": "家 户",
    "vehicles": "台 辆 架 艘 列",
    "times": "次 趟 场 届 轮",
    "count": "个 项 件 套 种 类 条 所 座 处 间 只 头 支 批 款 宗 起 份 张 部 篇 本 例 班 株 棵 颗 枚 层 栋 幢 标箱",
}
_KIND = {unit: kind for kind, units in UNITS.items() for unit in units.split()}
_UNIT = "|".join(re.escape(unit) for unit in sorted(_KIND, key=len, reverse=True))
_SCALE = "[十百千万亿]*"
_TOLD = re.compile(rf"[0-9零一二三四五六七八九十百千万亿两半][0-9.,零一二三四五六七八九十百千万亿]*[多余几]?{_SCALE}({_UNIT})")
_ASKED = re.compile(rf"(?<!第)(?:多少|几){_SCALE}({_UNIT})")
_SHARE = re.compile("百分之(?:多少|几)|占比|比例|比重|百分比|增速|增幅|降幅|涨幅|跌幅|率[是为有达到约]*(?:多少|多高|几)")
_MONEY = re.compile(
    "多少(?:钱|资金|投资|贷款|税|补贴|补助|奖金|费用)"
    "|(?:金额|产值|营收|销售额|进出口额|进出口总额|出口额|进口额|投资额|总投资|价格|保证金|注册资本|工资)[是为有达到约]*多少"
)
# 多少 before a noun that is counted: not of money, of a share, or of what is measured.
_THINGS = re.compile("多少(?=[\u4e00-\u9fff])(?![了呢吗的是啊时面路重利收电产订存债货点度])(?!.{0,5}[钱款金费税债资投股份比例奖赏元薪价值额财贷])")
_COUNTED = frozenset({"people", "firms", "vehicles", "times"})


def kind_asked(question: str) -> str:
    """The kind of figure that ``question`` asks for, a key of :data:`UNITS`; "things" for 多少 before a noun; "" where it does not say."""
    question = fold(question)
    if found := _ASKED.search(question):
        return _KIND[found[1]]
    if _SHARE.search(question):
        return "share"
    if _MONEY.search(question):
        return "money"
    return "things" if _THINGS.search(question) else ""


def kinds_told(answer: str) -> set[str]:
    """The kinds of the figures in ``answer``; those without a known unit do not count."""
    answer = fold(answer)
    told = {_KIND[unit] for unit in _TOLD.findall(answer)}
    return told | ({"share"} if "百分之" in answer or "分之" in answer else set())


def mismatched(question: str, answer: str) -> bool:
    """Whether ``answer`` gives figures, but none of the kind that ``question`` asks for."""
    asked, told = kind_asked(question), kinds_told(answer)
    if not asked or not told:
        return False
    if asked == "things":
        return told <= {"money", "share", "time"}
    if asked == "count":
        return not told & (_COUNTED | {"count"})
    return not told & ({asked, "count"} if asked in _COUNTED else {asked})
