from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from index.text import fold, sentences


@given(st.text())
def test_fold_keeps_length_and_settles(text):
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_fold_unifies_scripts_widths_and_case():
    assert fold("南昌綜保區２０２１年ＧＷｈ，總額") == "南昌综保区2021年gwh,总额"


@given(st.text(alphabet="甲乙。！？；\n”) a"))
def test_sentences_lose_nothing_but_space(text):
    spans = sentences(text)
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())
    assert all(a < b for a, b in spans) and all(x[1] <= y[0] for x, y in pairwise(spans))


def test_sentences_keep_closing_quotes_with_their_sentence():
    text = "他说：“来了。”然后走了。甲；乙。"
    assert [text[a:b] for a, b in sentences(text)] == ["他说：“来了。”", "然后走了。", "甲；", "乙。"]
    assert [text[a:b] for a, b in sentences(text, semicolons=False)][-1] == "甲；乙。"
