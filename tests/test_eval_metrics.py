"""Every metric against values worked out by hand, and against damage: what is made worse must score worse."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from eval.metrics import (
    area_difference,
    bootstrap_interval,
    citation_precision,
    citation_recall,
    contains_answer,
    evidence_rank,
    exact_match,
    f1_score,
    is_right,
    locate,
    mcnemar,
    mrr,
    ndcg,
    normalise,
    offsets_valid,
    paired_bootstrap,
    recall_at,
    risk_coverage,
    rouge_l,
    segments,
)
from index.types import Hit, Passage
from qa.types import Answer, Citation

TEXT = "南昌综保区介绍。\n2021年，进出口总额突破210亿元，\n同比增长109%；签约项目32个。\n此外排名第40位。"
DOCS = {"a.txt": TEXT, "b.txt": "另一篇：进出口总额突破210亿元，同比增长109%。"}
EVIDENCE = "进出口总额突破210亿元，同比增长109%"  # a line break lies in it in a.txt
A, B = TEXT.index("进出口"), TEXT.index("；签约")


def hit(start: int, end: int, rank: int = 1, doc: str = "a.txt") -> Hit:
    return Hit(Passage(f"{doc}#{start}", doc, "题", "", DOCS[doc][start:end], start, end), 1.0, rank)


def cited(text: str = "突破210亿元", doc: str = "a.txt") -> Answer:
    at = DOCS[doc].index(text)
    low, high = DOCS[doc].index("进出口"), at + len(text)
    citation = Citation(1, doc, "题", low, high, DOCS[doc][low:high], at, high)
    return Answer("问", "问", text, (citation,), (hit(0, len(DOCS[doc]), doc=doc),), 0.9, False, 0.1)


def test_normalise_drops_the_official_marks_and_no_others():
    assert normalise(" 《战国》-A·B：“C”。 ") == "战国abc"
    assert normalise("a b（c）(d)…") == "a bc(d)…"  # inner spaces, half-width brackets and "…" stay, as in the official script
    assert normalise("a b（c）(d), 1,200Ｋ", folded=True) == "abcd1200k"
    assert normalise("綜保區") == "綜保區"
    assert normalise("綜保區", folded=True) == "综保区"


def test_segments():
    assert segments("ω-force在2.5版") == ["ωforce", "在", "2.5", "版"]
    assert segments("2021-5月 Ab cd") == ["20215", "月", "ab", "cd"]
    assert segments("2021-5月", apart=True) == ["2021", "5", "月"]
    assert segments("约10%") == ["约", "10", "%"]
    assert segments("1,200家") == ["1,200", "家"]


def test_exact_match():
    assert exact_match("《第40位》。", ["第四十位", "第40位"]) == 1
    assert exact_match("第40", ["第40位"]) == 0
    assert exact_match("第 40 位", ["第40位"]) == 0
    assert exact_match("第 40 位", ["第40位"], folded=True) == 1
    assert exact_match("綜合（保）", ["综合(保)"]) == 0
    assert exact_match("綜合（保）", ["综合(保)"], folded=True) == 1


def test_f1_is_over_the_longest_common_substring():
    assert f1_score("突破210亿元", ["210亿元"]) == pytest.approx(2 * (3 / 5) * 1 / (3 / 5 + 1))
    assert f1_score("突破310亿元", ["突破210亿元"]) == pytest.approx(2 / 5)  # 突破 or 亿元, not both
    assert f1_score("甲乙丙", ["甲丙"]) == pytest.approx(2 * 1 / 5)
    assert f1_score("甲乙", ["丙丁", "乙"]) == pytest.approx(2 / 3)
    assert f1_score("甲", ["乙"]) == 0
    assert f1_score("", ["乙"]) == 0
    assert f1_score("乙", []) == 0


def test_contains_keeps_numbers_whole():
    assert contains_answer("签约项目7个", ["7个"]) == 1
    assert contains_answer("签约项目17个", ["7个"]) == 0
    assert contains_answer("10.5%", ["10"]) == 0
    assert contains_answer("50、100亿", ["100亿"]) == 1
    assert contains_answer("1,300家", ["300家"], folded=True) == 0
    assert contains_answer("南昌綜保區", ["综保区"]) == 0
    assert contains_answer("南昌綜保區", ["综保区"], folded=True) == 1
    assert contains_answer("任何", ["，"]) == 0


def test_rouge_l_is_over_a_subsequence():
    assert rouge_l("甲乙丙", ["甲丙"]) == pytest.approx(2 * 2 / 5)
    assert rouge_l("丙甲", ["甲丙"]) == pytest.approx(2 * 1 / 4)
    assert rouge_l("甲", ["乙", "甲"]) == 1
    assert rouge_l("", ["甲"]) == 0


@pytest.mark.parametrize(
    ("prediction", "answers", "right"),
    [
        ("《突破210亿元》", ["突破210亿元"], 1),
        ("大约210亿元", ["210亿元"], 1),  # 7 of at most 12.5 characters
        ("2021年南昌综保区总额是210亿元", ["210亿元"], 0),  # 18 characters, F1 6/15
        ("2021年南昌综保区总额是210亿元", ["210亿元", "总额是210亿元"], 1),  # F1 .67 with the second
        ("17个", ["7"], 0),
        ("17", ["7个"], 0),
        ("2018年5月", ["2017年5月"], 0),  # F1 .75, another number
        ("5月1日", ["2021年5月1日"], 1),  # F1 .8, no other number
        ("第二届代表大会", ["第三届代表大会"], 0),
        ("", ["甲"], 0),
    ],
)
def test_is_right(prediction, answers, right):
    assert is_right(prediction, answers) == right


def test_locate_ignores_whitespace():
    assert locate("甲 乙\n丙甲乙", "甲乙") == [(0, 3), (5, 7)]
    assert locate("甲乙", "丙") == []
    assert locate("甲乙", " ") == []


def rank(hits, answers=("突破210亿元",), docs=("a.txt",), evidence=EVIDENCE):
    return evidence_rank(hits, docs, evidence, answers, DOCS.get)


def test_evidence_rank_wants_the_whole_evidence_or_the_part_with_the_answer():
    assert rank([hit(0, 5), hit(A, B), hit(0, len(TEXT))]) == 2
    assert rank([hit(0, 5), hit(0, len(TEXT))]) == 2
    cut = TEXT.index("同比")
    assert rank([hit(cut, B), hit(0, cut)]) == 2
    assert rank([hit(cut, B), hit(0, cut)], answers=("109%", "突破210亿元")) == 1
    assert rank([hit(cut, B), hit(0, cut)], answers=("两百亿", "109%")) == 1  # the first that the evidence holds
    assert rank([hit(0, A + 6), hit(B, len(TEXT))]) is None
    assert rank([hit(0, cut)], answers=("两百亿",)) is None  # a part, and no telling which part matters
    assert rank([]) is None


def test_evidence_rank_gets_worse_when_damaged():
    assert rank([hit(A, B)]) == 1
    assert rank([hit(0, 20, doc="b.txt")]) is None  # the same words in another document
    assert rank([hit(0, 20, doc="b.txt")], docs=("a.txt", "b.txt")) == 1
    assert rank([hit(A, A + 6)]) is None
    assert rank([hit(A, B)], evidence=EVIDENCE.replace("总", "")) is None
    moved = hit(A, B)
    assert rank([replace(moved, passage=replace(moved.passage, start=B, end=len(TEXT)))]) is None  # its text alone proves nothing


def test_recall_mrr_ndcg():
    ranks = [1, 3, None, 8]
    assert recall_at(ranks, 1) == 0.25
    assert recall_at(ranks, 3) == 0.5
    assert recall_at(ranks, 10) == 0.75
    assert mrr(ranks) == pytest.approx((1 + 1 / 3 + 1 / 8) / 4)
    assert ndcg(ranks, 5) == pytest.approx((1 + 1 / 2) / 4)
    assert ndcg(ranks) == pytest.approx((1 + 1 / 2 + 1 / math.log2(9)) / 4)
    assert recall_at([], 5) == mrr([]) == ndcg([]) == 0


def test_citation_precision_and_recall():
    good, bad = cited().citations[0], replace(cited().citations[0], quote="签约项目32个")
    gold = (("a.txt",), EVIDENCE, ("突破210亿元",))
    assert citation_precision([good], *gold) == citation_recall([good], *gold) == 1
    assert citation_precision([good, bad, bad], *gold) == pytest.approx(1 / 3)
    assert citation_recall([bad, good], *gold) == 1
    assert citation_precision([bad], *gold) == citation_recall([bad], *gold) == citation_recall([], *gold) == citation_precision([], *gold) == 0
    assert citation_precision([replace(good, doc_id="b.txt")], *gold) == 0
    assert citation_precision([replace(good, quote=EVIDENCE[:-1])], ("a.txt",), EVIDENCE, ("没有的",)) == 0
    assert citation_precision([replace(good, quote="前" + EVIDENCE)], ("a.txt",), EVIDENCE, ("没有的",)) == 1
    assert citation_precision([replace(good, quote="共17个")], ("a.txt",), EVIDENCE, ("7个",)) == 0


def test_offsets_valid():
    answer = cited()
    assert offsets_valid(answer, DOCS.get) == 1
    assert offsets_valid(Answer("问", "问", "没有", (), answer.hits, 0.1, True, 0.1), DOCS.get) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"start": 0}, {"end": 3}, {"quote": "总"}, {"doc_id": "b.txt"}, {"doc_id": "没有.txt"}, {"answer_start": A}, {"answer_end": B},
        {"start": -1, "end": 10**6}, {"start": A + 1, "end": B + 1},
    ],
)
def test_offsets_valid_finds_every_damage_to_a_citation(change):
    answer = cited()
    assert offsets_valid(replace(answer, citations=(replace(answer.citations[0], **change),)), DOCS.get) == 0


def test_offsets_valid_finds_other_damage():
    answer = cited()
    assert offsets_valid(replace(answer, text="突破20亿元"), DOCS.get) == 0
    assert offsets_valid(replace(answer, refused=True), DOCS.get) == 0
    assert offsets_valid(replace(answer, citations=()), DOCS.get) == 0
    one = answer.hits[0]
    assert offsets_valid(replace(answer, hits=(replace(one, passage=replace(one.passage, start=1)),)), DOCS.get) == 0
    outside = replace(answer.citations[0], end=A + 5, quote=TEXT[A : A + 5])  # a true quote, but the answer is beyond it
    assert offsets_valid(replace(answer, citations=(outside,)), DOCS.get) == 0


def test_bootstrap_interval():
    assert bootstrap_interval([0.5] * 7) == (0.5, 0.5)
    values = [0.0] * 50 + [1.0] * 50
    low, high = bootstrap_interval(values, seed=1)
    assert 0.38 <= low <= 0.43 and 0.57 <= high <= 0.62  # 0.5 ± 1.96 · 0.05
    assert bootstrap_interval(values, seed=1) == (low, high)
    with pytest.raises(ValueError):
        bootstrap_interval([])


def test_mcnemar():
    assert mcnemar([1, 0, 1], [1, 0, 1]) == 1
    assert mcnemar([0] * 5, [1] * 5) == pytest.approx(2 / 32)
    assert mcnemar([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]) == pytest.approx(2 * (1 + 9 + 36) / 512)
    assert mcnemar([1] * 3000, [0] * 3000) < 1e-300
    with pytest.raises(ValueError):
        mcnemar([0.5], [1])
    with pytest.raises(ValueError):
        mcnemar([0, 1], [1])


def test_paired_bootstrap():
    difference, low, high, p = paired_bootstrap([0.2, 0.4, 0.6, 0.8] * 10, [0.3, 0.6, 0.7, 1.0] * 10)
    assert difference == pytest.approx(0.15) and 0.12 < low < 0.15 < high < 0.18 and p < 0.001
    assert paired_bootstrap([1, 0, 1], [1, 0, 1]) == (0, 0, 0, 1)
    assert paired_bootstrap([0, 1] * 20, [1, 0] * 20)[3] > 0.5
    a, b = [0, 0, 1, 0, 1, 1] * 5, [1, 0, 1, 1, 1, 0] * 5
    assert paired_bootstrap(a, b)[3] == pytest.approx(paired_bootstrap(b, a)[3], abs=0.02)


def test_risk_coverage():
    curve, area = risk_coverage([0.5, 0.9, 0.7, 0.6], [0, 1, 1, 1])
    assert curve == [(0.25, 0), (0.5, 0), (0.75, 0), (1, 0.25)]
    assert area == pytest.approx(0.25 / 4)
    assert risk_coverage([0.9, 0.5, 0.7, 0.6], [0, 1, 1, 1])[1] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)  # sure where it is wrong
    assert risk_coverage([0.5, 0.5], [1, 0], total=4) == ([(0.5, 0.5)], 0.5)
    assert risk_coverage([], []) == ([], 0)


def test_area_difference():
    right = [1.0, 0.0] * 40
    good, bad = right, [1 - r for r in right]
    difference, low, high, p = area_difference(bad, good, right)
    assert difference == pytest.approx(risk_coverage(good, right)[1] - risk_coverage(bad, right)[1]) and difference < -0.4
    assert low <= difference <= high < 0 and p < 0.01
    assert area_difference(good, bad, right)[0] == pytest.approx(-difference)
    assert area_difference(good, good, right) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="at least one"):
        area_difference([], [], [])


@pytest.mark.parametrize("score", [exact_match, f1_score, rouge_l, contains_answer])
def test_a_dropped_character_scores_lower(score):
    assert score("突破210亿元", ["突破210亿元"]) == 1
    assert score("突210亿元", ["突破210亿元"]) < 1
    assert score("突破21亿元", ["突破210亿元"]) < 1
