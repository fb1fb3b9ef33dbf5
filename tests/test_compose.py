"""Shapes of answers: lists, the same fact twice, another figure elsewhere, yes and no; on made-up and on random documents."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import offsets_valid
from index.types import Document, Hit, Passage
from qa.answerer import Span
from qa.assistant import Assistant
from qa.compose import _ONES, ELSE, NO, YES, compose, differs, enumerated, text_of, wants_list, wants_verdict
from qa.confidence import Calibration


def hit(doc, text, score=1.0):
    return Hit(Passage(f"{doc}#0", doc, "题", "", text, 0, len(text)), score, 1)


def span_of(doc, text, part, score=-0.1, **more):
    at = text.index(part)
    return Span(hit(doc, text), at, at + len(part), score, -5.0, **more)


def documents(**texts):
    return {doc: Document(doc, "题", text, doc, {"date": f"202{n}-03-01"}) for n, (doc, text) in enumerate(texts.items())}


def said(pieces, held):
    return "".join(piece.connector + text_of(piece.spans[0], held) for piece in pieces)


@pytest.mark.parametrize(("text", "items"), [
    ("主要做法：一是强化组织领导，成立专班；二是优化审批。三是减税降费，惠及百家企业。以后再说。", ["强化组织领导，成立专班", "优化审批", "减税降费，惠及百家企业"]),
    ("步骤如下：\n（一）提出申请。\n（二）现场核查。\n（三）发证。\n别的。", ["提出申请", "现场核查", "发证"]),
    ("1.登记；2.缴费；3.领证。", ["登记", "缴费", "领证"]),
    ("①甲区；②乙区；③丙区。", ["甲区", "乙区", "丙区"]),
])
def test_a_numbered_list_is_quoted_item_by_item(text, items):
    at = text.index(items[1])
    for start, end in ((at, at + 2), (0, 2)):
        assert [text[a:b] for a, b in enumerated(text, start, end)] == items


@pytest.mark.parametrize("text", ["一是一，二是二地说。", "只有一是这样。", "3.5亿元，2.5亿元", "二是先，一是后。", ""])
def test_what_is_no_numbered_list_stays_whole(text):
    assert enumerated(text, 0, 2) == []


def test_long_items_are_quoted_to_the_end_of_their_clause():
    text = f"一是推进改革，{'甲' * 60}；二是扩大开放，{'乙' * 60}。"
    assert [text[a:b] for a, b in enumerated(text, 2, 4)] == ["推进改革", "扩大开放"]


def test_sections_and_lists_in_a_row_are_not_taken_apart():
    text = "".join(f"（{n}）营造环境\n{'甲' * 200}，包括登记、缴费、领证。\n" for n in "一二三")
    for part in ("登记", "登记、缴费、领证", "营造环境"):
        assert enumerated(text, text.index(part), text.index(part) + len(part)) == []
    text = "一是登记、缴费；二是领证。"
    assert enumerated(text, 2, 7) == [] and enumerated(text, text.index("领证"), len(text) - 1) != []


def test_a_list_is_asked_for():
    assert wants_list("有哪些措施？") and wants_list("哪三方面工作") and wants_list("办理步骤") and not wants_list("哪个单位牵头？") and not wants_list("多少家？")


@pytest.mark.parametrize(("question", "whether"), [
    ("今年签约超过50个了吗？", True), ("是否免费", True), ("能不能网上办", True), ("有没有停车场？", True), ("是不是每天都开？", True), ("需不需要预约", True),
    ("是否收费由谁决定？", False), ("有多少家？", False), ("什么时候能办？", False), ("签约项目数", False), ("哪些人可以办？", False),
    ("可以查看合同吗？", True), ("说明书是否需要中文？", True), ("解释权是否归公司？", True), ("能查到个人信息吗？", True),
    ("能告诉我截止日期吗？", False), ("你能介绍一下项目吗？", False), ("可以说一下条件吗？", False), ("请帮我查截止日期好吗？", False),
])
def test_yes_or_no_is_asked(question, whether):
    assert wants_verdict(question) == whether


A, B, C = "甲区2021年进出口总额突破210亿元。", "据统计，甲区2021年进出口总额210亿元。", "甲区2021年进出口总额为198亿元。"


def test_items_that_stand_apart_are_gathered_where_a_list_is_asked_for():
    text = "甲村种黄皮果，收成很好。除此以外还养肉鸽，也建了大棚。"
    held = documents(a=text)
    ranked = [(0.9, span_of("a", text, "养肉鸽", -0.9)), (0.8, span_of("a", text, "种黄皮果", -1.2)), (0.5, span_of("a", text, "黄皮果", -1.3)),
              (0.4, span_of("a", text, "建了大棚", -3.0))]
    assert said(compose("甲村有哪两项产业？", ranked, held, 0.2), held) == "种黄皮果；养肉鸽"
    assert said(compose("甲村养什么？", ranked, held, 0.2), held) == "养肉鸽"


def test_the_same_fact_in_two_documents_has_both_as_proof():
    held = documents(a=A, b=B, c="乙区2021年出口5亿元。")
    ranked = [(0.9, span_of("a", A, "突破210亿元")), (0.8, span_of("b", B, "210亿元")), (0.7, span_of("c", held["c"].text, "5亿元"))]
    (piece,) = compose("甲区2021年进出口总额是多少？", ranked, held, 0.2)
    assert [s.hit.passage.doc_id for s in piece.spans] == ["a", "b"] and said([piece], held) == "突破210亿元"
    (piece,) = compose("甲区2021年进出口总额是多少？", ranked, held, 0.85)
    assert len(piece.spans) == 1  # the other is not sure enough


def test_documents_that_differ_are_both_shown():
    held = documents(a=A, c=C)
    ranked = [(0.9, span_of("a", A, "210亿元")), (0.8, span_of("c", C, "198亿元"))]
    assert said(compose("甲区2021年进出口总额是多少？", ranked, held, 0.2), held) == f"210亿元{ELSE}198亿元"


@pytest.mark.parametrize("other", ["甲区2020年进出口总额为198亿元。", "甲区2021年共有198家企业。", "乙县有人口198亿元。", "甲区2021年进出口总额210亿元。"])
def test_another_year_unit_or_thing_is_no_contradiction(other):
    held = documents(a=A, c=other)
    part = "198家" if "家" in other else ("210亿元" if "210" in other else "198亿元")
    assert not differs("甲区2021年进出口总额是多少？", span_of("a", A, "210亿元"), span_of("c", other, part), held)


def test_yes_and_no_come_with_the_clause_that_proves_them():
    text = "先说别的。甲区今年进出口总额下降了一成；投资增长。"
    held = documents(a=text)
    no = span_of("a", text, "进出口", yes=-2.0)
    assert said(compose("甲区进出口增长了吗？", [(0.9, no)], held, 0.2, 0.9), held) == f"{NO}甲区今年进出口总额下降了一成"
    assert said(compose("甲区进出口下降了吗？", [(0.9, replace(no, yes=2.0))], held, 0.2, 0.9), held).startswith(YES)
    assert said(compose("甲区进出口下降了吗？", [(0.9, no)], held, 0.2, 0.7), held) == "甲区今年进出口总额下降了一成"  # not sure enough to say so
    assert said(compose("甲区进出口下降了吗？", [(0.9, no)], held, 0.2), held) == "进出口"  # a model that does not judge


PIECES = st.sampled_from(["一是", "二是", "三是", "（一）", "（二）", "1.", "2.", "①", "②", "；", "。", "\n", "，", "210亿元", "２１０億元", "增长", "😀", "𠮷", " ", "　", "“", "”", "（", "\u200b", "abc", "12.5%"])
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=6)), min_size=1, max_size=30).map("".join).filter(lambda t: t.strip())


class Reader:
    name, judges, follows = "random", True, False

    def __init__(self, spans):
        self.spans = spans

    def answer(self, question, hits):
        return self.spans


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), question=st.sampled_from(["有哪些措施？", "是多少？", "增长了吗？", "2021年8月呢"]), data=st.data())
def test_no_answer_ever_holds_anything_but_quotes_and_connectors(texts, question, data):
    held = {f"d{n}": Document(f"d{n}", "题", text, "", {"date": "2022-01-02"}) for n, text in enumerate(texts)}
    spans = []
    for doc, document in held.items():
        for _ in range(data.draw(st.integers(0, 3))):
            start = data.draw(st.integers(0, len(document.text) - 1))
            end = data.draw(st.integers(start + 1, len(document.text)))
            spans.append(Span(hit(doc, document.text), start, end, data.draw(st.floats(-8, 0)), -3.0, yes=data.draw(st.floats(-9, 9))))

    class Store:
        documents = held

    class Search:
        def search(self, question, scope=None):
            return tuple(dict.fromkeys(span.hit for span in spans))

    verdict = (data.draw(st.floats(-1, 4)),) + (0.0,) * 8
    assistant = Assistant(Store(), Search(), Reader(spans), Calibration(verdict=verdict), threshold=data.draw(st.floats(0, 0.6)))
    answer = assistant.ask(question)
    assert answer.refused == (not answer.citations)
    assert [c.marker for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    for c in answer.citations:
        text = held[c.doc_id].text
        assert text[c.start : c.end] == c.quote and c.start <= c.answer_start < c.answer_end <= c.end
    assert offsets_valid(answer, lambda doc: held[doc].text) == 1


def test_decimals_are_no_numbered_list():
    text = "三个项目投资分别为：1.5亿元，2.3亿元，3.6亿元。"
    assert enumerated(text, text.index("1.5"), text.index("亿元")) == []
    assert enumerated("步骤：1.申请，2.受理，3.办结。", 5, 7) != []


@pytest.mark.parametrize(("text", "answer", "items"), [
    ("该区主导产业为电子信息和装备制造业。下一步，一是抓招商；二是抓项目；三是抓服务。", "电子信息和装备制造业", []),
    ("①身份证；②户口本；③照片。办理程序：一是网上申请；二是窗口受理；三是领证。", "身份证", ["身份证", "户口本", "照片"]),
    ("本年措施：一、减税降费。二、金融支持。三、人才引进。会议要求：一、统一思想；二、狠抓落实。", "统一思想", ["统一思想", "狠抓落实"]),
    ("需带①身份证②户口本③照片。", "身份证", ["身份证", "户口本", "照片"]),
    ("1）登记；2）缴费；3）领证。", "登记", ["登记", "缴费", "领证"]),
    ("".join(f"（{n}）第{n}件事情。\n" for n in _ONES[:13]), "第二件", [f"第{n}件事情" for n in _ONES[:13]]),
])
def test_of_several_lists_the_one_that_the_answer_stands_in(text, answer, items):
    at = text.index(answer)
    assert [text[a:b] for a, b in enumerated(text, at, at + len(answer))] == items


@pytest.mark.parametrize("question", ["审批流程压缩到几个工作日？", "办理流程需要多少天？"])
def test_one_figure_about_a_procedure_is_no_list(question):
    assert not wants_list(question) and wants_list("办理流程是什么？")


@pytest.mark.parametrize("question", ["能告诉我南昌综保区2021年进出口总额吗？", "你知道谁是主任吗？", "可以介绍一下三牛精神吗？", "会议是否召开，何时召开？"])
def test_a_polite_request_asks_for_no_yes(question):
    assert not wants_verdict(question) and wants_verdict("可以延期吗？") and wants_verdict("能报销吗？")


@pytest.mark.parametrize(("one", "other", "apart"), [
    ("甲区2021年进出口总额210亿元。", "甲区2021年上半年进出口总额100亿元。", True), ("甲区今年进出口总额210亿元。", "甲区今年进出口总额100亿元。", True),
    ("甲区2021年进出口总额210亿元。", "甲区2021年进出口总额100亿元，比去年同期增长一成。", False),
])
def test_another_period_is_no_contradiction(one, other, apart):
    held = documents(a=one, c=other)
    assert differs("甲区进出口总额是多少？", span_of("a", one, "210亿元" if "210" in one else "100亿元"), span_of("c", other, "100亿元"), held) != apart


def test_a_word_of_time_that_two_papers_mean_differently_is_read_for_each():
    one, other = "甲区今年进出口总额210亿元。", "甲区今年进出口总额约210亿元。"
    held = documents(a=one, c=other)

    class Store:
        documents = held

    class Search:
        def search(self, question, scope=None):
            return (hit("a", one), hit("c", other))

    spans = [span_of("a", one, "210亿元"), span_of("c", other, "210亿元", -0.2)]
    answer = Assistant(Store(), Search(), Reader(spans), Calibration(), threshold=0).ask("甲区进出口总额是多少？")
    assert answer.dates == (("今年", "2020年[1]、2021年[2]"),)
