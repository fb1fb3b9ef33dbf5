"""Open retrieval over tiny contexts, with an embedder whose cosines are known."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from eval import retrieval
from eval.__main__ import main
from eval.benchmarks import Example
from eval.reader import Baseline
from eval.retrieval import crowded, embedded, evaluate_retrieval, rank_scores, read_distractors, table
from eval.types import GoldError, Report
from index.chunk import chunk_document
from index.store import PassageStore
from index.types import Document
from qa.answerer import Span
from qa.assistant import Assistant
from qa.confidence import Calibration
from qa.retriever import Retriever
from tests.conftest import FakeEmbedder

C1, C2, C3 = "甲区出口10亿元。", "乙区出口20亿元。", "丙区种树30棵。"
ONE = Example("q1", "", (C1,), "种树", ("10亿元",), True)
TWO = Example("q2", "", (C2,), "乙区", ("20亿元",), True)
SEARCHES = ("dense", "lexical", "fused", "reranked")  # without a reader
NONE = Example("q3", "", (C3,), "谁", (), False)
COSINES = {"种树": (0.9, 0.4, 0.1), "乙区": (0.9, 0.1, 0.4)}  # before they are brought to length 1


class PlannedEmbedder:
    """Contexts are axes; a question's vector holds its cosines with them."""

    name, dim, light = "planned:1", 4, False

    def encode(self, texts, progress=None):
        rows = []
        for text in texts:
            row = np.zeros(4, np.float32)
            if text in COSINES:
                row[:3] = COSINES[text]
            else:
                row[[C1, C2, C3].index(text) if text in (C1, C2, C3) else 3] = 1
            rows.append(row / np.linalg.norm(row))
        if progress:
            progress(len(texts))
        return np.array(rows)

    def encode_question(self, question):
        return self.encode([question])[0]


def score(report, name):
    return report.metrics["overall"][name]["mean"]


def test_ranks_by_hand():
    """Dense finds C1 first and C2 third. BM25: 种树 stands in C3 alone, 乙 in C2 alone. Fused at 0.35: C3 before C1, and C2 first."""
    report = evaluate_retrieval(PlannedEmbedder(), [ONE, TWO, NONE], dense=0.35)
    found = {name: [row["ranks"][name]["passage"] for row in report.items] for name in SEARCHES}
    assert found == {"dense": [1, 3], "lexical": [None, 1], "fused": [2, 1], "reranked": [2, 1]}
    assert [row["id"] for row in report.items] == ["q1", "q2"] and [row["relevant"] for row in report.items] == [1, 1]
    assert (score(report, "dense:recall@1"), score(report, "dense:recall@3")) == (0.5, 1)
    assert (score(report, "lexical:recall@1"), score(report, "lexical:recall@10")) == (0.5, 0.5)
    assert (score(report, "fused:recall@1"), score(report, "fused:recall@3"), score(report, "fused:context_recall@3")) == (0.5, 1, 1)
    assert [score(report, f"{name}:mrr@10") for name in SEARCHES] == [pytest.approx(2 / 3), 0.5, 0.75, 0.75]
    assert score(report, "dense:ndcg@10") == pytest.approx((1 + 1 / 2) / 2) and score(report, "fused:ndcg@10") == pytest.approx((1 / math.log2(3) + 1) / 2)
    differences = {(d["against"], d["metric"]): d["difference"] for d in report.metrics["differences"] if d["system"] == "fused"}
    assert differences[("dense", "mrr@10")] == pytest.approx(0.75 - 2 / 3) and differences[("lexical", "recall@3")] == 0.5
    assert report.manifest["contexts"] == report.manifest["passages"] == 3 and report.weights == {"embedder": "planned:1"}
    index = report.metrics["index"]
    assert index["bytes_per_thousand_passages"] == pytest.approx(1000 * index["bytes"] / 3) and index["bytes"] > 3 * 4 * 4 and index["embedded_per_second"] > 0


class Reader:
    """Finds an answer in the passages that hold ``word`` alone, and says which it was given."""

    name, judges, follows = "reader:1", False, False

    def __init__(self, word):
        self.word, self.given = word, []

    def answer(self, question, hits):
        self.given.append([hit.passage.text for hit in hits])
        return [Span(hit, hit.passage.start, hit.passage.end, -1.0, -5.0 if self.word in hit.passage.text else 5.0) for hit in hits]


