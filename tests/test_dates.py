import pytest

from index.types import Document
from qa.dates import clash, published, readings, years

TEXT = "今年8月，签约项目12个，比去年同期增长一成。2019年5月和6月另有3个。明年将再建两座。"
DATED = Document("d.txt", "题", TEXT, "d.txt", {"date": "2021-09-03"})
UNDATED = Document("e.txt", "题", TEXT, "e.txt")


def test_the_date_of_publication_is_read():
    assert published(DATED) == (2021, 9) and published(UNDATED) is None


def test_years_are_named_or_reckoned_from_the_date():
    assert years(TEXT, DATED) == {2019, 2020, 2021, 2022}
    assert years(TEXT, UNDATED) == {2019}
    assert years("编号20211号，2022家，２０２０年", UNDATED) == {2020}
    assert years("二〇二一年和二○二二年", UNDATED) == {2021, 2022} and years("2020—2022年", UNDATED) == {2020, 2021, 2022}
    assert years("2021-06-30发布，2019/5/3修订，2018.4起", UNDATED) == {2018, 2019, 2021}
    assert years("总投资2000至3000万元，补助2000 万元，1900—2000吨", UNDATED) == set() and years("投产于2021", UNDATED) == {2021}


@pytest.mark.parametrize("text", ["目前年产汽车10万辆", "以前年度亏损", "当前年产值", "此后年均增长", "以后年度", "如今年轻人", "证明年限", "基本年薪", "过去年份"])
def test_words_that_only_hold_a_year_name_none(text):
    assert years(text, DATED) == set() and readings(Document("d.txt", "题", text, "d.txt", {"date": "2021-09-03"}), 0, len(text)) == ()


@pytest.mark.parametrize(("question", "said", "apart"), [
    ("2020年签约多少？", "今年签约12个。", True), ("2021年签约多少？", "今年签约12个。", False), ("2020年签约多少？", "去年签约12个。", False),
    ("签约多少？", "今年签约12个。", False), ("9月签约多少？", "8月签约12个。", True), ("8月签约多少？", "1至8月签约12个。", False),
    ("下半年签约多少？", "上半年签约12个。", True), ("三季度签约多少？", "一季度5个，三季度7个。", False), ("全年签约多少？", "上半年签约12个。", False),
    ("2021年三季度产值", "2021年前三季度，产值100亿元", True), ("第一季度产值", "一季度产值10亿元", False), ("2020年进出口多少", "今年1-11月进出口200亿元，比去年同期增长", True),
    ("“十四五”期间投资多少", "“十三五”期间投资100亿元", True), ("2023年目标是多少", "“十四五”期间投资100亿元", False), ("2021年产值", "今年产值50亿元", False),
    ("2020年产值", "去年产值50亿元", False), ("2019年产值", "去年产值50亿元", True), ("2020年收入", "去年限额以上企业收入5亿元，超过去年", False),
])
def test_another_time_is_seen(question, said, apart):
    assert clash(question, said, DATED) == apart


def test_words_of_time_are_told_with_what_they_mean():
    assert readings(DATED, 0, 20) == (("今年", "2021年"), ("去年", "2020年"))  # 8月 has its year before it
    assert readings(UNDATED, 0, len(TEXT)) == ()
    bare = Document("f.txt", "题", "9月至12月开工。", "f.txt", {"date": "2022-01-17"})
    assert ("12月", "2021年12月") in readings(bare, 0, 8)
    for plan in ("预计12月建成投产。", "材料须于12月15日前报送。"):
        assert readings(Document("g.txt", "题", plan, "g.txt", {"date": "2022-03-02"}), 0, len(plan))[0][1] == "2022年12月"
    assert readings(Document("g.txt", "题", "7月3日开工。", "g.txt", {"date": "2022-01-17"}), 0, 7) == (("7月3日", "2022年7月"),)
