"""Questions made without people.

Chinese asks in place: a sentence with a question word where a number, a date,
a name or a clause stood is a natural question, and its answer and passage are
known. ``make`` picks such a place by pattern and varies the wording (metric
questions, synonyms, dropped modifiers, moved question words, the title as
subject), so that word overlap alone does not solve it.
"""

from __future__ import annotations

import re
from random import Random

UNITS = (
    "元|美元|欧元|人|个|家|项|名|位|次|倍|公里|平方公里|平方米|亩|吨|公斤|辆|台|套|件|架|艘|座|所|户|岁|天|年|个月|小时|分钟|米|千米|场|届|条|处|批|"
    "万|亿|点|度|只|头|公顷|人次|平方千米|千瓦时|千瓦|个工作日|工作日|日|支|部|种|类|期|期数|名次|分|站|对|本|张|亿元|万元|箱|标箱|款|例|元钱"
)
_NUMBER = re.compile(
    r"(?<![第数几十百千万亿\d.])(?:\d[\d,.]*|[二三四五六七八九十两][一二三四五六七八九十百千]*|[一二三四五六七八九][十百千][一二三四五六七八九十百千]*)(?:多|余)?(?:万亿|万|亿|千|百)?(?:多|余)?(?P<unit>(?:个)?(?:" + UNITS + r")|个百分点|[%％])(?:以上|以下|左右|以内)?"
)
_DATE = re.compile(r"(?:\d{4}年)?\d{1,2}月(?:\d{1,2}日)?|\d{4}年(?:底)?(?!来)")
_QUOTED = re.compile(r"[“「]([^“”「」]{2,18})[”」]|《([^《》]{2,24})》")
_TITLES = (
    "副总经理|总经理|董事长|副董事长|主任|副主任|书记|副书记|经理|主席|副主席|总裁|副总裁|教授|院长|部长|副部长|局长|副局长|市长|副市长|省长|县长|区长|镇长|负责人|发言人|"
    "新闻发言人|研究员|记者|市民|村民|总监|队长|校长|秘书长|会长|理事长|司长|厅长|处长|科长|组长|工程师|专家|创始人|总理|总统|大使|选手|医生|主管|站长|店主"
)
_PERSON = re.compile(r"(?P<role>[\u4e00-\u9fa5]{0,16}(?:" + _TITLES + r"))(?P<name>[\u4e00-\u9fa5]{2,3})(?=介绍|说|表示|告诉|认为|指出|坦言|强调|称|透露|在接受|深有感触|回忆)")
_PLACE = re.compile(r"(?:在|于|位于|来自|前往|抵达|落户)([\u4e00-\u9fa5]{2,8}(?:市|省|县|区|镇|村|州|国|岛|广场|中心|大学|医院|体育馆|机场|公园|基地|街道))")
_ORG = re.compile(r"(?:^|(?<=[，,。；由被经与和向从]))([\u4e00-\u9fa5]{2,12}(?:公司|集团|大学|委员会|研究院|协会|管理局|银行|医院|法院|中心|部门|局|政府|人民政府|办公室))")
_LIST_LEAD = re.compile(r"^.*(?:在|推进|加强|包括|将|为|促进|推动|发展|围绕|建立|关于|以及|以|实现|提供|建设|及|对|了|有)(?=.{2})")
_ASKS = re.compile("什么|多少|哪|谁|何|几|怎|啥|第几|多久|多长|多大")
_LIST = re.compile(r"(?P<list>(?:[^\s，,。；：、！？“”]{2,14}、){2,8}[^\s，,。；：、！？“”]{2,10}?)(?P<tail>等(?:\d+|[一二三四五六七八九十两多几]+)?(?P<unit>[个家项类种大])?)(?P<noun>[\u4e00-\u9fa5]{2,8})?")
_LIST2 = re.compile(r"(?:包括|分别是|分别为|涵盖|涉及|围绕|包含)(?P<list>(?:[^\s，,。；：、！？]{2,16}、){1,8}[^\s，,。；：、！？]{2,14})(?=[，,。；])")
_CAUSE = re.compile(r"(?:^|(?<=[，,。；]))(?:由于|因为|受|鉴于)(?P<why>[^，,。；]{4,36})(?:影响)?[，,](?P<what>[^，,。；]{6,40})")
_PURPOSE = re.compile(r"(?:^|(?<=[，,。；]))为(?:了)?(?P<why>[^，,。；]{5,36})[，,](?P<what>[^，,。；]{6,44})")
_MEANS = re.compile(r"通过(?P<how>[^，,。；]{4,36})[，,](?P<what>[^，,。；]{6,40})")
_DEFINE = re.compile(r"^(?P<term>[^，,。；：“”]{2,14}?)(?:，)?(?:是指|指的是|，是|是)(?P<what>[^。；]{6,46})")
_IN_CHARGE = re.compile(r"由(?P<who>[\u4e00-\u9fa5、]{3,20}?)(?P<verb>负责|承担|主办|承办|牵头|组织|举办|制定|审批|批准|建设|研制|生产|管理|投资|运营|发起)")
_METRIC = re.compile(
    r"(?P<metric>[\u4e00-\u9fa5A-Za-z&“”]{2,16}?)(?P<verb>(?:预计|已|将|首次|共计|累计|均|同比|环比|比上年|每年|达|为|是|超|共|约|近|仅|的)*"
    r"(?:突破|达到|达|为|是|增长|下降|减少|完成|实现|超过|超|约|近|共|累计|提高到|增加到|压缩至|压减至|缩短至|不少于|不低于|不超过|降至|升至|提升至|增至|有|上涨|下跌|占|居|排名|排名第)了?)$"
)
_LEAD = re.compile(r"^(?:据悉|据介绍|据了解|据统计|目前|截至目前|其中|此外|同时|近日|日前|今年以来|近年来|为此|因此|另外|而且|并且|但是|但|不过|当日|会上|会议指出|会议强调|消息|讯|[^，]{1,8}讯)[，,、]?")
_SYNONYMS = [
    ("突破", "超过"), ("举行", "举办"), ("位于", "在"), ("启动", "开始"), ("企业", "公司"), ("目前", "现在"), ("同比增长", "比上年增长"), ("同比增长", "同比增加"),
    ("建成", "建好"), ("开展", "进行"), ("进一步", ""), ("全面", ""), ("积极", ""), ("大力", ""), ("累计", "一共"), ("共", "总共"), ("将", "会"), ("召开", "开"),
    ("达到", "有"), ("购买", "买"), ("居民", "老百姓"), ("群众", "老百姓"), ("获得", "拿到"), ("成为", "是"), ("开始", "启动"), ("提高", "提升"), ("降低", "减少"),
    ("增长", "增加"), ("下降", "降低"), ("预计", "估计"), ("用于", "用来"), ("设立", "成立"), ("成立", "设立"), ("前往", "去"), ("表示", "说"), ("指出", "说"),
    ("任务", "工作"), ("实施", "施行"), ("加快", "加速"), ("确保", "保证"), ("不少于", "至少"), ("不超过", "最多"), ("规模以上", "规上"), ("综合保税区", "综保区"),
    ("经济技术开发区", "经开区"), ("合作", "协作"), ("投资", "投入"), ("金额", "总额"), ("以及", "和"), ("平均", ""), ("首次", "第一次"), ("该", ""), ("我国", "中国"),
]
_ENDS = "，,；;。：:！!？?"


