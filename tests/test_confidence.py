from index.types import Document, Hit, Passage
from qa.answerer import Span
from qa.confidence import Calibration, contradicted, coverage, unheard

TEXT = "2021年，南昌综保区进出口总额突破210亿元。九江共青城高新区建设加快。全国综保区排名第40位。"
DOCUMENT = Document("d.txt", "题", TEXT, "d.txt", {"date": "2022-01-17"})
PASSAGE = Passage("d#0", "d.txt", "题", "", TEXT, 0, len(TEXT))


def test_other_years_and_zones_speak_against():
    assert contradicted("南昌综保区2019年进出口总额是多少？", PASSAGE, DOCUMENT)
    assert contradicted("九江综保区2021年进出口总额是多少？", PASSAGE, DOCUMENT)


def test_named_ones_and_synonyms_do_not():
    for question in ("南昌综保区2021年进出口总额", "南昌综合保税区2021年进出口", "請問南昌綜保區２０２１年進出口", "2022年的文章怎么说", "全国综保区里排第几", "共青城高新区在哪"):
        assert not contradicted(question, PASSAGE, DOCUMENT), question


def test_coverage_counts_what_is_asked_about():
    assert coverage("南昌综保区2021年进出口总额是多少？", PASSAGE) > 0.7
    assert coverage("红烧肉怎么做好吃", PASSAGE) == 0.0 == coverage("😀", PASSAGE)
    assert 0 < coverage("南昌综保区2021年旅客吞吐量", PASSAGE) < 1


def test_unheard_counts_what_the_document_never_says():
    assert unheard("南昌综合保税区2021年进出口总额是多少？", PASSAGE, DOCUMENT) == 0.0
    assert 0 < unheard("南昌综保区2021年旅客吞吐量是多少？", PASSAGE, DOCUMENT) < unheard("红烧肉怎么做好吃", PASSAGE, DOCUMENT) == 1.0


def span(score, search, none=-3.0):
    return Span(Hit(PASSAGE, search, 1), 0, 5, score, none)


def test_search_and_reader_decide_together():
    calibration = Calibration()
    documents = {"d.txt": DOCUMENT}
    assert calibration.best("甲", [span(-1.0, 0.2), span(-1.5, 0.9)], documents).hit.score == 0.9
    assert calibration.best("甲", [span(-1.0, 0.2), span(-6.0, 0.9)], documents).hit.score == 0.2
    assert calibration.best("甲", [], documents) is None


def test_a_contradicted_span_gives_way_to_any_other():
    text = "南通开发区进出口总额453.8亿元。"
    other = Passage("e#0", "e.txt", "题", "", text, 0, len(text))
    documents = {"d.txt": DOCUMENT, "e.txt": Document("e.txt", "题", text, "e.txt")}
    wrong = Span(Hit(other, 0.9, 1), 0, 5, -0.1, -3.0)
    best = Calibration().best("南昌综保区2021年进出口总额是多少？", [wrong, span(-4.0, 0.5)], documents)
    assert best.hit.passage.doc_id == "d.txt"
    assert Calibration().best("南昌综保区2021年进出口总额是多少？", [wrong], documents) == wrong


def test_confidence_falls_with_contradiction_and_stays_a_chance():
    calibration = Calibration()
    right = calibration.confidence("南昌综保区2021年进出口总额是多少？", span(-0.5, 0.9), DOCUMENT)
    wrong = calibration.confidence("南昌综保区2019年进出口总额是多少？", span(-0.5, 0.9), DOCUMENT)
    assert 0 < wrong < 0.3 * right < 1
    assert 0 <= calibration.confidence("x", span(-99.0, 0.0, 0.0), DOCUMENT) < 0.05
