"""Reading alone: every benchmark format in miniature, wrong files, baselines and a fake reader."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from eval.__main__ import main
from eval.benchmarks import Example, load_benchmark
from eval.reader import Baseline, as_hits, evaluate_reader, explained, rgb_right
from eval.types import GoldError, Report
from qa.answerer import Span


def score(report, name):
    return report.metrics["overall"][name]["mean"]


def json_file(path, value, bom=False):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8-sig" if bom else "utf-8")
    return path


def lines_file(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


CONTEXT = "第一句。甲区今年出口10亿元，很多。末句"
EXAMPLE = Example("q1", "题", (CONTEXT,), "甲区出口多少？", ("10亿元",), True)
ROW = {"id": "q1", "title": "题", "context": CONTEXT, "question": EXAMPLE.question, "answers": ["10亿元"], "answerable": True}


def nested(title="题", **change):
    qa = {"id": "q1", "question": EXAMPLE.question, "answers": [{"text": "10亿元", "answer_start": 10}] * 2} | change
    article = {"paragraphs": [{"context": CONTEXT, "qas": [{k: v for k, v in qa.items() if v is not ...}]}]}
    return {"version": "1", "data": [article | ({"title": title} if title else {})]}


def test_lines(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    lines = lines_file(tmp_path / "b.jsonl", [ROW, {**ROW, "id": "q2", "answers": [], "answerable": False}])
    packed = tmp_path / "b.jsonl.zst"
    packed.write_bytes(zstandard.compress(lines.read_bytes()[:80]) + zstandard.compress(lines.read_bytes()[80:]))  # two frames, as `zstd` joins files
    assert load_benchmark(lines) == load_benchmark(packed) == [EXAMPLE, replace(EXAMPLE, id="q2", answers=(), answerable=False)]
    assert load_benchmark(json_file(tmp_path / "list.json", [ROW], bom=True)) == [EXAMPLE]
    assert load_benchmark(lines_file(tmp_path / "hf.jsonl", [{**ROW, "answers": {"text": ["10亿元"], "answer_start": [10]}}])) == [EXAMPLE]


def test_squad_and_its_kin(tmp_path):
    """SQuAD 1.1, DRCD, XQuAD; DuReader_robust without titles; SQuAD 2 and CJRC with is_impossible, the latter's as a string."""
    none = replace(EXAMPLE, answers=(), answerable=False)
    assert load_benchmark(json_file(tmp_path / "b.json", nested())) == [EXAMPLE]
    assert load_benchmark(tmp_path / "b.json", "drcd") == load_benchmark(tmp_path / "b.json", "cmrc2018") == [EXAMPLE]
    assert load_benchmark(json_file(tmp_path / "b.json", nested(title=None), bom=True), "dureader_robust") == [replace(EXAMPLE, title="")]
    assert load_benchmark(json_file(tmp_path / "b.json", nested(is_impossible=True, answers=[], plausible_answers=[{"text": "10", "answer_start": 10}]))) == [none]
    assert load_benchmark(json_file(tmp_path / "b.json", nested(is_impossible="true", answers=[]))) == [none]
    assert load_benchmark(json_file(tmp_path / "b.json", nested(is_impossible="false"))) == [EXAMPLE]


def test_cmrc_as_published(tmp_path):
    qas = [{"query_id": "q1", "query_text": EXAMPLE.question, "answers": ["10亿元", "10亿元", 10]}]
    path = json_file(tmp_path / "cmrc2018_dev.json", [{"context_id": "D", "context_text": CONTEXT, "qas": qas, "title": "题"}])
    assert load_benchmark(path) == [replace(EXAMPLE, answers=("10亿元", "10"))]  # numbers are there, too


def rgb(**change):
    row = {"id": 0, "query": "甲区出口多少？", "answer": [["10亿元", "十亿元"]], "positive": [f"正{i}：10亿元。" for i in range(6)]}
    return row | {"negative": [f"负{i}。" for i in range(7)]} | change


def contexts(tmp_path, row, noise, seed=0):
    (example,) = load_benchmark(lines_file(tmp_path / "zh.json", [row]), noise=noise, seed=seed)
    return example, sorted(example.contexts)


