import pytest

from index.embed import ModelError
from index.types import Document, Hit, Passage
from qa.answerer import Span
from qa.confidence import Calibration, contradicted, coverage, features, unfit

TEXT = "2021年，南昌综保区进出口总额突破210亿元。九江共青城高新区建设加快。全国综保区排名第40位。"
DOCUMENT = Document("d.txt", "题", TEXT, "d.txt", {"date": "2022-01-17"})
PASSAGE = Passage("d#0", "d.txt", "题", "", TEXT, 0, len(TEXT))


def test_other_years_and_zones_speak_against():
    assert contradicted("南昌综保区2019年进出口总额是多少？", PASSAGE, DOCUMENT)
    assert contradicted("九江综保区2021年进出口总额是多少？", PASSAGE, DOCUMENT)


def test_years_that_lean_on_the_date_are_heard():
    for date, text, asked in (("2021-03-01", "去年，全市进出口总额210亿元", "2020年"), ("2021-03-01", "二〇一九年进出口", "2019年"), ("2023-01-01", "2020—2022年", "2021年")):
        document = Document("d", "题", text, "d", {"date": date})
        passage = Passage("d#0", "d", "题", "", text, 0, len(text))
        assert not contradicted(f"{asked}进出口总额是多少？", passage, document) and contradicted("2017年进出口总额是多少？", passage, document)


def test_a_span_of_years_asks_for_its_ends_alone():
    text = "企业由2019年的120家增加到2021年的180家。"
    document, passage = Document("d", "题", text, "d"), Passage("d#0", "d", "题", "", text, 0, len(text))
    assert not contradicted("2019年到2021年，全县企业数量增加了多少家？", passage, document)
    assert contradicted("2018年到2021年，全县企业数量增加了多少家？", passage, document)


def test_a_calibration_of_another_version_says_what_to_do(tmp_path):
    (tmp_path / "calibration.json").write_text('{"dense": 0.5, "weights": [0, 1], "threshold": 0.2}', "utf-8")
    with pytest.raises(ModelError, match="run python -m train"):
        Calibration.load(tmp_path)


def test_words_before_a_zone_are_not_always_names():
    text = "江西有6个开发区，南昌经开区有规上企业72家。"
    document, passage = Document("d", "题", text, "d"), Passage("d#0", "d", "题", "", text, 0, len(text))
    for question in (
        "江西有多少个开发区？", "江西省有几家开发区？", "哪两个城市有高新区？", "请问经开区有规上企业多少家？", "目前经开区有多少家", "去年综保区", "位于经开区的企业",
        "当地开发区", "南昌市经开区有多少家", "其他经开区呢", "同类经开区", "国家级经开区", "两个综保区", "什么时候建成综保区", "企业如何依托综保区", "申报综保区的条件", "退出经开区", "省内综保区",
    ):
        assert not contradicted(question, passage, document), question
    for question in ("赣州经开区有多少家", "盐城经开区在哪", "在九江市经开区", "共青城高新区"):
        assert contradicted(question, passage, document), question


def test_named_ones_and_synonyms_do_not():
    for question in ("南昌综保区2021年进出口总额", "南昌综合保税区2021年进出口", "請問南昌綜保區２０２１年進出口", "2022年的文章怎么说", "全国综保区里排第几", "共青城高新区在哪"):
        assert not contradicted(question, PASSAGE, DOCUMENT), question


def test_coverage_counts_what_is_asked_about():
    assert coverage("南昌综保区2021年进出口总额是多少？", TEXT) > 0.7
    assert coverage("红烧肉怎么做好吃", TEXT) == 0.0 == coverage("😀", TEXT)
    assert 0 < coverage("南昌综保区2021年旅客吞吐量", TEXT, "题") < 1


def span(score, search, none=-3.0):
    return Span(Hit(PASSAGE, search, 1), 0, 5, score, none)


def test_search_and_reader_decide_together():
    calibration = Calibration()
    documents = {"d.txt": DOCUMENT}
    assert best(calibration, "甲", [span(-1.0, 0.2), span(-1.5, 0.9)], documents).hit.score == 0.9
    assert best(calibration, "甲", [span(-1.0, 0.2), span(-6.0, 0.9)], documents).hit.score == 0.2
    assert calibration.ranked("甲", [], documents) == []


def best(calibration, question, spans, documents):
    return calibration.ranked(question, spans, documents)[0][1]


def test_another_place_or_number_is_seen():
    """Not for what the document says elsewhere, nor for a year."""
    def told(question):
        return features(question, span(-1.0, 0.5), DOCUMENT, 0.5)[-2:]

    assert told("苏州综保区进出口总额是多少？") == (1.0, 0.0) and told("九江、南昌进出口总额是多少？") == (0.0, 0.0)
    assert told("南昌二期进出口总额是多少？") == (0.0, 1.0) and told("2019年谁排名第40位？") == (0.0, 0.0)


def test_the_search_score_counts_beside_the_best():
    assert [features("甲", span(-1.0, 0.5), DOCUMENT, best)[1] for best in (0.5, 1.0, 0.0)] == [1.0, 0.5, 0.0]


def test_the_wrong_kind_of_answer_is_seen():
    assert unfit("有多少家企业？", "重点企业") and not unfit("有多少家企业？", "三百多家")
    assert unfit("签约了多少项目？", "419亿元") and not unfit("签约了多少项目？", "18个")
    assert unfit("什么时候投产？", "吉利") and not unfit("什么时候投产？", "８月底") and not unfit("为什么投产？", "吉利")


def test_a_contradicted_span_gives_way_to_any_other():
    text = "南通开发区进出口总额453.8亿元。"
    other = Passage("e#0", "e.txt", "题", "", text, 0, len(text))
    documents = {"d.txt": DOCUMENT, "e.txt": Document("e.txt", "题", text, "e.txt")}
    wrong = Span(Hit(other, 0.9, 1), 0, 5, -0.1, -3.0)
    question = "南昌综保区2021年进出口总额是多少？"
    assert best(Calibration(), question, [wrong, span(-4.0, 0.5)], documents).hit.passage.doc_id == "d.txt"
    assert best(Calibration(), question, [wrong], documents) == wrong


def test_confidence_falls_with_contradiction_and_stays_a_chance():
    calibration = Calibration()
    documents = {"d.txt": DOCUMENT}

    def chance(question, found):
        return calibration.ranked(question, [found], documents)[0][0]

    right = chance("南昌综保区2021年进出口总额是多少？", span(-0.5, 0.9))
    wrong = chance("南昌综保区2019年进出口总额是多少？", span(-0.5, 0.9))
    assert 0 < wrong < 0.3 * right < 1
    assert 0 <= chance("x", span(-99.0, 0.0, 0.0)) < 0.05


def test_a_verb_before_a_zone_is_no_name_and_a_zone_has_two_names():
    text = "吉利动力电池项目落户赣州经开区，总投资300亿元。南通开发区有首席服务员。"
    document, passage = Document("d", "题", text, "d"), Passage("d#0", "d", "题", "", text, 0, len(text))
    for question in ("落户经开区的吉利项目总投资多少？", "支持综保区", "赣州开发区的吉利项目总投资多少？", "南通经济技术开发区有多少名首席服务员？"):
        assert not contradicted(question, passage, document), question
    for question in ("南昌开发区有多少首席服务员？", "赣州综保区的吉利项目"):
        assert contradicted(question, passage, document), question