def test_near_ties_are_settled_by_the_reader(monkeypatch):
    """Fused at 0.35, C3 stands before C1 for ONE, C2 first for TWO."""
    monkeypatch.setattr("qa.retriever.TIE", 0.1)
    monkeypatch.setattr("qa.retriever.ODDS", 0.1)
    reader = Reader("区出口")
    report = evaluate_retrieval(PlannedEmbedder(), [ONE, TWO, NONE], dense=0.35, answerer=reader)
    assert [row["ranks"]["read"]["passage"] for row in report.items] == [1, 1] and score(report, "read:mrr@10") == 1 > score(report, "reranked:mrr@10")
    assert reader.given[0] == [C3, C1] and reader.given[1][0] == C2  # C2 is far behind for ONE
    assert report.weights == {"embedder": "planned:1", "answerer": "reader:1"} and set(report.metrics["search_seconds"]) == set(retrieval.SYSTEMS)
    assert report.items[0]["seconds"] == report.items[0]["seconds_by_system"]["read"] > report.items[0]["seconds_by_system"]["reranked"]
    assert "read against lexical" in "\n".join(table(report)) and "read against" not in "\n".join(table(evaluate_retrieval(PlannedEmbedder(), [ONE])))


def test_rank_scores():
    scores = rank_scores([2, 4], 1, relevant=3, quoted=True)
    assert [scores[f"recall@{k}"] for k in (1, 3, 5, 10)] == [0, 1, 1, 1] and scores["mrr@10"] == 0.5 and scores["context_recall@1"] == 1
    assert scores["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2))
    assert set(rank_scores([], None, relevant=2, quoted=True).values()) == {0}
    unquoted = rank_scores([], 4, relevant=0, quoted=False)
    assert unquoted["recall@10"] is unquoted["ndcg@10"] is None and (unquoted["context_recall@3"], unquoted["context_recall@5"]) == (0, 1)


def test_rank_scores_agree_with_ir_measures():
    ir = pytest.importorskip("ir_measures")
    draw = random.Random(0)
    measures = {f"recall@{k}": ir.Success @ k for k in (1, 3, 5, 10)} | {"mrr@10": ir.RR @ 10, "ndcg@10": ir.nDCG @ 10}
    for _ in range(20):
        relevant = set(draw.sample(range(1, 31), draw.randint(1, 14)))  # of 30 passages, named by rank; the first ten are hits
        scores = rank_scores(sorted(r for r in relevant if r <= 10), None, len(relevant), True)
        qrels, run = {"q": {str(r): 1 for r in relevant}}, {"q": {str(r): 1 / r for r in range(1, 11)}}
        for name, measure in measures.items():
            assert scores[name] == pytest.approx(measure.calc_aggregate(qrels, run)), (name, relevant)


def long_context():
    text = "".join(f"第{i}条说的是第{i}件寻常的小事，没有什么可记的。" for i in range(100, 130))
    return text + "秘密在山洞里面。"


def test_a_long_context_is_cut_and_the_passage_must_hold_the_answer():
    text = long_context()
    cut = chunk_document(Document("context-1", "", text, ""))
    assert len(cut) > 1 and "山洞" in cut[-1].text
    examples = [Example("q1", "", (text,), "第100条说的是什么？", ("山洞里面",), True), ONE]
    row = evaluate_retrieval(FakeEmbedder(), examples).items[0]
    assert row["relevant"] == 1
    assert row["ranks"]["lexical"]["context"] == 1 and row["ranks"]["lexical"]["passage"] != 1  # found the context, not yet the answer
    assert row["scores"]["lexical:context_recall@1"] == 1 and row["scores"]["lexical:recall@1"] == 0


def test_a_broken_answer_counts_as_not_found_a_free_one_does_not_apply():
    text = long_context()
    end = chunk_document(Document("context-1", "", text, ""))[0].end
    broken = Example("q1", "", (text,), "什么？", (text[end - 4 : end + 4],), True)
    free = Example("q2", "", (C1, C2), "出口多少？", ("两区合计三十亿",), True, (0, 1))
    report = evaluate_retrieval(FakeEmbedder(), [broken, free])
    assert [row["relevant"] for row in report.items] == [0, 0]
    assert report.items[0]["scores"]["fused:recall@10"] == 0 and report.items[1]["scores"]["fused:recall@10"] is None
    assert report.metrics["overall"]["fused:recall@10"]["n"] == 1 and report.items[1]["scores"]["fused:context_recall@10"] == 1
    lines = "\n".join(table(report))
    assert "1 questions count as not found" in lines and "1 questions have context_recall alone" in lines


def many(count=12):
    """Questions on people, each with a context of its own."""
    names = [a + b for a in "赵钱孙李" for b in "东南西北"][:count]
    return [Example(n, "", (f"{n}住在{i}号楼。",), f"{n}住在几号楼？", (f"{i}号楼",), True) for i, n in enumerate(names)]


def test_shuffled_questions_lower_recall():
    examples = many()
    right = evaluate_retrieval(FakeEmbedder(), examples)
    shuffled = [replace(e, question=examples[(i + 5) % 12].question) for i, e in enumerate(examples)]
    wrong = evaluate_retrieval(FakeEmbedder(), shuffled)
    for name in SEARCHES:
        assert score(right, f"{name}:recall@1") > 0.8 and score(wrong, f"{name}:recall@1") < 0.2, name  # two names share their characters' places in the fake
        assert score(wrong, f"{name}:context_recall@1") < 0.2 and score(wrong, f"{name}:ndcg@10") < score(right, f"{name}:ndcg@10")


def test_distractors_never_help():
    examples = many()
    alone = evaluate_retrieval(FakeEmbedder(), examples)
    crowded = evaluate_retrieval(FakeEmbedder(), examples, [("", f"{e.question}没有人知道。") for e in examples[:6]])
    for metric in alone.metrics["overall"]:
        if ":" in metric:
            assert score(crowded, metric) <= score(alone, metric), metric
    assert score(crowded, "lexical:recall@1") < score(alone, "lexical:recall@1")
    assert crowded.manifest["passages"] == 18 and crowded.manifest["passages_of_contexts"] == 12
    assert crowded.manifest["passages_sha256"] != alone.manifest["passages_sha256"]
    same = evaluate_retrieval(FakeEmbedder(), examples, [("题", examples[0].contexts[0])])  # a context in disguise is left out
    assert same.manifest["passages"] == 12


def test_contexts_are_shared_and_limit_draws_questions_alone():
    examples = [*many(4), replace(many(4)[0], id="again")]
    report = evaluate_retrieval(FakeEmbedder(), examples, limit=2)
    assert len(report.items) == 2 and report.manifest["contexts"] == 4
    with pytest.raises(GoldError, match="no question"):
        evaluate_retrieval(FakeEmbedder(), [NONE])
    with pytest.raises(ValueError, match="dense share"):
        evaluate_retrieval(FakeEmbedder(), examples, dense=2)


class Failing(FakeEmbedder):
    """Breaks off at the ``last``-th text."""

    def __init__(self, last):
        super().__init__()
        self.last = last

    def encode(self, texts, progress=None, batch=16):
        if self.encoded + len(texts) > self.last:
            raise KeyboardInterrupt
        return super().encode(texts, progress, batch)


def timeless(report):
    overall = {name: value for name, value in report.metrics["overall"].items() if name != "seconds"}
    rows = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in report.items]
    return overall, report.metrics["differences"], rows, report.manifest, report.weights


