import numpy as np

from index.lexical import LexicalIndex, tokens


def test_tokens_are_bigrams_characters_numbers_and_words():
    assert tokens("进出口210.5亿元，42GWh") == ["进出", "出口", "进", "出", "口", "210.5", "亿元", "亿", "元", "42", "gwh"]


def test_scripts_widths_and_synonyms_meet():
    assert tokens("南昌綜保區") == tokens("南昌综保区") == tokens("南昌综合保税区")
    assert tokens("２０２１年") == tokens("2021年")


def test_no_clause_becomes_one_token():
    assert max(map(len, tokens("今天的天气真好，我们去公园散步吧。"))) == 2


def test_scores_find_the_text_and_survive_disk(tmp_path):
    texts = ["南昌综保区进出口总额突破210亿元", "赣州经开区孵化面积101万平方米", "全南县签约项目32个"]
    index = LexicalIndex.build(texts)
    assert int(np.argmax(index.scores("綜合保稅區的進出口"))) == 0
    assert not index.scores("😀").any() and not index.scores("xyz").any()
    index.save(tmp_path / "lexical")
    again = LexicalIndex.open(tmp_path / "lexical", 3)
    assert np.allclose(again.scores("孵化面积"), index.scores("孵化面积"))
    assert not [p for p in (tmp_path / "lexical").iterdir() if p.suffix not in (".npy", ".json", ".jsonl")]


def test_numbers_between_commas_stay_apart():
    assert {"2020", "2021"} <= set(tokens("2020，2021年")) and {"100", "200"} <= set(tokens("100，200，300"))
    assert "1234567" in tokens("1,234,567元") and "4.0" in tokens("4.0版") and {"2020", "2021"} <= set(tokens("2020,2021年"))


def test_rarity_falls_with_the_texts_that_hold_a_token():
    index = LexicalIndex.build(["南昌进出口", "南昌签约", "赣州签约", "宜春"])
    often, once, never = index.rarity(["南昌", "宜春", "九江"])
    assert never > once > often > 0 and often == np.log(1 + (4 - 2 + 0.5) / (2 + 0.5)) and index.rarity([]).shape == (0,)


def test_a_corpus_of_one_token_a_clause_is_warned_of(caplog):
    LexicalIndex.build(["今天的天气真好，我们去公园散步吧。" * 3, "A plain English sentence about the harbour."])
    assert "hardly any words" not in caplog.text
    LexicalIndex.build(["abcdefghijklmnopqrstuvwxyz" * 9] * 3)
    assert "hardly any words" in caplog.text
