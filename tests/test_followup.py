import json
from pathlib import Path

import pytest

from qa import followup
from qa.followup import standalone_question
from qa.reading import TURN as MARK

TURN = [("南昌综保区2021年进出口总额是多少？", "突破210亿元")]


@pytest.mark.parametrize(
    ("question", "history", "expected"),
    [
        ("那同比增长呢？", TURN, "南昌综保区2021年进出口总额同比增长是多少？"),
        ("那跨境电商交易额呢？", TURN, "南昌综保区2021年跨境电商交易额是多少？"),
        ("2020年呢", TURN, "南昌综保区2020年进出口总额是多少？"),
        ("那南通开发区呢？", TURN, "南通开发区2021年进出口总额是多少？"),
        ("它签约了多少个项目", TURN, "南昌综保区2021年签约了多少个项目？"),
        ("其中50亿元以上的有几个？", [("赣州经开区今年上半年签约了多少项目？", "91个")], "赣州经开区今年上半年签约项目50亿元以上的有几个？"),
    ],
)
def test_completed(question, history, expected):
    assert standalone_question(question, history) == expected


def test_a_chain_keeps_its_subject():
    history = [*TURN, ("那跨境电商交易额呢？", "突破60亿元")]
    assert standalone_question("同比增长呢？", history).startswith("南昌综保区2021年跨境电商交易额同比增长")


@pytest.mark.parametrize(
    "question",
    ["全南县2021年签约了多少项目？", "江西金力永磁科技股份有限公司董事长是谁", "赣州经开区 孵化面积", "我国8月新能源汽车产量是多少", "南昌经开区的空港新城按照什么要求推进？"],
)
def test_whole_questions_stay(question):
    assert standalone_question(question, TURN) == question


GOLD = Path(__file__).resolve().parent.parent / "eval" / "gold"


@pytest.mark.parametrize(("name", "least"), [("seeds", 250), ("paraphrases", 200), ("whether", 280)])
def test_questions_that_stand_alone_are_never_changed(name, least):
    rows = [json.loads(line) for line in (GOLD / f"{name}.jsonl").read_text("utf-8").split("\n") if line]
    whole = [row["question"] for row in rows if not row.get("history")]
    assert len(whole) >= least
    assert [q for q in whole if standalone_question(q, TURN) != q] == []


@pytest.mark.parametrize(("question", "history", "expected"), [
    ("发行价多少？", [("赛微微电什么时候在科创板上市？", "2022年4月22日")], "赛微微电"),
    ("啥时候完工？", [("天角潭水利枢纽工程何时开工？", "2020年4月13日")], "天角潭水利枢纽工程"),
    ("他写的什么词？", [("庞巴迪公司董事长是谁？", "布多昂")], "庞巴迪公司董事长布多昂写的什么词？"),
])
def test_a_bare_question_takes_its_subject_along(question, history, expected):
    assert standalone_question(question, history).startswith(expected)


@pytest.mark.parametrize(("question", "kept"), [
    ("其他企业投资多少？", "其他企业投资多少"), ("其余部分呢？", "其余部分"), ("那个项目什么时候开工？", "那个项目什么时候开工"), ("那些企业有几家", "那些企业有几家"), ("那家公司在哪？", "那家公司在哪"),
])
def test_words_that_begin_like_a_pronoun_stay_whole(question, kept):
    assert kept in standalone_question(question, [("吉利在赣州的动力电池项目总投资多少？", "300亿元")])


@pytest.mark.parametrize("question", ["那曲市有多少人口？", "他汀类药物有什么用", "吉他多少钱一把", "维他命C多少钱", "什么是碳中和？", "什么叫综保区", "你好"])
def test_longer_words_and_greetings_do_not_lean(question):
    assert standalone_question(question, TURN) == question


def test_nothing_before_nothing_changed():
    assert standalone_question("那同比增长呢？") == "那同比增长呢？"


def question_in_context(question, history):
    return followup.question_in_context(question, standalone_question(question, history), history).replace(MARK, "|")


@pytest.mark.parametrize(("question", "read"), [
    ("那同比增长呢？", "南昌综保区2021年进出口总额是多少？210亿元。|那同比增长呢？"),
    ("2020年呢？", "南昌综保区2020年进出口总额是多少？"),  # a mere swap is completed without a loss
    ("南昌综保区有多少家企业？", "南昌综保区有多少家企业？"),
    ("备案申请交到哪儿？", "南昌综保区2021年进出口总额是多少？210亿元。|备案申请交到哪儿？"),  # not sure enough to lean to be changed
])
def test_what_the_reader_is_given(question, read):
    history = [("南昌综保区2021年进出口总额是多少？", "210亿元")]
    assert question_in_context(question, history) == read


def test_without_a_turn_before_nothing_is_put_in_front():
    assert question_in_context("备案申请交到哪儿？", []) == "备案申请交到哪儿？"


