from dataclasses import replace
from types import SimpleNamespace

import pytest

from index.types import Document
from qa.assistant import Assistant
from qa.citations import aligned, cite, proving_span, trimmed
from qa.confidence import Calibration

TEXT = "前一句。2021年，进出口总额突破210亿元，同比增长109%；签约项目32个。后一句。"
DOCUMENT = Document("d.txt", "题", TEXT, "d.txt")


def test_the_sentence_is_quoted_not_the_chunk():
    at = TEXT.index("210亿元")
    c = cite(DOCUMENT, "题", at, at + 5, 0, len(TEXT), 1)
    assert c.quote == "2021年，进出口总额突破210亿元，同比增长109%；签约项目32个。" == TEXT[c.start : c.end]
    assert TEXT[c.answer_start : c.answer_end] == "210亿元"


def test_long_sentences_give_way_to_clauses():
    text = "甲" * 120 + "；进出口总额210亿元；" + "乙" * 120 + "。"
    at = text.index("210")
    a, b = proving_span(text, at, at + 5, 0, len(text))
    assert text[a:b] == "进出口总额210亿元；"


def test_an_answer_over_two_sentences_quotes_both():
    a, b = proving_span(TEXT, 0, 8, 0, len(TEXT))
    assert TEXT[a:b].startswith("前一句。2021年") and TEXT[a:b].endswith("32个。")


@pytest.mark.parametrize("offsets", [(5, 5), (-1, 3), (3, 99), (9, 8)])
def test_offsets_are_checked(offsets):
    with pytest.raises(ValueError, match="do not fit"):
        cite(DOCUMENT, "题", *offsets, 0, len(TEXT), 1)


def test_trimming_drops_outer_marks_and_halves_of_pairs():
    text = "围绕“一中心、两基地”主导产业，《意见》。"

    def trim(part):
        at = text.index(part)
        start, end = trimmed(text, at, at + len(part), 0, len(text))
        return text[start:end]

    assert trim("“一中心、两基地") == "一中心、两基地"
    assert trim("一中心、两基地”") == "一中心、两基地"
    assert trim("“一中心、两基地”主导产业，") == "“一中心、两基地”主导产业"
    assert trim("，") == "，"


def test_cut_numbers_words_and_units_are_made_whole():
    text = "压减至70个工作日以内，占比93.87%，42GWh项目，1,234元。前2个2.5倍"

    def whole(part):
        at = text.index(part)
        start, end = trimmed(text, at, at + len(part), 0, len(text))
        return text[start:end]

    assert whole("70个") == "70个工作日" and whole("0个") == "70个工作日"
    assert whole("93") == "93.87%" and whole("87%") == "93.87%"
    assert whole("42G") == "42GWh"
    assert whole("234元") == "1,234元"
    assert whole("2个") == "2个" and whole("倍") == "倍"


def test_what_a_free_model_said_is_found_or_not():
    def found(said, passage=TEXT):
        place = aligned(said, passage)
        return place and passage[place[0] : place[1]]

    assert found("210亿元") == "210亿元" and found("　２１０ 億元。") == "210亿元"
    assert found("进出口总额是210亿元") is None  # less than half of it stands there in a row
    assert found("进出口总额突破210亿元左右") == "进出口总额突破210亿元"
    assert found("进出口总额突破310亿元") is None and found("进出口总额突破21亿元") is None and found("21") is None
    assert found("德国制造") is None and found("") is None and found("。") is None
    assert found("突破210亿元", "突破\n210 亿元") == "突破\n210 亿元"


def test_a_kept_citation_says_when_its_source_is_gone_or_changed():
    at = TEXT.index("210亿元")
    kept = cite(DOCUMENT, "题", at, at + 5, 0, len(TEXT), 1)

    def state(*held):
        store = SimpleNamespace(documents={d.id: d for d in held})
        return Assistant(store, None, None, Calibration()).check(kept)

    assert state(DOCUMENT) == "valid" and state() == "removed"
    assert state(replace(DOCUMENT, text="一" + TEXT)) == "changed"  # the quote stands elsewhere now: not pointed at
    assert state(replace(DOCUMENT, text=TEXT + "新的一句。")) == "changed"
