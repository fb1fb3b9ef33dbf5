"""Reading alone: files, baselines and a fake reader."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from eval.__main__ import main
from eval.benchmarks import Baseline, Example, evaluate_reader, load_squad
from eval.types import GoldError, Report
from qa.answerer import Span


def score(report, name):
    return report.metrics["overall"][name]["mean"]


def lines_file(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


EXAMPLE = Example("q1", "题", "第一句。甲区今年出口10亿元，很多。末句", "甲区出口多少？", ("10亿元",), True)
ROW = {"id": "q1", "title": "题", "context": EXAMPLE.context, "question": EXAMPLE.question, "answers": ["10亿元"], "answerable": True}


def nested(**change):
    qa = {"id": "q1", "question": EXAMPLE.question, "answers": [{"text": "10亿元", "answer_start": 10}] * 2} | change
    return {"version": "1", "data": [{"title": "题", "paragraphs": [{"context": EXAMPLE.context, "qas": [qa]}]}]}


def test_load_squad(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    lines = lines_file(tmp_path / "b.jsonl", [ROW, {**ROW, "id": "q2", "answers": [], "answerable": False}])
    packed, official = tmp_path / "b.jsonl.zst", tmp_path / "b.json"
    packed.write_bytes(zstandard.compress(lines.read_bytes()))
    assert load_squad(lines) == load_squad(packed) == [EXAMPLE, replace(EXAMPLE, id="q2", answers=(), answerable=False)]
    official.write_text(json.dumps(nested()), "utf-8")
    assert load_squad(official) == [EXAMPLE]
    official.write_text(json.dumps(nested(is_impossible=True, answers=[])), "utf-8")
    assert load_squad(official)[0].answerable is False


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("b.jsonl", json.dumps(ROW) + "\n{", ":2: Expecting"), ("b.jsonl", json.dumps({**ROW, "context": 1}), ":1: "),
        ("b.jsonl", '{"id": "1"}', "'answers' is missing"), ("b.jsonl", json.dumps({**ROW, "answers": []}), "needs 'answers'"),
        ("b.jsonl", f"{json.dumps(ROW)}\n{json.dumps(ROW)}", "twice"), ("b.jsonl", "", "no question"),
        ("b.json", "[]", "'data'"), ("b.json", '{"data": [{"title": "x"}]}', "article 1"), ("b.json", json.dumps(nested(question=1)), "question 'q1'"),
        ("b.jsonl.zst", "plain", "zstd"),
    ],
)
def test_load_squad_names_what_is_bad(tmp_path, name, text, why):
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(GoldError) as caught:
        load_squad(tmp_path / name)
    assert why in str(caught.value) and name in str(caught.value)


class FakeReader:
    """Reads the text between ``start`` and ``end``; "no answer" scores ``none``."""

    name = "reader:1"

    def __init__(self, start, end, none=-5.0):
        self.start, self.end, self.none = start, end, none

    def answer(self, question, hits):
        return [Span(hits[0], 0, 3, -9.0, self.none), Span(hits[0], self.start, self.end, -1.0, self.none)]


def test_reader_takes_the_best_span_trimmed():
    at = EXAMPLE.context.index("10亿元")
    report = evaluate_reader(FakeReader(at, at + 6), [EXAMPLE])  # with the comma and a character behind
    assert report.items[0]["answer"] == "10亿元，很" and score(report, "exact") == 0 and score(report, "f1") == pytest.approx(2 * 3 / 7)
    report = evaluate_reader(FakeReader(at, at + 5), [EXAMPLE])
    assert report.items[0]["answer"] == "10亿元" and score(report, "exact") == score(report, "f1") == score(report, "refused_right") == 1
    assert report.manifest["benchmark_items"] == 1 and report.weights == {"answerer": "reader:1"}


def test_reader_on_what_has_no_answer():
    none = replace(EXAMPLE, id="q2", answers=(), answerable=False)
    report = evaluate_reader(FakeReader(0, 3), [EXAMPLE, none])
    assert report.metrics["overall"]["f1"]["n"] == 1 and score(report, "refused_right") == 0.5
    assert score(evaluate_reader(FakeReader(0, 3, none=0.0), [none]), "refused_right") == 1
    assert "refused_right" not in evaluate_reader(FakeReader(0, 3, none=-math.inf), [none]).metrics["overall"]


def test_reader_errors_count_as_wrong():
    report = evaluate_reader(SimpleNamespace(name="broken", answer=lambda question, hits: 1 / 0), [EXAMPLE])
    assert "ZeroDivisionError" in report.items[0]["error"] and score(report, "f1") == score(report, "refused_right") == 0


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
    assert "f1" in capsys.readouterr().out and Report.open(out).weights == {"answerer": "baseline:overlap"}
    assert main(["compare", str(out), str(out), "--metric", "f1"]) == 0
    assert main(["reader", str(path), "--baseline", "first", "--answerer", "x"]) == 1
    assert "exclude" in capsys.readouterr().err
