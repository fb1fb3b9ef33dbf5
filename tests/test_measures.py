import pytest

from qa.measures import kind_asked, kinds_told, mismatched


@pytest.mark.parametrize(("question", "kind"), [
    ("全南县签约了多少个项目", "count"), ("有多少家企业入驻？", "firms"), ("多少人参加", "people"), ("卖了多少辆车", "vehicles"), ("投资多少亿元？", "money"),
    ("要花多少钱", "money"), ("仓库有多少万平方米", "area"), ("增长了多少个百分点", "share"), ("增速是多少", "share"), ("就业率是多少", "share"), ("要等几天", "time"),
    ("几个月办完", "time"), ("签约了多少项目", "count"), ("多少企业参加", "things"), ("排第几位", ""), ("进出口总额是多少", "money"), ("是多少？", ""), ("谁去了", ""),
    ("花了多少时间", "time"), ("請問有幾家？", "firms"),
])
def test_the_kind_a_question_asks_for(question, kind):
    assert kind_asked(question) == kind


@pytest.mark.parametrize(("answer", "kinds"), [
    ("210亿元", {"money"}), ("17.8%", {"share"}), ("１７．８％", {"share"}), ("3个百分点", {"share"}), ("百分之五", {"share"}), ("18个", {"count"}), ("三个月", {"time"}),
    ("1.2万平方米", {"area"}), ("十余家", {"firms"}), ("2021年4月", {"time"}), ("第40位", {"people"}), ("吉利汽车", set()), ("42gwh", {"power"}), ("3亿", set()),
    ("签约18个，金额419亿元", {"count", "money"}),
])
def test_the_kinds_an_answer_gives(answer, kinds):
    assert kinds_told(answer) == kinds


def test_only_another_kind_is_a_mismatch():
    assert mismatched("全南县2021年签约了多少项目", "419亿元") and mismatched("8月卖了多少辆", "17.8%") and mismatched("新增多少家重点企业", "56名")
    assert mismatched("投资额是多少", "17.8%") and mismatched("占比是多少", "3.5亿元") and mismatched("来了多少人", "12家")
    for question, answer in (
        ("签约了多少项目", "18个"), ("有多少个企业", "72家"), ("有多少家企业", "72个"), ("来了多少人", "三百多名"), ("产能有多少", "42GWh"), ("签约了多少项目", "十多"),
        ("增长多少", "3亿元"), ("增长多少", "17%"), ("签约多少个项目", "18个，总投资419亿元"), ("面积多少", "8万平方米"), ("多少吨", "5万吨"), ("谁去了", "18个"),
    ):
        assert not mismatched(question, answer), (question, answer)