@pytest.mark.parametrize(
    ("noise", "positive", "negative"),
    [(0.0, "01234", ""), (0.2, "0123", "0"), (0.3, "012", "01"), (0.4, "012", "01"), (0.6, "01", "012"), (0.8, "0", "0123"), (1.0, "", "01234")],
)
def test_rgb_draws_five_passages(tmp_path, noise, positive, negative):
    example, found = contexts(tmp_path, rgb(), noise)
    assert found == sorted([f"正{i}：10亿元。" for i in positive] + [f"负{i}。" for i in negative])
    assert {example.contexts[n][0] for n in example.gold} == ({"正"} if positive else set())
    assert example.answerable == (noise < 1) and example.parts == ((("10亿元", "十亿元"),) if noise < 1 else ())
    assert example.answers == (("10亿元", "十亿元") if noise < 1 else ())


def test_rgb_order_is_the_seeds(tmp_path):
    orders = [contexts(tmp_path, rgb(), 0.4, seed)[0].contexts for seed in (0, 0, *range(1, 9))]
    assert orders[0] == orders[1] and len(set(orders)) > 2


def test_rgb_tops_up_and_takes_all(tmp_path):
    assert contexts(tmp_path, rgb(positive=["正"]), 0.2)[1] == ["正", *(f"负{i}。" for i in range(4))]
    assert contexts(tmp_path, rgb(negative=["负"]), 0.8)[1] == sorted(["负", *(f"正{i}：10亿元。" for i in range(4))])
    example, found = contexts(tmp_path, rgb(), None)
    assert len(found) == 13 and example.gold == tuple(range(6))


def test_rgb_of_several_parts_and_of_wrong_facts(tmp_path):
    parts = rgb(answer=["10亿元", ["20亿元", "二十亿元"]], positive=[["甲1", "甲2"], ["乙1", "乙2", "乙3"]])
    example, found = contexts(tmp_path, parts, 0.8)
    assert found == sorted(["甲1", "乙1", *(f"负{i}。" for i in range(3))])  # one of each part, whatever the noise
    assert example.parts == (("10亿元",), ("20亿元", "二十亿元")) and example.answers == ("10亿元", "20亿元", "二十亿元")
    assert contexts(tmp_path, parts, 0.0)[1] == sorted(["甲1", "乙1", "甲2", "乙2", "乙3"])
    fact = rgb(answer="10亿元", positive=["真"], positive_wrong=["假"], negative=[])
    assert contexts(tmp_path, fact, 0.0)[1] == ["假"] and contexts(tmp_path, fact, None)[1] == ["真"]
    with pytest.raises(GoldError, match="no question with passages of noise"):
        load_benchmark(tmp_path / "zh.json", noise=1)


def test_rgb_right():
    parts = [["10亿元", "十亿元"], ["Beijing"]]
    assert rgb_right("出口 10 亿元，在BEIJING。", parts) == 1  # spaces and case go
    assert rgb_right("出口10亿元", parts) == rgb_right("Beijing", parts) == rgb_right("", parts) == rgb_right("任何", []) == 0
    assert rgb_right("110亿元", [["10亿元"]]) == 1  # a substring, as published


