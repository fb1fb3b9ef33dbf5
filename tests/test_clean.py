from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from index.clean import clean
from index.types import Document

SEEDS = Path(__file__).resolve().parent.parent / "seeds"


def seed(start: str) -> tuple[str, Document]:
    path = next(SEEDS.glob(f"{start}*"))
    raw = path.read_text("utf-8")
    c = clean(raw)
    return raw, Document(path.name, c.title, c.text, str(path), {"date": c.date}, c.headings, c.runs)


def assert_maps(raw: str, text: str, document: Document) -> None:
    for i, character in enumerate(text):
        if not character.isspace():
            a, b = document.raw_span(i, i + 1)
            assert raw[a:b] == character


def test_every_seed_character_maps_to_the_raw_file():
    for path in SEEDS.glob("*.txt"):
        raw, document = seed(path.name)
        assert_maps(raw, document.text, document)


def test_front_matter_markup_and_footers_go_title_and_date_stay():
    _, d = seed("000")
    assert d.title == "以“四个聚焦”为引领 巩固提升发展首位度" and d.meta["date"] == "2022-01-17"
    assert d.text.startswith("徐海波\n党的十九届六中全会")
    assert not any(s in d.text for s in ("<p", "layout:", "http", "返回首页"))
    assert d.headings[0].title == "聚焦量质双增坚定不移加快项目推进"


def test_cells_records_powers_and_addresses_stay_apart():
    raw = "<table><tr><td>2021年</td><td>120</td><td>35</td></tr></table>\n<p>共10<sup>5</sup>次，5平方米<sup>2</sup>。</p>"
    document = Document("d", "", clean(raw).text, "d", {}, (), clean(raw).runs)
    assert document.text == "2021年  120  35\n共10^5次，5平方米2。"
    assert clean("张三，男，1980年生，江西南昌人\n李四，女，1985年生，江西赣州人").text.count("\n") == 1
    assert clean("报名网址：\nhttps://www.example.gov.cn/apply\n报名时间：9月1日").text == "报名网址：\nhttps://www.example.gov.cn/apply\n报名时间：9月1日"
    assert "http" not in clean("正文第一句。\n\nhttps://www.example.gov.cn/apply\n").text
    assert clean("## 　 ##\n正文第一句。\n# &emsp;#").text.count("正文第一句。") == 1  # a heading of nothing is none


def test_sentences_broken_by_blank_lines_are_joined():
    _, d = seed("001")
    for whole in ("全面推行告知承诺制改革。", "孵化面积101万平方米", "日本东京羽田仓", "我国新能源汽车累计产销量", "主要聚焦扰乱市场秩序", "千亿主营业务收入”这个目标", "周周签项目"):
        assert whole in d.text


def test_articles_of_one_page_are_told_apart():
    _, d = seed("001")
    assert [h.title for h in d.headings if h.level == 1] == [
        "打造高水平对外开放“强磁场”——赣州经开区扩大对外开放推动经济高质量发展", "南昌综保区首次迈进中西部A类区",
        "8月我国新能源汽车产销创新高", "工信部:互联网企业就“屏蔽外链”自查整改", "江西共青城开启新一轮招商引资",
    ]


def test_numbered_plan_gives_title_date_and_heading_levels():
    _, d = seed("004")
    assert d.title == "南昌经开区优化营商环境三年行动(2021—2023年)贯彻落实方案" and d.meta["date"] == "2021-03-11"
    levels = {h.title: h.level for h in d.headings}
    assert levels["四、重点工作"] == 2 and levels["(六)营造舒适宜居的生活生态环境"] == 3 and levels["26.建设现代都市经济区营商环境新高地"] == 4
    assert sum(level == 4 for level in levels.values()) == 26


def test_no_sentence_is_lost():
    import html
    import re

    for path in SEEDS.glob("*.txt"):
        raw, d = seed(path.name)
        body = re.sub(r"\A---\n.*?\n---\n", "", raw, flags=re.S)
        words = re.sub(r"<[^<>\n]+>|\[[^\]]*\]\([^)]*\)|^#+ ", "", body, flags=re.M)
        kept = re.sub(r"\s|｜", "", html.unescape(words))
        assert kept == re.sub(r"\s", "", d.text)


