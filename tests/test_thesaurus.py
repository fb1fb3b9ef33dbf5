import json
from pathlib import Path

import numpy as np
import pytest

from index.lexical import LexicalIndex, tokens
from index.store import PassageStore
from index.thesaurus import DEFAULT, Thesaurus, worth
from qa.confidence import coverage
from qa.retriever import Retriever
from qa.terms import Terms
from train.thesaurus import told, weigh, written

NONE = Thesaurus({}, {})


@pytest.fixture(scope="module")
def shipped():
    return Thesaurus.load()


def test_a_question_is_parted_into_known_words(shipped):
    thesaurus = Thesaurus({"大麦": {"麦": (0.2, 0.01)}, "收税": {"征税": (0.2, 0.01)}, "麦收": {"错": (0.9, 0.01)}}, {})
    assert [(a, b, [o.word for o in others]) for a, b, others in thesaurus.phrases("澳洲大麦收税")] == [(2, 4, ["麦"]), (4, 6, ["征税"])]
    assert thesaurus.phrases("") == () and NONE.phrases("大麦") == ()
    question = "澳洲大麥的稅要收幾年"  # folded, as everywhere
    assert {question[a:b]: others[0].word for a, b, others in shipped.phrases(question)}["澳洲"] == "澳大利亚"


def test_likelier_words_come_first_and_unlikely_ones_are_worth_nothing(shipped):
    others = next(others for _, _, others in shipped.phrases("娃") if others)
    assert [o.chance for o in others] == sorted((o.chance for o in others), reverse=True) and "孩子" in {o.word for o in others}
    assert worth(0.5, 3.0) == 1.0 and 0 < worth(0.1, 4.0) < worth(0.3, 4.0) and worth(0.01, 3.0) == worth(0.5, 0.0) == 0.0


def test_without_a_file_there_are_no_other_words(tmp_path):
    assert Thesaurus.load(tmp_path / "none.json").phrases("公司") == ()


def test_terms_of_an_empty_thesaurus_are_plain_bm25():
    texts = ["南昌综保区进出口总额突破210亿元", "赣州经开区孵化面积101万平方米", "全南县签约项目32个"]
    index = LexicalIndex.build(texts)
    for question in ("综保区进出口多少", "项目项目", "😀", ""):
        assert np.allclose(Terms(question, index, NONE).scores(), index.scores(question))
    terms = Terms("签约项目", index, NONE)
    assert terms.share(set(tokens(texts[2]))) == pytest.approx(1.0) and terms.share(set()) == 0 and not terms.others


def test_another_word_counts_in_place_of_the_word():
    thesaurus = Thesaurus({"娃": {"儿童": (0.4, 0.01)}, "公司": {"企业": (0.5, 0.05)}}, {"多少": -9.0})
    index = LexicalIndex.build(["儿童入学", "企业开工", "公司开工", "天气晴朗", "道路施工"])
    scores = Terms("娃", index, thesaurus).scores()
    assert scores[0] > 0 and not scores[1:].any()
    both = Terms("公司开工", index, thesaurus)
    scores = both.scores()
    assert scores[2] >= scores[1] > 0 and both.share(set(tokens("公司开工"))) >= both.share(set(tokens("企业开工"))) > both.share(set(tokens("开工")))
    assert both.share(set(tokens("公司企业开工"))) <= 1
    assert Terms("多少", index, thesaurus).weights["多少"] < 0.01 < Terms("多少", index, NONE).weights["多少"]


def test_searching_finds_what_is_said_in_other_words(tmp_path, embedder):
    (tmp_path / "a.txt").write_text("全区新增儿童入学名额三千个。", "utf-8")
    (tmp_path / "b.txt").write_text("全区新增停车泊位三千个。", "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    thesaurus = Thesaurus({"娃": {"儿童": (0.4, 0.01)}, "上学": {"入学": (0.5, 0.01)}}, {})
    plain, found = (Retriever(store, embedder, 0.0, thesaurus=t).search("娃上学") for t in (NONE, thesaurus))
    assert [h.passage.doc_id for h in found] == ["a.txt"] and (not plain or plain[0].score < found[0].score)


def test_coverage_counts_other_words():
    assert coverage("澳洲大麦的税要收几年", "对澳大利亚大麦征收反倾销税") > coverage("澳洲大麦的税要收几年", "对加拿大大麦征收反倾销税") > 0


def test_weighing_counts_how_often_the_other_word_stands_for_it(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# a remark\n娃：儿童 孩子 娃|学生\n罚款：处罚\n入学\n\n：空\n", "utf-8")
    words = written(path)
    assert words["娃"] == {"儿童": "same", "孩子": "same", "学生": "near"} and words["儿童"] == {"娃": "same-"} and words["入学"] == {} and "" not in words
    asked = [(f"娃入学{n}", f"儿童入学第{n}号") for n in range(30)] + [(f"罚款{n}", f"罚款第{n}号") for n in range(30)]
    found = weigh(words, asked)
    chances = {o.word: o.chance for o in found.phrases("娃")[0][2]}
    assert chances["儿童"] > 0.7 > 0.3 > chances.get("学生", 0.0) and found.words["罚款"].get("处罚", (0.0,))[0] < 0.5
    assert told(asked)["娃"] < -1 < 1 < told(asked)["罚款"] and told([("甲乙", "丙丁")] * 9) == {} == told([])


def test_the_shipped_thesaurus_is_of_the_written_words(shipped):
    """What is shipped holds no word that nobody wrote, and chances between 0 and 1."""
    words = written()
    assert set(shipped.words) == set(words) and all(set(rows) <= set(words[word]) for word, rows in shipped.words.items())
    assert all(0 < chance < 1 and 0 < base < 1 for rows in shipped.words.values() for chance, base in rows.values())
    assert json.loads(Path(DEFAULT).read_text("utf-8")).keys() == {"words", "told"}
