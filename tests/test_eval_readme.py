"""eval/README.md cannot rot: its examples are run, its gold loads, and it names every score and every command."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from test_eval_mutations import GOLD, Fake

from eval.__main__ import main
from eval.benchmarks import Example
from eval.harness import evaluate
from eval.metrics import bootstrap_interval
from eval.reader import Baseline, evaluate_reader
from eval.retrieval import rank_scores
from eval.types import load_gold

README = (Path(__file__).resolve().parent.parent / "eval" / "README.md").read_text("utf-8")


def test_the_examples_say_what_comes_out():
    blocks = re.findall(r"^```pycon\n(.*?)^```$", README, re.M | re.S)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "eval/README.md", None, 0)
    shown = []
    result = doctest.DocTestRunner(verbose=False).run(examples, out=shown.append)
    assert result.failed == 0, "".join(shown)
    assert result.attempted > 25 and len(blocks) == README.count("```pycon")


def names() -> set[str]:
    """Every score that a report of the three entrances can hold."""
    found = {name for row in evaluate(Fake(lambda id, a: a), GOLD).items for name in row["scores"]}
    found |= {name for name, value in evaluate(Fake(lambda id, a: a), GOLD).metrics["overall"].items() if isinstance(value, dict) and "mean" in value}
    both = [Example("1", "", ("甲有一只羊。",), "甲有什么？", ("羊",), True), Example("2", "", ("甲有一只羊。",), "乙有什么？", (), False)]
    parts = [Example("1", "", ("甲有一只羊。",), "甲有什么？", ("羊",), True, parts=(("羊",),))]
    for examples in (both, parts):
        found |= {name for row in evaluate_reader(Baseline("first"), examples).items for name in row["scores"]}
    return found | {"unanswered"} | set(rank_scores([1], 1, 1, True))


def test_every_score_is_explained():
    assert len(names()) > 25
    assert not {name for name in names() if f"`{name}`" not in README}


def test_no_score_is_explained_that_is_not_there():
    explained = set(re.findall(r"\*\*`([^`]+)`\*\*", README))
    assert explained >= {"right", "mrr"} and explained <= names()


def test_every_command_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.search(r"\{([a-z,]+)\}", capsys.readouterr().out)
    assert commands
    for command in commands.group(1).split(","):
        assert f"`python -m eval {command} " in README, command


def test_the_example_gold_loads(tmp_path):
    block = re.search(r"^```json\n(.*?)^```$", README, re.M | re.S)
    assert block
    (tmp_path / "g.jsonl").write_text(block.group(1), "utf-8")
    first, second, third = load_gold(tmp_path / "g.jsonl")
    assert first.answers == ("5天", "五天") and second.history == (("年假有几天？", "5天"),) and not third.answerable


def test_the_interval_of_four_questions_is_as_worked_out():
    """The README's binomial: P(0 or 1 of 4 right) = 0.051 > 0.025 > P(0 of 4) = 0.004, and P(4 of 4) = 0.316."""
    none, one, all_ = 0.25**4, 4 * 0.75 * 0.25**3, 0.75**4
    assert none < 0.025 < none + one == pytest.approx(0.051, abs=5e-4) and all_ == pytest.approx(0.316, abs=5e-4)
    assert {bootstrap_interval([1, 1, 1, 0], seed) for seed in range(5)} == {(0.25, 1.0)}
