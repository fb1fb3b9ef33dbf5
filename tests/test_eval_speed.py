"""The speed command on the shipped models: what it measures, not how much that is."""

from __future__ import annotations

import json

import pytest

from eval.__main__ import main


def test_speed_command(tmp_path, capsys):
    out = tmp_path / "speed.json"
    assert main(["speed", "--questions", "2", "--rounds", "2", "--passages", "4", "--out", str(out)]) == 0
    found, said = json.loads(out.read_text("utf-8")), capsys.readouterr().out
    assert [len(found[name]) for name in ("ratio", "read", "search", "read_ratio")] == [2, 2, 2, 2] and found["passages"] == 4
    assert found["ratio"] == pytest.approx([a / b for a, b in zip(found["rates"]["ours"], found["rates"]["peer"], strict=True)])
    assert all(value > 0 for name in ("ratio", "read", "search") for value in found[name]) and found["index_bytes"] > 1000
    assert "bge-small-zh" in said and "ms" in said


def test_speed_of_nothing(tmp_path, capsys):
    assert main(["speed", "--rounds", "0"]) == 1 and "1 at least" in capsys.readouterr().err