def test_crud(tmp_path):
    item = {"ID": "x", "event": "事件", "news1": "新闻一。", "news2": "新闻二。", "questions": "问？", "answers": "自由的回答。"}
    path = json_file(tmp_path / "split_merged.json", {"event_summary": [{}], "questanswer_1doc": [{**item, "news2": ""}], "questanswer_2docs": [item]})
    one, two = load_benchmark(path)
    assert one == Example("questanswer_1doc-x", "", ("新闻一。",), "问？", ("自由的回答。",), True)
    assert two == replace(one, id="questanswer_2docs-x", contexts=("新闻一。", "新闻二。"), gold=(0, 1))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("b.jsonl", json.dumps(ROW) + "\n{", ":2: Expecting"), ("b.jsonl", json.dumps({**ROW, "context": 1}), ":1: "),
        ("b.jsonl", '{"id": "1"}', "no format known (its first row has id)"), ("b.jsonl", json.dumps({**ROW, "answers": []}), "needs 'answers'"),
        ("b.jsonl", json.dumps({k: v for k, v in ROW.items() if k != "answers"}), ":1: 'answers' is missing"),
        ("b.jsonl", f"{json.dumps(ROW)}\n{json.dumps(ROW)}", "'q1' is there twice"), ("b.jsonl", "", "no question"), ("b.jsonl", f"{json.dumps(ROW)}\n3", ":2: not a JSON object"),
        ("b.json", "[]", "no question"), ("b.json", "[1]", "no object with keys"), ("b.json", '{\n"data": [,]}', ":2: "), ("b.json", '{"data": [{"title": "x"}]}', "article 1: 'paragraphs'"),
        ("b.json", '{"data": 3}', "'data' must be a list"), ("b.json", json.dumps(nested(question=1)), "article 1, question 'q1'"),
        ("b.json", json.dumps(nested(answers=[])), "name the dev file"), ("b.json", json.dumps(nested(answers=...)), "name the dev file"),
        ("b.json", json.dumps(nested(is_impossible="no")), "'is_impossible' must be true or false"),
        ("b.json", '[{"context_text": "文", "qas": [3]}]', ", item 1: "), ("zh.json", json.dumps(rgb(answer=[])), ":1: 'answer' must be"),
        ("zh.json", json.dumps(rgb(negative=[3])), "'negative' must be a list of strings"), ("zh.json", '{"query": "问", "positive": []}', "'answer' is missing, which rgb has"),
        ("crud.json", '{"questanswer_1doc": [{"questions": "问？"}]}', "questanswer_1doc, item 1"), ("b.jsonl.zst", "plain", "zstd"),
    ],
)
def test_what_is_bad_is_named(tmp_path, name, text, why):
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(GoldError) as caught:
        load_benchmark(tmp_path / name)
    assert why in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_encoding_format_and_noise(tmp_path):
    path = json_file(tmp_path / "b.json", nested())
    for options, why in (({"format": "rgb"}, "'answer' is missing"), ({"format": "trec"}, "choose one of jsonl"), ({"noise": 0.4}, "only RGB"), ({"noise": 2}, "between 0 and 1")):
        with pytest.raises(GoldError, match=why):
            load_benchmark(path, **options)
    path.write_text(json.dumps(nested(), ensure_ascii=False), "gb18030")
    with pytest.raises(GoldError, match="not UTF-8"):
        load_benchmark(path)


class FakeReader:
    """Reads the text between ``start`` and ``end`` of the ``at``-th context; "no answer" scores ``none``."""

    name = "reader:1"

    def __init__(self, start, end, none=-5.0, at=0):
        self.start, self.end, self.none, self.at = start, end, none, at

    def answer(self, question, hits):
        return [Span(hits[0], 0, 3, -9.0, self.none), Span(hits[self.at], self.start, self.end, -1.0, self.none)]


AT = CONTEXT.index("10亿元")
NONE = replace(EXAMPLE, id="q2", answers=(), answerable=False)


def test_reader_takes_the_best_span_trimmed():
    report = evaluate_reader(FakeReader(AT, AT + 6), [EXAMPLE])  # with the comma and a character behind
    assert report.items[0]["answer"] == "10亿元，很" and score(report, "exact") == 0 and score(report, "f1") == pytest.approx(2 * 3 / 7)
    report = evaluate_reader(FakeReader(AT, AT + 5), [EXAMPLE])
    assert report.items[0]["answer"] == "10亿元" and score(report, "exact") == score(report, "f1") == score(report, "refused_right") == 1
    assert report.manifest["benchmark_items"] == 1 and report.weights == {"answerer": "reader:1"}


def test_no_answer_costs_the_forced_scores_nothing():
    told = evaluate_reader(FakeReader(AT, AT + 4, none=0.0), [EXAMPLE])
    assert score(told, "exact") == score(told, "f1") == score(told, "rouge_l") == 1
    assert score(told, "refused_right") == 0 and score(told, "unanswered") == 1 and "exact_or_none" not in told.metrics["overall"]
    assert "exact, f1, rouge_l: the best span always counts, also in the 100.0% of answerable questions" in explained(told)
    assert score(evaluate_reader(FakeReader(AT, AT + 4), [EXAMPLE]), "unanswered") == 0
    assert "cannot say" in explained(evaluate_reader(Baseline("first"), [EXAMPLE]))