@pytest.mark.parametrize("last", [5, 12 + 7])
def test_a_resumed_run_gives_the_same_report(tmp_path, monkeypatch, last):
    monkeypatch.setattr(retrieval, "BLOCK", 5)
    part, folder, seen = tmp_path / "r.json.part", tmp_path / "r.json.vectors", []
    whole = evaluate_retrieval(FakeEmbedder(), many())
    with pytest.raises(KeyboardInterrupt):
        evaluate_retrieval(Failing(last), many(), part=part, vectors=folder)
    again = FakeEmbedder()
    resumed = evaluate_retrieval(again, many(), part=part, vectors=folder, embedding=lambda done, total: seen.append((done, total)))
    assert timeless(resumed) == timeless(whole)
    if last == 5:  # broken off in the second block: the first is not embedded again
        assert again.encoded == 12 - 5 + 3 * 12 and seen[0] == (5, 12) and seen[-1] == (12, 12)
    else:  # in the fourth question, each of which is embedded twice
        assert again.encoded == 3 * (12 - 2) and resumed.metrics["index"]["embedded_per_second"] is None


def test_vectors_of_another_embedder_or_text_are_not_taken_over(tmp_path):
    first = embedded(FakeEmbedder(), ["甲", "乙"], tmp_path)
    assert first[1] == 2 and embedded(FakeEmbedder(), ["甲", "乙"], tmp_path)[1] == 0
    assert np.array_equal(embedded(FakeEmbedder(), ["甲", "乙"], tmp_path)[0], first[0])
    assert embedded(FakeEmbedder("fake:2"), ["甲", "乙"], tmp_path)[1] == embedded(FakeEmbedder(), ["甲", "丙"], tmp_path)[1] == 2