def _wh(kind: str, answer: str, unit: str, rng: Random) -> str:
    if kind == "number":
        if unit in ("%", "％", "个百分点"):
            return rng.choice(["多少", "多少", "百分之多少", "百分之几", "多大比例" if unit != "个百分点" else "多少个百分点", "几个百分点" if unit == "个百分点" else "多少"])
        scale = re.search("万亿|亿|万", answer)
        forms = ["多少" + unit, "多少" + unit, "几" + unit, "多少"]
        if scale:
            forms += ["多少" + scale.group() + unit.replace(scale.group(), "")]
        if unit in ("年", "天", "小时", "分钟", "个月", "个工作日", "工作日", "日"):
            forms += ["多久", "多长时间"]
        return rng.choice(forms)
    if kind == "date":
        if "日" in answer:
            return rng.choice(["哪天", "什么时候", "几月几日", "何时", "哪一天", "几号"])
        if answer.endswith(("年", "年底")):
            return rng.choice(["哪一年", "哪年", "什么时候", "何时", "几几年"])
        return rng.choice(["几月", "什么时候", "哪个月", "何时"])
    return rng.choice({
        "quoted": ["什么", "什么", "哪个", "啥", "什么样的"], "book": ["什么", "哪部", "哪本", "哪个文件", "什么文件", "哪个"],
        "person": ["谁", "谁", "哪位", "什么人"], "place": ["哪里", "哪儿", "什么地方", "哪个地方", "哪"],
        "org": ["哪个单位", "哪家单位", "哪家", "什么机构", "谁", "哪家公司", "哪个部门", "哪个机构"],
    }[kind])


def _targets(sentence: str) -> list[tuple[int, int, str, str]]:
    """``(start, end, kind, unit)`` of what can be asked for in ``sentence``."""
    found: list[tuple[int, int, str, str]] = [(*m.span(), "date", "") for m in _DATE.finditer(sentence)]
    dates = list(found)
    for m in _NUMBER.finditer(sentence):
        if not any(a <= m.start() < b for a, b, _, _ in dates):
            found += [(*m.span(), "number", m.group("unit"))] * 2
    for m in _QUOTED.finditer(sentence):
        group = 1 if m.group(1) else 2
        found.append((*m.span(group), "quoted" if group == 1 else "book", ""))
    found += [(*m.span("name"), "person", m.group("role")) for m in _PERSON.finditer(sentence)]
    found += [(*m.span(1), "place", "") for m in _PLACE.finditer(sentence)]
    found += [(*m.span(1), "org", "") for m in _ORG.finditer(sentence)]
    return found


