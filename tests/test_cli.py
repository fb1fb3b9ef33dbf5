"""The commands as a user types them: exit codes and one clear sentence, with the network cut off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
needs_weights = pytest.mark.skipif(not (ROOT / "models/answerer/config.json").exists(), reason="no shipped weights in models/answerer")
# A proxy that nobody listens on: any attempt to reach a host fails at once.
CUT_OFF = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}


def run(*words, cwd=ROOT):
    return subprocess.run([sys.executable, "-m", *words], cwd=cwd, env={**os.environ, **CUT_OFF}, capture_output=True, text=True, timeout=300, check=False)


def test_empty_and_endless_questions_fail_before_loading():
    for question, why in (("", "empty"), ("南" * 10_000, "500 at most")):
        out = run("qa", "ask", question)
        assert out.returncode == 2 and why in out.stderr and "Traceback" not in out.stderr and not out.stdout


def test_missing_and_empty_folders(tmp_path):
    for words in (("qa", "ask", "多少？", "--docs"), ("index",)):
        out = run(*words, str(tmp_path / "nope"))
        assert out.returncode == 1 and "there is no folder" in out.stderr and "Traceback" not in out.stderr
        out = run(*words, str(tmp_path))
        assert out.returncode == 1 and "no document" in out.stderr and "Traceback" not in out.stderr


@needs_weights
def test_kept_answers_are_checked(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("南昌综保区2021年进出口总额突破210亿元。", "utf-8")
    out = run("qa", "ask", "南昌综保区2021年进出口总额是多少？", "--docs", str(tmp_path / "docs"), "--json")
    assert out.returncode == 0
    (tmp_path / "kept.jsonl").write_text(out.stdout, "utf-8")
    assert json.loads(out.stdout)["citations"], "this must be answered, or there is nothing to check"
    again = ("qa", "check", str(tmp_path / "kept.jsonl"), "--docs", str(tmp_path / "docs"))
    out = run(*again)
    assert out.returncode == 0 and "仍然有效" in out.stdout
    (tmp_path / "docs" / "a.txt").write_text("南昌综保区2021年进出口总额突破230亿元。", "utf-8")
    out = run(*again)
    assert out.returncode == 1 and "来源已变更" in out.stdout
    (tmp_path / "kept.jsonl").write_text("{}\n", "utf-8")
    out = run(*again)
    assert out.returncode == 1 and "no answer as" in out.stderr and "Traceback" not in out.stderr


def test_a_model_that_is_not_there(tmp_path):
    (tmp_path / "a.txt").write_text("南昌综保区进出口总额突破210亿元。", "utf-8")
    out = run("qa", "ask", "多少？", "--docs", str(tmp_path), "--embedder", "some/hub-name")
    assert out.returncode == 1 and "cannot be loaded" in out.stderr and "JUDIAN_ONLINE=1" in out.stderr and "Traceback" not in out.stderr


@needs_weights
def test_a_binary_named_txt_is_skipped_and_said(tmp_path):
    (tmp_path / "a.txt").write_text("2021年，南昌综保区进出口总额突破210亿元，同比增长109%。", "utf-8")
    (tmp_path / "b.txt").write_bytes(bytes(range(256)) * 10)
    out = run("qa", "ask", "南昌综保区2021年进出口总额是多少？", "--docs", str(tmp_path), "--json")
    assert out.returncode == 0 and "skipped b.txt: not a text file" in out.stderr
    row = json.loads(out.stdout)
    assert list(row) == ["question", "rewritten", "answer", "refused", "confidence", "parts", "citations", "dates", "hits", "seconds", "unsupported",
                         "search_score", "reader_odds"]
    text = (tmp_path / "a.txt").read_text("utf-8")
    assert all(text[c["start"] : c["end"]] == c["quote"] for c in row["citations"])


@needs_weights
def test_make_ask_answers_offline():
    out = run("qa", "ask", "南昌综保区2021年进出口总额是多少？")
    assert out.returncode == 0 and "210亿元" in out.stdout and "000_16796f86e927b957.txt" in out.stdout and "进出口总额突破210亿元" in out.stdout


@needs_weights
def test_a_reader_that_leaves_early_gets_no_trace(tmp_path):
    """As in `… | head -1`: nobody reads what is printed."""
    (tmp_path / "a.txt").write_text("南昌综保区2021年进出口总额突破210亿元。", "utf-8")
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "qa", "ask", "南昌综保区2021年进出口总额是多少？", "--docs", str(tmp_path)]
    out = subprocess.run(words, cwd=ROOT, env={**os.environ, **CUT_OFF}, stdout=write, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    os.close(write)
    assert "Traceback" not in out.stderr and "BrokenPipe" not in out.stderr