def test_a_crowd_holds_the_folder_and_the_distractors(tmp_path, embedder):
    (tmp_path / "a.txt").write_text("甲区出口10亿元，同比增长3%，外贸企业达到80家。", "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    alone = Assistant(store, Retriever(store, embedder, 0.35), Baseline("overlap"), Calibration(0.35), threshold=0.0)
    articles = [("乙区", f"乙区第{n}次种树{n}棵，参加的有{n}人。") for n in range(30)]
    crowd = crowded(alone, articles, tmp_path / "vectors")
    assert len(crowd.store.passages) == 31 and len(crowd.store.documents) == 31 and crowd.store.manifest.checksums != store.manifest.checksums
    assert crowd.ask("甲区出口多少？").citations[0].doc_id == "a.txt" and crowd.ask("乙区第7次种树多少棵？").citations[0].doc_id == "distractor-8"
    assert len(alone.store.passages) == 1 and np.allclose(crowd.store.vectors[0], store.vectors[0])


def test_distractor_files(tmp_path):
    path = tmp_path / "d.txt"
    path.write_text("\ufeff题一\t正文\u2028一\t尾\n\n\t无题\r\n", "utf-8")
    assert list(read_distractors(path)) == [("题一", "正文\u2028一\t尾"), ("", "无题")]
    path.write_text("题\t文\n没有制表符\n", "utf-8")
    with pytest.raises(GoldError, match=r"d\.txt:2: one article a line"):
        list(read_distractors(path))


def test_retrieval_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("index.embed.Embedder", lambda model: FakeEmbedder())
    monkeypatch.setattr("qa.answerer.load_answerer", lambda model, template: Baseline("overlap"))
    path, more, out = tmp_path / "b.jsonl", tmp_path / "d.txt", tmp_path / "new" / "r.json"
    rows = [{"id": e.id, "context": e.contexts[0], "question": e.question, "answers": list(e.answers)} for e in many()]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    more.write_text("题\t别的文字。\n", "utf-8")
    assert main(["retrieval", str(path), "--distractors", str(more), "--dense-share", "0.5", "--limit", "6", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "recall@5" in shown and "fused against dense " in shown and "paired bootstrap" in shown and "p = " in shown and "13 passages, 12 of them" in shown
    report = Report.open(out)
    assert report.manifest["dense_share"] == 0.5 and report.manifest["distractors"] == "d.txt" and len(report.items) == 6
    assert [p.name for p in out.parent.iterdir() if p.suffix != ".html"] == ["r.json"]  # no part, no vectors left
    assert main(["compare", str(out), str(out), "--metric", "fused:recall@5", "--metric", "lexical:ndcg@10"]) == 0
    assert main(["retrieval", str(path), "--dense-share", "1.5"]) == 1 and "between 0 and 1" in capsys.readouterr().err
    assert main(["retrieval", str(path), "--distractors", str(path), "--limit", "1"]) == 1 and "a tab" in capsys.readouterr().err