def _clause_start(sentence: str, position: int) -> int:
    return max(sentence.rfind(c, 0, position) for c in "，,；;：:") + 1


def _clause_end(sentence: str, position: int) -> int:
    return min((i for i in (sentence.find(c, position) for c in "，,；;。！？!?") if i >= 0), default=len(sentence))


def _in_place(sentence: str, start: int, end: int, wh: str, rng: Random) -> str:
    left = _clause_start(sentence, start)
    if start - left < 6 or rng.random() < 0.4:
        left = _clause_start(sentence, max(left - 1, 0))
    before, after = sentence[left:start], sentence[end:_clause_end(sentence, end)]
    before, after = before.rstrip("“《「"), after.lstrip("”》」")
    if len(before) + len(after) < 5:
        return ""
    # Move the question word to the front, as speech does: 什么时候… / 谁…
    if rng.random() < 0.15 and len(wh) <= 4:
        return wh + before.rstrip("在于") + after
    return before + wh + after


def _metric(sentence: str, start: int, wh: str, unit: str, rng: Random) -> str:
    """"…，进出口总额突破|210亿元" → "…进出口总额是多少"; empty where no metric stands before the number."""
    left = _clause_start(sentence, start)
    found = _METRIC.search(sentence[left:start])
    if not found:
        return ""
    metric, verb = found.group("metric"), found.group("verb")
    metric = metric[-rng.randint(4, 16):] if rng.random() < 0.2 else sentence[left:left + found.end("metric")]
    context = ""
    if left > 0 and rng.random() < 0.75:
        head = re.split("[，,；;：:]", sentence)[0]
        context = head if len(head) <= 22 else head[:rng.randint(8, 22)]
    if any(v in verb for v in ("增长", "下降", "减少", "上涨", "下跌")):
        forms = [verb.rstrip("了") + "了多少", verb + "多少", verb + wh, "增长率是多少" if "增长" in verb else "降幅是多少", "的增幅是多少" if "增长" in verb else "下降了多少"]
    elif "占" in verb:
        forms = ["占比是多少", "占多少", "占的比例是多少"]
    elif "居" in verb or "排名" in verb:
        forms = ["排第几", "排名第几", "居第几位"]
    else:
        forms = ["是多少", "是多少", "有多少", "达到了多少", "是" + wh, "有" + wh, "为" + wh, "多少", "达" + wh, "一共" + wh]
    return context + metric + rng.choice(forms)


def _whole_clause(sentence: str, rng: Random) -> tuple[str, int, int] | None:
    """Why, how, which, what-is and who-is-in-charge questions; the answer is a clause or a list."""
    makers = []
    for m in _CAUSE.finditer(sentence):
        makers.append((rng.choice(["为什么{}", "{}的原因是什么", "{}是什么原因"]).format(m.group("what")), *m.span("why")))
    for m in _PURPOSE.finditer(sentence):
        makers.append((rng.choice(["为什么{}", "{}是为了什么", "{}的目的是什么"]).format(m.group("what")), *m.span("why")))
    for m in _MEANS.finditer(sentence):
        makers.append((rng.choice(["如何{}", "怎么{}", "通过什么方式{}", "靠什么{}"]).format(m.group("what")), *m.span("how")))
    if (defined := _DEFINE.match(sentence)) is not None:
        form = rng.choice(["{}是什么", "什么是{}", "{}指的是什么", "啥叫{}"])
        makers.append((form.format(defined.group("term")), *defined.span("what")))
    for m in _IN_CHARGE.finditer(sentence):
        rest = sentence[m.end():_clause_end(sentence, m.end())]
        lead = sentence[_clause_start(sentence, m.start()):m.start()]
        if len(lead + rest) >= 4:
            makers.append((lead + rng.choice(["由谁", "由哪个部门", "由哪家单位", "由哪个单位"]) + m.group("verb") + rest, *m.span("who")))
    for m in _LIST.finditer(sentence):
        noun = m.group("noun") or ""
        lead = sentence[_clause_start(sentence, m.start()):m.start()]
        unit = m.group("unit") or ""
        if noun or len(lead) >= 4:
            if lead and not noun and len(lead) < 6:
                continue
            asked = "哪些" if unit != "大" or rng.random() < 0.5 else "哪几大"
            question = rng.choice([lead + asked + noun, lead + asked + noun + sentence[m.end():_clause_end(sentence, m.end())], lead + noun + "有" + asked, lead + noun + "包括" + asked])
            start = m.start("list")
            head = _LIST_LEAD.match(sentence[start:sentence.index("、", start)])
            makers.append((question, start + (head.end() if head else 0), m.end("list")))
    for m in _LIST2.finditer(sentence):
        lead = sentence[_clause_start(sentence, m.start()):m.start("list")]
        if len(lead) >= 5:
            makers.append((lead + rng.choice(["哪些", "什么", "哪几个方面", "哪些内容"]), *m.span("list")))
    return rng.choice(makers) if makers else None