def test_marks_that_were_not_typed_are_put_between():
    history = [("南昌综保区2021年进出口总额是多少", "210亿元")]
    assert question_in_context("那同比增长呢", history) == "南昌综保区2021年进出口总额是多少？210亿元。|那同比增长呢？"


def test_a_long_answer_does_not_go_with_the_next_question():
    history = [("为什么要建仓库？", "因为跨境电商的退货需要就近处理，否则成本太高"), ("它有多大？", "3万平方米")]
    assert question_in_context("它什么时候建成？", history[:1]) == "为什么要建仓库？|它什么时候建成？"
    assert question_in_context("它什么时候建成？", history).endswith("3万平方米。|它什么时候建成？")  # a chain keeps its subject
    assert "仓库" in question_in_context("它什么时候建成？", history)


@pytest.mark.parametrize(("before", "question", "expected"), [
    ("2021年南昌综保区进出口总额是多少？", "赣州综保区呢？", "2021年赣州综保区进出口总额是多少？"),
    ("2021年南昌综保区进出口总额是多少？", "出口呢？", "南昌综保区2021年出口是多少？"),
    ("今年以来赣州经开区签约多少个项目？", "南昌经开区呢？", "今年以来南昌经开区签约多少个项目？"),
    (TURN[0][0], "那赣州综保区2020年呢？", "赣州综保区2020年进出口总额是多少？"),
    (TURN[0][0], "另外，全南县2021年外出招商多少次？", "全南县2021年外出招商多少次？"),
    (TURN[0][0], "1-10月呢？", "南昌综保区2021年1-10月进出口总额是多少？"),
    (TURN[0][0], "上半年呢？", "南昌综保区2021年上半年进出口总额是多少？"),
    ("南昌综保区2021年上半年进出口多少？", "下半年呢？", "南昌综保区2021年下半年进出口多少？"),
    ("南通开发区1-10月收入多少？", "10月呢？", "南通开发区10月收入多少？"),
    (TURN[0][0], "那出口额呢？", "南昌综保区2021年出口额是多少？"),
    (TURN[0][0], "那它去年呢", "南昌综保区去年进出口总额是多少？"),
    (TURN[0][0], "还有吗？", "南昌综保区2021年进出口总额还有哪些？"),
    ("华锐公司2021年销量是多少？", "总产量呢", "华锐公司2021年总产量是多少？"),
    ("华锐公司2021年销量是多少？", "产量呢", "华锐公司2021年产量是多少？"),
    ("产品优良率是多少？", "合格率呢？", "产品合格率是多少？"),
    ("申请入驻南昌综保区需要什么条件？", "赣州综保区呢？", "申请入驻赣州综保区需要什么条件？"),
    ("2021年有哪些项目落户赣州经开区？", "南昌经开区呢？", "2021年有哪些项目落户南昌经开区？"),
    ("由谁批准设立了南昌综保区？", "赣州综保区呢？", "由谁批准设立了赣州综保区？"),
    ("2021年8月31日的库存是多少？", "9月呢？", "2021年9月的库存是多少？"),
    ("2021年1月至8月产值是多少？", "2020年呢？", "2020年1月至8月产值是多少？"),
    ("2021年1月至8月产值是多少？", "上半年呢？", "2021年上半年产值是多少？"),
    ("公司目前年产量是多少？", "2020年呢？", "公司目前年产量2020年是多少？"),
    ("企业所得税优惠有哪些条件？", "小微企业呢？", "企业所得税优惠条件小微企业？"),
])
def test_times_names_and_heads_change_places_whole(before, question, expected):
    assert standalone_question(question, [(before, "")]) == expected


@pytest.mark.parametrize(("before", "question"), [("罚款是多少？", "可以分期交吗？"), ("董事长是谁？", "他是党员吗"), ("保证金是多少？", "何时退还？")])
def test_what_asks_in_another_way_is_not_asked_how_much(before, question):
    completed = standalone_question(question, [(before, "")])
    assert "是多少" not in completed and not completed.endswith("是谁？")


@pytest.mark.parametrize(("question", "kept"), [
    ("这家公司的注册资本呢？", "这家公司"), ("这里有多少企业？", "这里"), ("那边房租多少？", "那边"), ("那时候有多少人？", "那时候"), ("其中标企业有哪些？", "中标企业"),
])
def test_words_are_not_cut_in_two(question, kept):
    assert kept in standalone_question(question, TURN)


def test_turns_that_were_completed_are_not_completed_again():
    """The user had 吉利项目总投资多少 searched as typed: what was asked before it is no subject of what follows."""
    history = [*TURN, ("投资多少？", "5亿元")]
    assert standalone_question("那同比增长呢？", history).startswith("南昌综保区")
    assert standalone_question("那同比增长呢？", history, complete=True).startswith("投资")
