"""Drafts: exact quotes, questions that stand alone, a file that loads, and plain words for bad input."""

import json
from types import SimpleNamespace

import pytest

from eval.__main__ import main
from eval.asking import KINDS, questions
from eval.draft import draft, unreviewed
from eval.metrics import locate
from eval.types import GoldError, load_gold
from index.load import LoadError, load_documents
from index.text import fold

NOTICE = """关于印发《青溪县图书馆开放管理规定》的通知

各镇人民政府，县直各单位：
为了方便群众读书学习，县文化局制定了本规定，请认真执行。
第二条 办理借书证的读者一次最多可以借阅15册图书，借期为30天。
第三条 青溪县图书馆设有少儿阅览室、古籍阅览室、报刊阅览室和电子阅览室。
第六条 馆际互借是指读者通过本馆向其他图书馆借阅图书的服务。
第七条 青溪县图书馆新馆于2022年5月1日起对外开放。
"""
WRAPPED = """河口村的柑橘合作社

河口村柑橘合作社成立于2009年4月，是河口镇第一家由农户自己
出资办起来的合作社。2023年，河口村柑橘合作社销售柑橘
1260吨，销售收入达到840万元，比上年增长17.5%。
这家合作社有3座冷库。
合作社理事长周大川介绍，今年还要新建5座冷库。村里办起了“田间
课堂”培训项目，已经有218名农户参加学习。
由于去年冬天连续低温，沙田柚的产量下降了两成。
"""
TRADITIONAL = """山城歷史博物館簡介

山城歷史博物館始建於1958年，2014年9月遷入新館並重新對外開放。
山城歷史博物館新館建築面積為2.3萬平方米，館藏文物有4.6萬件，其中一級文物127件。
山城歷史博物館設有青銅器展廳、陶瓷展廳、書畫展廳和玉器展廳。
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "docs"
    path.mkdir()
    (path / "notice.txt").write_bytes(NOTICE.encode("gbk"))
    (path / "wrapped.txt").write_text(WRAPPED, "utf-8")
    (path / "trad.txt").write_text(TRADITIONAL, "utf-8")
    return path


def made(sentence):
    return {(kind, question, sentence[a:b]) for kind, question, a, b in questions(sentence, fold(sentence))}


@pytest.mark.parametrize(
    ("sentence", "kind", "question", "answer"),
    [
        ("2021年，该区进出口总额突破210亿元，同比增长109%。", "number", "2021年，该区进出口总额突破多少亿元？", "210亿元"),
        ("2021年，该区进出口总额突破210亿元，同比增长109%。", "number", "2021年，该区进出口总额突破210亿元，同比增长百分之多少？", "109%"),
        ("全县规上企业有1,200余家，其中省级32家。", "number", "全县规上企业有多少家？", "1,200余家"),
        ("在全国发展绩效评估考核中排名第40位。", "number", "在全国发展绩效评估考核中排名第几位？", "第40位"),
        ("3月13日，总投资300亿元的电池项目落户赣州。", "date", "哪一天总投资300亿元的电池项目落户赣州？", "3月13日"),
        ("江西金力永磁公司董事长蔡报贵介绍，公司接到了订单。", "name", "江西金力永磁公司董事长是谁？", "蔡报贵"),
        ("今年南通开发区构建起“赛马制”招商新格局。", "name", "今年南通开发区构建起什么招商新格局？", "赛马制"),
        ("围绕工程建设、教育、医疗、体育等领域，开展清理。", "list", "围绕哪些领域？", "工程建设、教育、医疗、体育"),
        ("围绕景区品质、产业业态、设施配套等三大任务。", "list", "围绕哪三大任务？", "景区品质、产业业态、设施配套"),
        ("由于去年冬天连续低温，沙田柚的产量下降了两成。", "why", "为什么沙田柚的产量下降了两成？", "去年冬天连续低温"),
        ("通过统一育苗和统一防治，大幅提高优质果率。", "how", "如何大幅提高优质果率？", "统一育苗和统一防治"),
        ("馆际互借是指读者通过本馆借阅他馆图书的服务。", "definition", "什么是馆际互借？", "读者通过本馆借阅他馆图书的服务"),
        ("新館建築面積為2.3萬平方米。", "number", "新館建築面積為多少萬平方米？", "2.3萬平方米"),
        ("館內設有青銅器展廳、陶瓷展廳、書畫展廳。", "list", "館內設有哪些展廳？", "青銅器展廳、陶瓷展廳、書畫展廳"),
    ],
)
def test_a_sentence_is_asked_about(sentence, kind, question, answer):
    assert (kind, question, answer) in made(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "产销分别完成25.2万辆和26.5万辆。",  # two answers to one "how many"
        "新签约超10亿元重大项目。", "其中50亿元以上项目。",  # the number says which projects
        "加快9610场站建设。",  # a code
        "2021-2023年计划。", "自2021年以来召开。", "员工迟到超过30分钟的。", "第二届大会。",
    ],
)
def test_a_bad_place_is_not_asked_about(sentence):
    assert made(sentence) == set()


def test_drafts_are_quotes_of_their_documents(folder):
    texts = {d.id: d.text for d in load_documents(folder)}
    found = draft(folder, 40)
    answerable = [d for d in found if d.kind != "unanswerable"]
    assert {d.doc for d in answerable} == set(texts) and len({d.kind for d in answerable}) >= 5 and {d.kind for d in answerable} <= set(KINDS)
    for d in answerable:
        assert d.evidence in texts[d.doc] and d.answer in d.evidence and d.answer not in d.question and d.question.endswith("？")
        assert len(locate(texts[d.doc], d.evidence)) == 1
    assert len({d.evidence for d in found if d.evidence}) == len(answerable)
    assert any("田间课堂" in d.evidence for d in draft(folder, 99))  # a quote over a hard line break
    assert not any(d.evidence.startswith(("这家", "出资")) for d in draft(folder, 99))  # leans on the sentence before; half a sentence
    assert draft(folder, 10, seed=1) == draft(folder, 10, seed=1) != draft(folder, 10, seed=2)


def test_what_the_document_is_about_goes_in_front(folder):
    asked = {d.question for seed in range(4) for d in draft(folder, 99, seed)}
    assert any(q.startswith("青溪县") and "借" in q for q in asked)
    assert any(q.startswith("河口村") and "多少座冷库" in q for q in asked)


def test_unanswerable_ones_ask_for_what_no_document_holds(folder):
    everything = "".join(d.text for d in load_documents(folder))
    origins = {d.question: d for seed in range(6) for d in draft(folder, 99, seed)}
    changed = [d for d in draft(folder, 24) if d.kind == "unanswerable"]
    assert 1 <= len(changed) <= 3
    for d in changed:
        year = next(word for word in (d.question[i : i + 4] for i in range(len(d.question))) if word.isdecimal() and word not in everything)
        assert d.answer == d.evidence == "" and d.note in everything and year + "年" in d.question
    assert not {d.question for d in changed} & {q for q, d in origins.items() if d.kind != "unanswerable"}


def test_the_command_writes_gold_that_loads(folder, tmp_path, capsys):
    out = tmp_path / "new" / "gold.jsonl"
    assert main(["draft", str(folder), "--out", str(out), "--count", "16"]) == 0
    assert "questions drafted" in capsys.readouterr().err
    gold = load_gold(out)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [item.id for item in gold] == [f"draft-{n:03d}" for n in range(1, len(gold) + 1)] and all(row["status"] == "draft" for row in rows)
    assert sum(not item.answerable for item in gold) == 1 and all(item.doc == () for item in gold if not item.answerable)
    assert unreviewed(out) == len(gold)
    before = out.read_bytes()
    assert main(["draft", str(folder), "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err and out.read_bytes() == before
    assert main(["draft", str(folder), "--out", str(out), "--count", "3", "--force"]) == 0
    assert len(load_gold(out)) == 3
    capsys.readouterr()
    assert main(["draft", str(folder), "--count", "2"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["draft-001", "draft-002"]


def test_run_says_how_many_are_drafts(folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "gold.jsonl"
    main(["draft", str(folder), "--out", str(out), "--count", "4"])
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    rows[0].pop("status")
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    monkeypatch.setattr("qa.assistant.Assistant.open", lambda folder, **options: SimpleNamespace(store=SimpleNamespace(documents={})))
    assert main(["run", "--gold", str(out), "--docs", str(folder)]) == 1  # the fake knows no document
    assert "note: 3 of 4 questions are drafts" in capsys.readouterr().err


def test_bad_input_is_told_plainly(folder, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LoadError, match="no document in"):
        draft(empty)
    (empty / "a.txt").write_text("只有标题", "utf-8")
    with pytest.raises(GoldError, match="can be asked about: put documents"):
        draft(empty)
    with pytest.raises(GoldError, match="a count of 0"):
        draft(folder, 0)
    for out, why in ((tmp_path, "is a folder"), (folder / "notice.txt" / "x.jsonl", "error: ")):
        assert main(["draft", str(folder), "--out", str(out)]) == 1
        assert why in capsys.readouterr().err
    assert main(["draft", str(tmp_path / "none")]) == 1
    assert "check the path" in capsys.readouterr().err
