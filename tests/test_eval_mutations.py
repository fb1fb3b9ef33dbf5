"""The yardstick as a whole: from a perfect run, each damage moves the scores that it should, by a hand-worked amount, and no other."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from eval.harness import evaluate
from eval.types import GoldItem
from index.types import Document, Hit, Manifest, Passage
from qa.types import Answer, Citation

TEXTS = {"a.txt": "甲区今年出口10亿元。乙区今年出口20亿元。", "b.txt": "丙区种了30棵树。丁区种了40棵树。", "c.txt": "抄来的：甲区今年出口10亿元。"}
ASKED = {"g1": ("a.txt", "甲区今年出口10亿元。", "10亿元"), "g2": ("a.txt", "乙区今年出口20亿元。", "20亿元")}
ASKED |= {"g3": ("b.txt", "丙区种了30棵树。", "30棵"), "g4": ("b.txt", "丁区种了40棵树。", "40棵")}
GOLD = [GoldItem(id, f"{id}？", (answer,), (doc,), evidence, "number", True) for id, (doc, evidence, answer) in ASKED.items()]
GOLD += [GoldItem(id, f"{id}？", (), (), "", "unanswerable", False) for id in ("u1", "u2")]


def passage(doc: str, sentence: str) -> Passage:
    at = TEXTS[doc].index(sentence)
    return Passage(f"{doc}#{at}", doc, doc, "", sentence, at, at + len(sentence))


PASSAGES = [passage(doc, sentence) for doc, sentence, _ in ASKED.values()]


def ranked(passages):
    return tuple(Hit(p, 1 / rank, rank) for rank, p in enumerate(passages, 1))


def quote(doc: str, sentence: str, answer: str) -> Citation:
    p = passage(doc, sentence)
    at = p.start + sentence.index(answer)
    return Citation(1, doc, doc, p.start, p.end, sentence, at, at + len(answer))


def perfect(id: str) -> Answer:
    """The right answer with the right sentence cited, its passage first; a refusal where there is no answer."""
    if id not in ASKED:
        return Answer(id, id, "没有找到。", (), ranked(PASSAGES), 0.1, True, 0.01)
    doc, sentence, answer = ASKED[id]
    mine = passage(doc, sentence)
    return Answer(id, id, answer, (quote(doc, sentence, answer),), ranked([mine, *(p for p in PASSAGES if p != mine)]), 0.9, False, 0.01)


class Fake:
    """An assistant whose perfect answers a ``change(id, answer)`` may damage."""

    def __init__(self, change):
        documents = {id: Document(id, id, text, id) for id, text in TEXTS.items()}
        manifest = Manifest(1, "embedder:1", 4, 320, 0, dict.fromkeys(TEXTS, "0"), 4, {"vectors": "1"})
        self.store = SimpleNamespace(documents=documents, passages=PASSAGES, manifest=manifest)
        self.answerer, self.threshold, self.change = SimpleNamespace(name="fake:1"), 0.35, change

    def document(self, doc_id):
        return self.store.documents[doc_id]

    def ask(self, question, history=(), rewrite=True):
        return self.change(question[:-1], perfect(question[:-1]))


def scores(change) -> dict[str, float]:
    report = evaluate(Fake(change), GOLD)
    found = {name: value["mean"] for name, value in report.metrics["overall"].items() if isinstance(value, dict) and "mean" in value}
    return found | {"risk": report.metrics["risk_coverage"]["area"]}


def answered(change):
    """``change(answer)`` on the four answers that are given."""
    return lambda id, a: a if a.refused else change(a)


def first(change):
    """``change(answer)`` on the first of them."""
    return lambda id, a: change(a) if id == "g1" else a


def cited(a: Answer, **change) -> Answer:
    return replace(a, citations=(replace(a.citations[0], **change),))


def refused(a: Answer, **change) -> Answer:
    return replace(a, **{"text": "没有找到。", "refused": True, "citations": (), "confidence": 0.1} | change)


# Four answers with confidence 0.9, all right, then two questions without one: (4 · 0 + 2 · 2/6) / 6.
BASE = dict.fromkeys(("exact", "f1", "contains", "rouge_l", "right", "candidate_right", "refused_right", "true_refusal"), 1.0)
BASE |= dict.fromkeys(("document_cited", "citation_hit", "citation_precision", "offsets_valid"), 1.0)
BASE |= dict.fromkeys(("recall@1", "recall@3", "recall@5", "recall@10", "mrr", "ndcg@10"), 1.0) | {"false_refusal": 0.0, "risk": 2 / 18}
ONE_WRONG = {"risk": (4 * 1 / 4 + 2 * 3 / 6) / 6}  # one of the four
UNTOUCHED: dict[str, float | None] = {}
ALL_REFUSED = dict.fromkeys(("exact", "f1", "contains", "rouge_l", "document_cited", "citation_hit"), 0.0)
ALL_REFUSED |= {"citation_precision": None, "right": 2 / 6, "refused_right": 2 / 6, "false_refusal": 1.0}
WRONG_NUMBER = {"exact": 3 / 4, "contains": 3 / 4, "right": 5 / 6, "candidate_right": 3 / 4} | ONE_WRONG
FROM_C, FROM_B = quote("c.txt", "抄来的：甲区今年出口10亿元。", "10亿元"), quote("a.txt", "乙区今年出口20亿元。", "20亿元")

MUTATIONS = {
    "a citation shifted by one": (answered(lambda a: cited(a, start=a.citations[0].start + 1, end=a.citations[0].end + 1)), {"offsets_valid": 2 / 6}),
    "a citation one longer": (first(lambda a: cited(a, end=a.citations[0].end + 1)), {"offsets_valid": 5 / 6}),
    "the answer's place shifted by one": (answered(lambda a: cited(a, answer_start=a.citations[0].answer_start - 1, answer_end=a.citations[0].answer_end - 1)), {"offsets_valid": 2 / 6}),
    "a hit's text is not the document's": (answered(lambda a: replace(a, hits=(replace(a.hits[0], passage=replace(a.hits[0].passage, text="别的")), *a.hits[1:]))), {"offsets_valid": 2 / 6}),
    "no citation": (first(lambda a: replace(a, citations=())), {"document_cited": 3 / 4, "citation_hit": 3 / 4, "offsets_valid": 5 / 6}),
    "another document's name": (first(lambda a: cited(a, doc_id="b.txt")), {"document_cited": 3 / 4, "citation_hit": 3 / 4, "citation_precision": 3 / 4, "offsets_valid": 5 / 6}),
    "the same words of another document": (first(lambda a: replace(a, citations=(FROM_C,))), {"document_cited": 3 / 4, "citation_hit": 3 / 4, "citation_precision": 3 / 4}),
    "a wrong citation twice beside the right one": (first(lambda a: replace(a, citations=(*a.citations, FROM_C, FROM_C))), {"citation_precision": (3 + 1 / 3) / 4}),
    "the right citation twice": (first(lambda a: replace(a, citations=a.citations * 2)), UNTOUCHED),
    # 0亿元 for 10亿元: segments 亿, 元 of 3 and 3; characters 0亿元 of 3 and 4
    "the first character dropped": (first(lambda a: replace(cited(a, answer_start=a.citations[0].answer_start + 1), text="0亿元", parts=())), WRONG_NUMBER | {"f1": (3 + 4 / 6) / 4, "rouge_l": (3 + 6 / 7) / 4}),
    # 10亿 for 10亿元: segments 10, 亿 of 2 and 3; still right by the lenient rule
    "the last character dropped": (
        first(lambda a: replace(cited(a, answer_end=a.citations[0].answer_end - 1), text="10亿", parts=())),
        {"exact": 3 / 4, "contains": 3 / 4, "f1": (3 + 4 / 5) / 4, "rouge_l": (3 + 6 / 7) / 4},
    ),
    # 20亿元 for 10亿元, truly cited
    "another number": (
        first(lambda a: replace(a, text="20亿元", parts=(), citations=(FROM_B,))),
        WRONG_NUMBER | {"f1": (3 + 4 / 6) / 4, "rouge_l": (3 + 6 / 8) / 4, "citation_hit": 3 / 4, "citation_precision": 3 / 4},
    ),
    # 甲区今年出口10亿元 for 10亿元: segments 3 of 9 and 3, characters 4 of 10 and 4; right, for it is just 2.5 times as long
    "a whole clause for an answer": (
        first(lambda a: replace(cited(a, answer_start=0, answer_end=10), text="甲区今年出口10亿元", parts=())),
        {"exact": 3 / 4, "f1": (3 + 6 / 12) / 4, "rouge_l": (3 + 8 / 14) / 4},
    ),
    "all refused": (answered(refused), ALL_REFUSED | {"candidate_right": 0.0, "risk": 1.0}),
    "all refused, the right answers withheld": (answered(lambda a: refused(a, withheld=a.citations[0], confidence=0.3)), ALL_REFUSED),
    "all refused and yet cited": (answered(lambda a: refused(a, citations=a.citations)), ALL_REFUSED | {"document_cited": 1.0, "citation_hit": 1.0, "citation_precision": 1.0, "offsets_valid": 2 / 6, "candidate_right": 0.0, "risk": 1.0}),
    "all answered, unsure where wrong": (lambda id, a: replace(perfect("g1"), confidence=0.2) if a.refused else a, {"right": 4 / 6, "refused_right": 4 / 6, "true_refusal": 0.0}),
    "all answered, surer where wrong": (
        lambda id, a: replace(perfect("g1"), confidence=0.95) if a.refused else a,
        {"right": 4 / 6, "refused_right": 4 / 6, "true_refusal": 0.0, "risk": (2 * 1 + 4 * 2 / 6) / 6},
    ),
    "the first two hits swapped": (
        answered(lambda a: replace(a, hits=ranked([h.passage for h in (a.hits[1], a.hits[0], *a.hits[2:])]))),
        {"recall@1": 0.0, "mrr": 1 / 2, "ndcg@10": 1 / math.log2(3)},
    ),
    "the hits backwards": (
        answered(lambda a: replace(a, hits=ranked([h.passage for h in a.hits[::-1]]))),
        {"recall@1": 0.0, "recall@3": 0.0, "mrr": 1 / 4, "ndcg@10": 1 / math.log2(5)},
    ),
    "the right passage not found": (
        first(lambda a: replace(a, hits=a.hits[1:])),
        dict.fromkeys(("recall@1", "recall@3", "recall@5", "recall@10", "mrr", "ndcg@10"), 3 / 4),
    ),
    "less sure, all alike": (answered(lambda a: replace(a, confidence=0.5)), UNTOUCHED),
    "slower": (lambda id, a: replace(a, seconds=9.0), UNTOUCHED),
}


def test_the_base_is_perfect():
    assert scores(lambda id, a: a) == pytest.approx(BASE)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_moves_its_scores_and_no_other(name):
    change, moved = MUTATIONS[name]
    expected = {key: value for key, value in (BASE | moved).items() if value is not None}
    assert scores(change) == pytest.approx(expected)


def test_a_citation_that_runs_beyond_its_document_is_found():
    assert scores(lambda id, a: cited(a, end=a.citations[0].end + 1) if id == "g2" else a)["offsets_valid"] == pytest.approx(5 / 6)


def test_every_score_is_moved_by_some_mutation():
    moved = {key for _, scores in MUTATIONS.values() for key in scores}
    never = set(BASE) - moved
    assert not never
