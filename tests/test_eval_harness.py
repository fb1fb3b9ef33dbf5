"""The run and the comparison, over a tiny fake assistant: no models, no index."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from eval.__main__ import main
from eval.compare import compare_metric, differing
from eval.harness import candidate, evaluate, unfindable
from eval.types import GoldError, GoldItem, Report, load_gold
from index.types import Document, Hit, Manifest, Passage
from qa.types import Answer, Citation

TEXTS = {"a.txt": "甲区今年出口10亿元。乙区今年出口20亿元。", "b.txt": "丙区种了30棵树。"}
GOLD = [
    GoldItem("g1", "甲区出口多少？", ("10亿元",), ("a.txt",), "甲区今年出口10亿元", "number", True),
    GoldItem("g2", "乙区呢？", ("20亿元",), ("a.txt",), "乙区今年出口20亿元", "followup", True, (("甲区出口多少？", "10亿元"),)),
    GoldItem("g3", "丙区种了几棵树？", ("30棵",), ("b.txt",), "丙区种了30棵树", "number", True),
    GoldItem("g4", "丁区在哪？", (), (), "", "unanswerable", False),
]
RIGHT = {"g1": ("a.txt", "10亿元"), "g2": ("a.txt", "20亿元"), "g3": ("b.txt", "30棵"), "g4": None}


class FakeAssistant:
    """Answers each gold question as ``answers`` says: a document and a quote of it, None to refuse, an exception to raise."""

    def __init__(self, answers=RIGHT, change=lambda answer: answer, name="fake:1"):
        self.answers = {item.question: answers[item.id] for item in GOLD if item.id in answers}
        documents = [Document(id, id, text, id) for id, text in TEXTS.items()]
        passages = [Passage("a1", "a.txt", "a", "", TEXTS["a.txt"][:11], 0, 11), Passage("a2", "a.txt", "a", "", TEXTS["a.txt"][11:], 11, 22)]
        passages.append(Passage("b1", "b.txt", "b", "", TEXTS["b.txt"], 0, len(TEXTS["b.txt"])))
        manifest = Manifest(1, "embedder:1", 4, 320, 0, dict.fromkeys(TEXTS, "0"), 3, {"vectors": "1"})
        self.store = SimpleNamespace(documents={d.id: d for d in documents}, passages=passages, manifest=manifest)
        self.answerer, self.threshold, self.change, self.asked = SimpleNamespace(name=name), 0.35, change, []

    def document(self, doc_id):
        return self.store.documents[doc_id]

    def ask(self, question, history=(), rewrite=True):
        self.asked.append((question, tuple(history)))
        hits = tuple(Hit(p, 1 / rank, rank) for rank, p in enumerate(self.store.passages, 1))
        said = self.answers[question]
        if isinstance(said, BaseException):
            raise said
        if said is None:
            return self.change(Answer(question, question, "没有找到。", (), hits, 0.1, True, 0.01))
        doc, text = said
        at, whole = TEXTS[doc].index(text), TEXTS[doc]
        citation = Citation(1, doc, doc, 0, len(whole), whole, at, at + len(text))
        return self.change(Answer(question, question, text, (citation,), hits, 0.9, False, 0.01))


def score(report, name):
    return report.metrics["overall"][name]["mean"]


def gold_file(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), "utf-8")
    return path


def gold_row(**change):
    row = {"id": "x", "question": "问？", "answers": ["答"], "doc": "a.txt", "evidence": "证", "type": "t", "answerable": True, "history": []}
    return {**row, **change}


def test_gold_is_read(tmp_path):
    rows = [gold_row(history=[{"question": "一", "answer": "二"}]), "", gold_row(id="y", doc=["a", "b"], evidence="行\u2028内")]
    rows.append(gold_row(id="z", doc="", answers=[], evidence="", answerable=False))
    one, two, three = load_gold(gold_file(tmp_path / "g.jsonl", rows))
    assert one == GoldItem("x", "问？", ("答",), ("a.txt",), "证", "t", True, (("一", "二"),))
    assert two.doc == ("a", "b") and two.evidence == "行\u2028内"
    assert three.doc == () and not three.answerable


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("{", "Expecting"), ("[]", "not a JSON object"), (gold_row(id=""), "'id'"), (gold_row(question=3), "'question'"), (gold_row(answers="答"), "'answers'"),
        (gold_row(answers=[]), "needs"), (gold_row(doc=""), "needs"), (gold_row(doc=[1]), "'doc'"), (gold_row(evidence=None), "'evidence'"),
        (gold_row(answerable="yes"), "'answerable'"), (gold_row(answerable=False), "no 'answers'"), (gold_row(history=[["一", "二"]]), "'history'"),
        (gold_row(id="first"), "twice"),
    ],
)
def test_bad_gold_names_file_and_line(tmp_path, bad, why):
    path = gold_file(tmp_path / "g.jsonl", [gold_row(id="first"), bad])
    with pytest.raises(GoldError, match=r"g\.jsonl:2: ") as caught:
        load_gold(path)
    assert why in str(caught.value)


def test_gold_without_questions(tmp_path):
    with pytest.raises(GoldError, match="holds no question"):
        load_gold(gold_file(tmp_path / "g.jsonl", [""]))


def test_a_perfect_run(tmp_path):
    assistant = FakeAssistant()
    report = evaluate(assistant, GOLD)
    for name in ("exact", "f1", "right", "citation_hit", "citation_precision", "document_cited", "offsets_valid", "refused_right", "true_refusal"):
        assert score(report, name) == 1, name
    assert score(report, "false_refusal") == 0
    assert [row["scores"]["evidence_rank"] for row in report.items] == [1, 2, 3, None]
    assert (score(report, "recall@1"), score(report, "recall@3")) == (pytest.approx(1 / 3), 1)
    assert score(report, "mrr") == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert report.metrics["overall"]["right"]["n"] == 4 and report.metrics["overall"]["f1"]["n"] == 3
    assert set(report.metrics["by_type"]) == {"number", "followup", "unanswerable"} and set(report.metrics["by_document"]) == {"a.txt", "b.txt"}
    assert report.metrics["by_document"]["a.txt"]["items"] == 2
    # three right ones, then g4, which has no candidate: wrong, at the end, so 1/4 of a risk of 1/4
    assert report.metrics["risk_coverage"] == {"area": pytest.approx(1 / 16), "curve": [(0.75, 0)], "point": {"coverage": 0.75, "risk": 0}}
    assert [(row["by"], row["n"]) for row in report.metrics["orders"]] == [("search", 3), ("reader", 3)]
    assert [row["evidence"] for row in report.items] == [item.evidence for item in GOLD]
    assert report.items[1]["history"] == [["甲区出口多少？", "10亿元"]] and report.items[0]["withheld"] is None
    assert assistant.asked[1] == ("乙区呢？", (("甲区出口多少？", "10亿元"),))
    assert report.weights == {"answerer": "fake:1", "embedder": "embedder:1"}
    assert report.machine["python"] and report.machine["torch"] and report.machine["cpus"]
    report.save(tmp_path / "r.json")
    assert set(json.loads((tmp_path / "r.json").read_text("utf-8"))) == {"metrics", "items", "manifest", "weights", "commit", "seed", "seconds", "machine"}
    assert Report.open(tmp_path / "r.json").items == report.items


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        (lambda a: a if a.refused else replace(a, citations=(replace(a.citations[0], start=1),)), "offsets_valid"),
        (lambda a: a if a.refused else replace(a, citations=(replace(a.citations[0], doc_id="c.txt"),)), "document_cited"),
        (lambda a: a if a.refused else replace(a, citations=(replace(a.citations[0], quote="别的"),)), "citation_hit"),
        (lambda a: replace(a, text=a.text[1:]), "f1"),
        (lambda a: replace(a, text=a.text[1:]), "exact"),
        (lambda a: replace(a, refused=True), "right"),
        (lambda a: replace(a, refused=True), "refused_right"),
        (lambda a: replace(a, refused=False), "right"),
        (lambda a: replace(a, refused=False), "true_refusal"),
        (lambda a: replace(a, hits=a.hits[:1]), "recall@5"),
        (lambda a: replace(a, hits=a.hits[::-1]), "ndcg@10"),
    ],
)
def test_damage_scores_lower(change, metric):
    answers = RIGHT | {"g3": ("b.txt", "30棵")}
    assert score(evaluate(FakeAssistant(answers, change), GOLD[:2] + GOLD[3:]), metric) < score(evaluate(FakeAssistant(answers), GOLD[:2] + GOLD[3:]), metric)


def test_refusing_or_answering_everything():
    refuser = evaluate(FakeAssistant(dict.fromkeys(RIGHT)), GOLD)
    assert (score(refuser, "right"), score(refuser, "false_refusal"), score(refuser, "true_refusal")) == (0.25, 1, 1)
    assert score(refuser, "f1") == score(refuser, "citation_hit") == 0 and "citation_precision" not in refuser.metrics["overall"]
    gossip = evaluate(FakeAssistant(RIGHT | {"g4": ("a.txt", "甲区")}), GOLD)
    assert (score(gossip, "right"), score(gossip, "true_refusal")) == (0.75, 0)
    assert gossip.metrics["risk_coverage"] == {"area": pytest.approx(0.25), "curve": [(1, 0.25)], "point": {"coverage": 1, "risk": 0.25}}
    assert refuser.metrics["risk_coverage"] == {"area": 1, "curve": [], "point": {"coverage": 0, "risk": 0}}  # no candidate at all


SURE = {"甲区出口多少？": 0.9, "乙区呢？": 0.2, "丙区种了几棵树？": 0.6, "丁区在哪？": 0.3}


def cautious(answer, threshold=0.5):
    """The answer with a confidence of its own, withheld where that is too low."""
    sure = SURE[answer.question]
    if answer.refused or sure >= threshold:
        return replace(answer, confidence=sure)
    return replace(answer, text="没有找到。", citations=(), confidence=sure, refused=True, withheld=answer.citations[0])


def test_the_curve_is_over_withheld_answers_too():
    answers = RIGHT | {"g3": ("b.txt", "丙区"), "g4": ("a.txt", "甲区")}
    report = evaluate(FakeAssistant(answers, cautious), GOLD)
    # by confidence: g1 right and g3 wrong are given, then g4 (no answer exists: wrong) and g2 (right) are withheld
    assert [row["refused"] for row in report.items] == [False, True, False, True]
    assert [row["scores"]["candidate_right"] for row in report.items] == [1, 1, 0, None]
    assert [row["scores"]["right"] for row in report.items] == [1, 0, 0, 1]
    found = report.metrics["risk_coverage"]
    assert found["curve"] == [(0.25, 0), (0.5, 1 / 2), (0.75, pytest.approx(2 / 3)), (1, 1 / 2)]
    assert found["area"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 1 / 2) / 4)
    assert found["point"] == {"coverage": 0.5, "risk": 0.5}
    assert score(report, "candidate_right") == pytest.approx(2 / 3) and report.metrics["overall"]["candidate_right"]["n"] == 3
    row = report.items[1]["withheld"]
    assert row["text"] == "20亿元" and row["citation"]["doc_id"] == "a.txt" and report.items[1]["citations"] == []


def test_the_curve_does_not_depend_on_the_threshold():
    answers = RIGHT | {"g3": ("b.txt", "丙区"), "g4": ("a.txt", "甲区")}
    curves = [evaluate(FakeAssistant(answers, lambda a, at=at: cautious(a, at)), GOLD).metrics["risk_coverage"] for at in (0.0, 0.25, 0.5, 0.95)]
    assert all(found["curve"] == curves[0]["curve"] and found["area"] == curves[0]["area"] for found in curves)
    assert [found["point"]["coverage"] for found in curves] == [1, 0.75, 0.5, 0]


def test_an_error_has_no_candidate():
    report = evaluate(FakeAssistant(RIGHT | {"g1": KeyError("oh")}), GOLD[:2])
    assert report.metrics["risk_coverage"] == {"area": pytest.approx((0 + 1 / 2) / 2), "curve": [(0.5, 0)], "point": {"coverage": 0.5, "risk": 0}}


def test_a_report_from_before_candidates_has_given_answers_alone():
    rows = [dict(row, scores={k: v for k, v in row["scores"].items() if k != "candidate_right"}) for row in evaluate(FakeAssistant(), GOLD).items]
    for row in rows:
        del row["withheld"]
    assert [candidate(row) for row in rows] == [1, 1, 1, None]


def test_seconds_by_type():
    report = evaluate(FakeAssistant(), GOLD)
    assert all(set(group["seconds"]) == {"p50", "p95"} for part in ("by_type", "by_document") for group in report.metrics[part].values())


def test_an_error_is_recorded_and_counts_as_wrong():
    report = evaluate(FakeAssistant(RIGHT | {"g1": KeyError("oh"), "g4": RuntimeError("no")}), GOLD)
    assert report.items[0]["error"] == "KeyError: 'oh'" and report.metrics["overall"]["errors"] == 2
    assert score(report, "right") == 0.5 and score(report, "f1") == pytest.approx(2 / 3) and score(report, "recall@10") == pytest.approx(2 / 3)
    assert score(report, "true_refusal") == score(report, "false_refusal") == 0
    assert score(report, "refused_right") == score(report, "offsets_valid") == 0.5


def test_a_broken_off_run_goes_on(tmp_path):
    part = tmp_path / "r.json.part"
    with pytest.raises(KeyboardInterrupt):
        evaluate(FakeAssistant(RIGHT | {"g2": OSError("passing"), "g3": KeyboardInterrupt()}), GOLD, part=part)
    assert len(part.read_text("utf-8").splitlines()) == 3  # the key and two items
    with part.open("a", encoding="utf-8") as file:
        file.write('{"id": "g3", "ques')  # cut short while it was written
    again = FakeAssistant()
    report = evaluate(again, GOLD, part=part)
    assert [question for question, _ in again.asked] == [item.question for item in GOLD[1:]]  # errors are asked again
    assert [row["id"] for row in report.items] == ["g1", "g2", "g3", "g4"] and score(report, "right") == 1
    assert len(part.read_text("utf-8").splitlines()) == 5


def test_a_part_of_another_run_is_not_taken_over(tmp_path, monkeypatch):
    part = tmp_path / "r.json.part"
    evaluate(FakeAssistant(), GOLD, part=part)
    for assistant, gold in ((FakeAssistant(name="fake:2"), GOLD), (FakeAssistant(), [replace(GOLD[0], answers=("十亿",)), *GOLD[1:]])):
        evaluate(assistant, gold, part=part)
        assert len(assistant.asked) == 4
    other = FakeAssistant()
    other.store.manifest = replace(other.store.manifest, checksums={"vectors": "2"})
    evaluate(other, GOLD, part=part)
    assert len(other.asked) == 4
    other.asked.clear()
    monkeypatch.setattr("eval.harness.commit", lambda: "0123")
    evaluate(other, GOLD, part=part)
    assert len(other.asked) == 4


def test_an_item_is_on_disk_before_the_next_is_asked(tmp_path):
    part, seen = tmp_path / "r.json.part", []
    evaluate(FakeAssistant(), GOLD, progress=lambda done, total: seen.append((done, total, len(part.read_text("utf-8").splitlines()))), part=part)
    assert seen == [(1, 4, 2), (2, 4, 3), (3, 4, 4), (4, 4, 5)]


def test_limit_draws_with_the_seed():
    drawn = {tuple(row["id"] for row in evaluate(FakeAssistant(), GOLD, limit=2, seed=seed).items) for seed in range(20)}
    assert len(drawn) > 1 and all(list(ids) == sorted(ids) and len(ids) == 2 for ids in drawn)
    with pytest.raises(ValueError, match="limit"):
        evaluate(FakeAssistant(), GOLD, limit=0)


def test_gold_of_other_documents_is_refused():
    with pytest.raises(GoldError, match=r"g1 asks about c\.txt"):
        evaluate(FakeAssistant(), [replace(GOLD[0], doc=("c.txt",))])


def test_unfindable_evidence_is_told():
    assert unfindable(FakeAssistant(), [*GOLD, replace(GOLD[0], id="g5", evidence="哪里都没有")]) == ["g5"]


def saved(path, answers, name="fake:1", gold=GOLD, copies=10):
    """A report over ``copies`` of the gold."""
    many = [replace(item, id=f"{item.id}-{i}") for i in range(copies) for item in gold]
    evaluate(FakeAssistant(answers, name=name), many).save(path)
    return str(path)


def test_compare_and_its_exit_code(tmp_path, capsys):
    good, bad = saved(tmp_path / "good.json", RIGHT), saved(tmp_path / "bad.json", dict.fromkeys(RIGHT))
    assert main(["compare", good, bad]) == 1
    assert "right: B is significantly worse (1.000 → 0.250, -0.750" in capsys.readouterr().out
    assert main(["compare", bad, good]) == 0
    assert "f1: B is significantly better" in capsys.readouterr().out
    assert main(["compare", good, good]) == 0
    assert capsys.readouterr().out.count("no significant difference") == 2
    assert main(["compare", good, bad, "--metric", "evidence_rank", "--metric", "offsets_valid"]) == 0  # worse in others alone
    few, fewer = saved(tmp_path / "few.json", RIGHT, copies=1), saved(tmp_path / "fewer.json", dict.fromkeys(RIGHT), copies=1)
    assert main(["compare", few, fewer, "--metric", "right"]) == 0  # three lost of four: p = 1/4
    assert main(["compare", good, bad, "--metric", "nothing"]) == 1
    assert "by 'nothing'" in capsys.readouterr().err


def test_comparison_counts_and_tests(tmp_path):
    a = Report.open(saved(tmp_path / "a.json", RIGHT | {"g1": ("a.txt", "20亿元")}))
    b = Report.open(saved(tmp_path / "b.json", RIGHT | {"g3": None}))
    found = compare_metric(a, b, "right")
    assert (found.n, found.wins, found.losses, found.p, found.test, found.difference) == (40, 10, 10, 1, "McNemar", 0)
    f1 = compare_metric(a, b, "f1")
    assert (f1.n, f1.wins, f1.losses, f1.test) == (30, 10, 10, "paired bootstrap")
    ranks = compare_metric(a, b, "evidence_rank")
    assert ranks.n == 30 and ranks.a == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert differing(a, b) == []
    fewer = replace(b, items=b.items[1:], manifest={**b.manifest, "gold_sha256": "0"})
    assert [note[:12] for note in differing(a, fewer)] == ["the two runs", "only the 39 "]


def test_table_sets_reports_side_by_side(tmp_path, capsys):
    good, bad = saved(tmp_path / "good.json", RIGHT), saved(tmp_path / "bad.json", dict.fromkeys(RIGHT))
    assert main(["table", good, bad, "--metric", "right", "--metric", "citation_precision"]) == 0
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert rows[0][1:4] == ["questions", "right", "citation_precision"] and [row[:2] for row in rows[2:]] == [["good", "40"], ["bad", "40"]]
    assert rows[2][2] == "1.000 (1.000–1.000)" and rows[3][2].startswith("0.250 (") and rows[3][3] == "–"  # one that refuses all cites nothing
    assert main(["table", good, bad, "--metric", "right", "--together"]) == 0
    assert re.search(r"^right +0\.625 .* 80$", capsys.readouterr().out, re.M)
    assert main(["table", good, "--metric", "nothing"]) == 1
    assert "no report has 'nothing': choose from exact" in capsys.readouterr().err


def test_compare_names_a_bad_report(tmp_path, capsys):
    good, bad = saved(tmp_path / "good.json", RIGHT, copies=1), tmp_path / "bad.json"
    for text, why in (("{", "no JSON"), ("{}", "no report"), (None, "No such file")):
        bad.unlink(missing_ok=True) if text is None else bad.write_text(text)
        assert main(["compare", good, str(bad)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and str(bad) in error and why in error


def test_run_command(tmp_path, capsys, monkeypatch):
    gold = gold_file(tmp_path / "g.jsonl", [asdict(item) | {"history": [{"question": q, "answer": a} for q, a in item.history]} for item in GOLD])
    fake, out = FakeAssistant(RIGHT | {"g3": KeyboardInterrupt()}), tmp_path / "new" / "r.json"
    monkeypatch.setattr("qa.assistant.Assistant.open", lambda folder, **options: fake)
    assert main(["run", "--gold", str(gold), "--out", str(out)]) == 130
    assert "goes on from here" in capsys.readouterr().err and not out.exists()
    fake = FakeAssistant()
    assert main(["run", "--gold", str(gold), "--out", str(out)]) == 0
    assert [question for question, _ in fake.asked] == ["丙区种了几棵树？", "丁区在哪？"]
    shown = capsys.readouterr()
    assert "right" in shown.out and "1.000" in shown.out and "question" in shown.err
    assert json.loads(out.read_text("utf-8"))["metrics"]["overall"]["items"] == 4 and not out.with_name("r.json.part").exists()
    assert "丙区种了几棵树？" in out.with_suffix(".html").read_text("utf-8") and json.loads(out.read_text("utf-8"))["manifest"]["gold"] == "g.jsonl"
    assert main(["run", "--gold", str(gold), "--out", str(tmp_path / "r.html")]) == 1 and "both the report and its page" in capsys.readouterr().err
    assert main(["run", "--gold", str(tmp_path / "none.jsonl")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.jsonl'}: No such file or directory\n"
