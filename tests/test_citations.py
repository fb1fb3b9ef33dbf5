import pytest

from index.types import Document, Hit, Passage
from qa.answerer import Span
from qa.assistant import trimmed
from qa.citations import cite, proving_span

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
    hit = Hit(Passage("d#0", "d", "", "", text, 0, len(text)), 1.0, 1)

    def trim(part):
        at = text.index(part)
        span = trimmed(text, Span(hit, at, at + len(part), 0.0, 0.0))
        return text[span.start : span.end]

    assert trim("“一中心、两基地") == "一中心、两基地"
    assert trim("一中心、两基地”") == "一中心、两基地"
    assert trim("“一中心、两基地”主导产业，") == "“一中心、两基地”主导产业"
    assert trim("，") == "，"


def test_cut_numbers_words_and_units_are_made_whole():
    text = "压减至70个工作日以内，占比93.87%，42GWh项目，1,234元。前2个2.5倍"
    hit = Hit(Passage("d#0", "d", "", "", text, 0, len(text)), 1.0, 1)

    def whole(part):
        at = text.index(part)
        span = trimmed(text, Span(hit, at, at + len(part), 0.0, 0.0))
        return text[span.start : span.end]

    assert whole("70个") == "70个工作日" and whole("0个") == "70个工作日"
    assert whole("93") == "93.87%" and whole("87%") == "93.87%"
    assert whole("42G") == "42GWh"
    assert whole("234元") == "1,234元"
    assert whole("2个") == "2个" and whole("倍") == "倍"