def test_escapes_entities_and_inline_tags():
    raw = "<p>他在\\[南昌\\]说&ldquo;好&rdquo;<b>的</b>&nbsp;吧。</p><script>alert(1)</script>"
    c = clean(raw)
    assert c.text == "他在[南昌]说“好”的 吧。"
    assert "alert" not in c.text


def test_hard_wrapped_lines_are_joined_at_their_width():
    words = "据统计今年上半年全区共签约项目九十一个签约资金九百五十八亿元其中五十亿元以上项目七个一百亿元以上项目两个" * 4
    raw = "\n".join(words[i : i + 20] for i in range(0, len(words), 20)) + "。\n"
    assert clean(raw).text == words + "。"


def test_short_lines_of_a_list_stay_apart():
    assert clean("名单\n张三\n李四\n王五\n").text == "名单\n张三\n李四\n王五"


def test_text_that_only_looks_like_markup_stays():
    raw = "若 a<b 且 c>d，则成立。\n---\n温度<5℃时停工。"
    assert clean(raw).text == raw


@given(st.text(alphabet="甲乙12,。，\n <p>/&;[]()#-—“”\\\u3000\u200b", max_size=200))
def test_any_text_keeps_its_offsets(raw):
    c = clean(raw)
    document = Document("d", "", c.text, "d", {}, c.headings, c.runs)
    for i, character in enumerate(c.text):
        if not character.isspace() and "&" not in raw:
            a, b = document.raw_span(i, i + 1)
            assert raw[a:b] == character
    assert all(0 <= h.start < len(c.text) for h in c.headings)


def test_empty_and_markup_only():
    assert clean("").text == "" and clean("---\ntitle: x\n---\n<p> </p>\n").text == ""


def test_lines_of_their_own_stay_apart():
    for raw in (
        "- 申请条件：年满18周岁，本市户口\n- 申请材料：身份证、户口本", "张三：13800000000\n李四：13800000001\n王五：13800000002",
        "| 年份，季度 | 出口额，亿元 |\n| 2019，一季度 | 35，其中 |", "全年完成投资额，共210\n35个项目开工", "发布时间，更新：2021-06-30\n\n2021-06-30",
        "\n".join(f"20{n},1{n}00" for n in range(10, 22)),
    ):
        assert clean(raw).text.replace("\n\n", "\n") == raw.replace("\n\n", "\n"), raw


def test_dates_in_the_forms_people_write():
    for line in ("2021-06-03", "2021/6/3", "2021.06.03", "发布时间：2021-06-03 09:30", "日期:2021年6月3日", "2021年 6月 3日"):
        assert clean(f"题目四个字\n{line}\n正文第一句。").date == "2021-06-03", line
    for value in ("2021/6/3", "2021-6-3", "2021-06-03 10:00:00", "2021年6月3日"):
        assert clean(f"---\ntitle: 题\ndate: {value}\n---\n正文。").date == "2021-06-03", value
    assert clean("题目\n2021-13-45\n正文。").date == ""


def test_odd_front_matter_does_no_harm():
    assert clean("---\ntitle:\ntags: [a, b]\n---\n# 大标题\n正文。").title == "大标题"
    assert clean("---\na: " + "[" * 3000 + "\n---\n正文。").text.endswith("正文。")
    assert clean("# 本区工作总结\n去年省政府印发《江西省开发区条例实施办法》，我区认真落实。").title == "本区工作总结"


def test_markup_that_a_text_speaks_of_loses_nothing():
    assert "第二句很重要" in clean("用`<style>`写样式。第二句很重要。再用`</style>`结束。").text


def test_no_line_takes_long():
    import time

    began = time.perf_counter()
    clean(",".join(f"http://a.cn/{n}.jpg" for n in range(200)) + " 几个字")
    clean("<!-- " * 20_000)
    clean("<style>" * 5_000)
    assert time.perf_counter() - began < 5