def test_squad2_scores_count_no_answer():
    both = [EXAMPLE, NONE]
    never = evaluate_reader(FakeReader(AT, AT + 4), both)  # right, and an answer where there is none
    always = evaluate_reader(FakeReader(AT, AT + 4, none=0.0), both)
    for report, forced, unanswered in ((never, 1, 0), (always, 1, 1)):
        assert report.metrics["overall"]["f1"]["n"] == 1 and score(report, "f1") == forced and score(report, "unanswered") == unanswered
        assert score(report, "exact_or_none") == score(report, "f1_or_none") == score(report, "refused_right") == 0.5
        assert report.metrics["overall"]["f1_or_none"]["n"] == 2
    part = evaluate_reader(FakeReader(AT, AT + 6), both)
    assert score(part, "exact_or_none") == 0 and score(part, "f1_or_none") == pytest.approx((2 * 3 / 7) / 2)
    blunt = evaluate_reader(FakeReader(AT, AT + 4, none=-math.inf), both)
    assert score(blunt, "exact_or_none") == 0.5 and not {"refused_right", "unanswered"} & blunt.metrics["overall"].keys()
    assert score(evaluate_reader(FakeReader(0, 3, none=0.0), [NONE]), "refused_right") == 1


def test_rgb_is_read_over_all_passages(tmp_path):
    path = lines_file(tmp_path / "zh.json", [rgb()])
    (example,) = load_benchmark(path, noise=0.8)
    assert [(hit.rank, hit.passage.text) for hit in as_hits(example)] == list(enumerate(example.contexts, 1))
    right = evaluate_reader(FakeReader(3, 7, at=example.gold[0]), [example])
    assert right.items[0]["answer"] == "10亿元" and score(right, "rgb") == score(right, "rgb_or_none") == 1 and "exact" not in right.metrics["overall"]
    refusing = evaluate_reader(FakeReader(3, 7, none=0.0, at=example.gold[0]), [example])
    assert score(refusing, "rgb") == 1 and score(refusing, "rgb_or_none") == score(refusing, "refused_right") == 0
    noise = load_benchmark(path, noise=1)
    assert score(evaluate_reader(FakeReader(0, 2, none=0.0), noise), "refused_right") == 1
    assert score(evaluate_reader(FakeReader(0, 2), noise), "refused_right") == 0


def test_reader_errors_count_as_wrong():
    report = evaluate_reader(SimpleNamespace(name="broken", answer=lambda question, hits: 1 / 0), [EXAMPLE, NONE])
    assert "ZeroDivisionError" in report.items[0]["error"]
    assert score(report, "f1") == score(report, "refused_right") == score(report, "exact_or_none") == 0


def test_baselines():
    first = evaluate_reader(Baseline("first"), [EXAMPLE])
    assert first.items[0]["answer"] == "第一句" and score(first, "f1") == 0
    overlap = evaluate_reader(Baseline("overlap"), [EXAMPLE])
    assert overlap.items[0]["answer"] == "甲区今年出口10亿元，很多" and score(overlap, "f1") == pytest.approx(2 * 3 / 14)
    with pytest.raises(ValueError, match="first or overlap"):
        Baseline("last")


def test_reader_command(tmp_path, capsys):
    path, out = lines_file(tmp_path / "b.jsonl", [ROW]), tmp_path / "r.json"
    assert main(["reader", str(path), "--baseline", "overlap", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "f1" in shown and "best span always counts" in shown and Report.open(out).weights == {"answerer": "baseline:overlap"}
    assert main(["compare", str(out), str(out), "--metric", "f1"]) == 0
    assert main(["reader", str(path), "--baseline", "first", "--answerer", "x"]) == 1
    assert "exclude" in capsys.readouterr().err
    noisy = lines_file(tmp_path / "zh.json", [rgb()])
    assert main(["reader", str(noisy), "--baseline", "overlap", "--noise", "0.4", "--out", str(out)]) == 0
    assert "rgb" in capsys.readouterr().out and Report.open(out).manifest["noise"] == 0.4
    assert main(["reader", str(noisy), "--baseline", "first", "--format", "squad"]) == 1
    assert "'data' is missing, which squad has" in capsys.readouterr().err