def _vary(question: str, title: str, rng: Random) -> str:
    if rng.random() < 0.6:
        question = _LEAD.sub("", question)
    for old, new in rng.sample(_SYNONYMS, 12):
        if old in question and rng.random() < 0.5:
            question = question.replace(old, new, 1)
    if rng.random() < 0.2 and (m := re.search(r"[\u4e00-\u9fa5]{2,8}的(?=[\u4e00-\u9fa5]{2})", question)):
        question = question[:m.start()] + question[m.end():]
    if rng.random() < 0.25:  # a slip: a few characters missing
        at, n = rng.randrange(max(1, len(question) // 2)), rng.randrange(1, 4)
        if not re.search("什么|多少|哪|谁|何|几|怎", question[max(0, at - 1):at + n + 1]):
            question = question[:at] + question[at + n:]
    question = question.strip("“”《》，,、；;：:。 \u3000")
    if title and rng.random() < 0.35:
        topic = re.split(r"[，,：: 】]", title.strip("【】 "))[0]
        if 3 <= len(topic) <= 18 and topic[:4] not in question:
            question = topic + rng.choice(["", "", "的", "，"]) + question
    if rng.random() < 0.12:
        question = rng.choice(["请问", "想知道", "问一下", "我想问", "请教一下，"]) + question
    return question[-44:] + rng.choice(["？", "？", "", "?"])


def make(sentence: str, title: str, rng: Random) -> tuple[str, int, int] | None:
    """A question on ``sentence`` with its answer's ``(start, end)`` there, or None where nothing fits."""
    if rng.random() < 0.3 and (made := _whole_clause(sentence, rng)):
        question, start, end = made
    else:
        targets = _targets(sentence)
        if not targets:
            return None
        start, end, kind, unit = rng.choice(targets)
        answer = sentence[start:end]
        if kind == "person" and rng.random() < 0.6:
            question = unit[-rng.randint(4, 18):] + rng.choice(["是谁", "叫什么", "叫什么名字", "是哪位", "姓什么叫什么"])
        else:
            wh = _wh(kind, answer, unit, rng)
            question = (_metric(sentence, start, wh, unit, rng) if kind == "number" and rng.random() < 0.65 else "") or _in_place(sentence, start, end, wh, rng)
    if len(question) < 5 or not sentence[start:end].strip():
        return None
    question = _vary(question, title, rng)
    return (question, start, end) if len(question) >= 6 and _ASKS.search(question) else None


# One of these asked for where the other is told of makes a near miss.
OPPOSITES = tuple(
    tuple(pair.split()) for pair in (
        "进口 出口", "增长 下降", "最高 最低", "上半年 下半年", "今年 去年", "男 女", "增加 减少", "第一 第二", "开工 竣工", "城镇 农村", "首次 末次",
        "最大 最小", "投资 贷款", "收入 支出", "省级 市级", "国家级 省级", "上午 下午", "春季 秋季", "东部 西部", "成立 撤销", "学生 老师", "利润 亏损",
    )
)
_YEAR = re.compile(r"(?:19|20)\d\d(?=年)")
_NAME = re.compile(r"[\u4e00-\u9fa5]{2}(?=省|市|县|区|州|国|镇|大学|公司|集团|医院|综保区|经开区|高新区)")


def near_miss(question: str, passage: str, elsewhere: str, rng: Random) -> str:
    """``question`` with its year, a name or a word of contrast changed to one that ``passage`` lacks; empty where there is none to change."""
    changes = [(m.span(), str(int(m.group()) + rng.choice((-3, -2, -1, 1, 2)))) for m in _YEAR.finditer(question)]
    if names := _NAME.findall(elsewhere):
        changes += [(m.span(), rng.choice(names)) for m in _NAME.finditer(question)]
    for a, b in OPPOSITES:
        for old, new in ((a, b), (b, a)):
            if (at := question.find(old)) >= 0:
                changes.append(((at, at + len(old)), new))
    changes = [(span, new) for span, new in changes if new not in passage and question[span[0] : span[1]] != new]
    if not changes:
        return ""
    (start, end), new = rng.choice(changes)
    return question[:start] + new + question[end:]
