"""The page of a report: what it says, and that nothing a report says can run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.__main__ import main
from eval.charts import bins
from eval.report import render, save_page
from eval.types import GoldError, Report

ROOT = Path(__file__).resolve().parent.parent
EVIL = """<script>window.hacked=1</script></style><img src=x onerror="hacked()">'"` {{ 7*7 }} {% raw %}\u2028-->]]><svg onload=hacked()>"""
VOID = {"meta", "input", "img", "br", "link", "path", "rect", "use"}


class Page(HTMLParser):
    """The elements of a page as ``(tag, attributes)``, the text of the items, and what was not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "article":
            self.texts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] and "article" in self.open:
            self.texts[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def citation(quote, answer):
    at = quote.index(answer)
    return {"marker": 1, "doc_id": "a.txt", "title": "题", "start": 100, "end": 100 + len(quote), "quote": quote, "answer_start": 100 + at, "answer_end": 100 + at + len(answer)}


def item(id="i1", **change):
    row = {
        "id": id, "question": "甲区出口多少？", "type": "number", "answerable": True, "doc": ["a.txt"], "gold": ["10亿元"], "answer": "10亿元", "rewritten": "甲区出口多少？",
        "refused": False, "confidence": 0.9, "citations": [citation("甲区今年出口10亿元。", "10亿元")], "withheld": None, "hits": [], "seconds": 0.25,
        "evidence": "甲区今年出口10亿元", "history": [], "scores": {"right": 1.0, "f1": 1.0, "candidate_right": 1.0},
    }
    return row | change


REFUSED = {
    "answer": "文档里没有找到答案。", "refused": True, "confidence": 0.2, "citations": [], "withheld": {"text": "20亿元", "citation": citation("乙区今年出口20亿元。", "20亿元")},
    "scores": {"right": 0.0, "f1": 0.0, "candidate_right": 0.0},
}
MEANS = {"right": {"mean": 0.6543, "low": 0.5432, "high": 0.7654, "n": 3}, "f1": {"mean": 0.1239, "low": 0.0, "high": 1.0, "n": 2}}
GROUP = MEANS | {"seconds": {"p50": 0.25, "p95": 1.5}, "items": 3, "errors": 0}


def report(*items, **metrics):
    metrics = metrics or {
        "overall": GROUP, "by_type": {"number": GROUP}, "by_document": {"a.txt": GROUP},
        "risk_coverage": {"area": 0.321, "curve": [[0.5, 0.0], [1.0, 0.5]], "point": {"coverage": 0.5, "risk": 0.0}},
    }
    return Report(metrics, items, {"gold": "g.jsonl", "gold_sha256": "ab" * 32, "threshold": 0.132}, {"answerer": "fake:1"}, "c0ffee" * 7, 0, 12.0, {"python": "3.11"})


def shown(page):
    """The page's text, without style and script."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S))


def test_hostile_text_stays_text():
    bad = item(EVIL, question=EVIL, type=EVIL, doc=[EVIL], gold=[EVIL], answer=EVIL, rewritten=EVIL + "?", evidence=EVIL * 2, history=[[EVIL, EVIL]], error=EVIL)
    bad["citations"] = [citation(f"前{EVIL}后", EVIL) | {"title": EVIL, "doc_id": EVIL}]
    bad["scores"] = {"right": 1.0, EVIL: 0.5}
    group = {EVIL: MEANS["right"], "items": 1}
    hostile = Report({"overall": group, EVIL: {EVIL: group}}, (bad,), {EVIL: EVIL}, {EVIL: EVIL}, EVIL, 0, 1.0, {EVIL: EVIL})
    text = render(hostile, EVIL)
    page, clean = Page(text), Page(render(report(item()), "x"))
    assert len(page.all("script")) == len(page.all("style")) == 1 and not page.all("img") and not page.open
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in clean.elements} | {"table", "dt", "dd", "details", "summary"}
    assert not [attrs for _, attrs in page.elements for name in attrs if name.startswith("on") or name == "style"]
    for tag in ("style", "script"):  # static: no data ever gets there
        assert text.split(f"<{tag}>")[1].split(f"</{tag}>")[0] == render(report(), "y").split(f"<{tag}>")[1].split(f"</{tag}>")[0]
    assert page.texts[0].count(EVIL) >= 8 and "49" not in shown(text).replace("{{ 7*7 }}", "")
    assert page.all("article")[0]["data-type"] == EVIL


def test_the_page_loads_nothing():
    text = render(report(item(question="见 http://example.org/x")), "x")
    page = Page(text)
    loads = [attrs[name] for _, attrs in page.elements for name in ("src", "href", "data", "srcset", "action") if name in attrs]
    assert loads and all(target.startswith("#") for target in loads)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)
    assert text.count("http://") == 1  # the one in the question
    policy = next(attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and policy.count("'sha256-") == 2


def test_every_item_is_there_with_its_evidence_marked():
    items = [item(f"i{n}", question=f"第{n}问？") for n in range(300)] + [item("last", **REFUSED)]
    text = render(report(*items), "x")
    page = Page(text)
    assert len(page.all("article")) == 301 and all(f"第{n}问？" in page.texts[n] for n in range(300))
    assert "甲区今年出口<mark>10亿元</mark>。</blockquote>" in text
    held = text[text.rindex("<article") :]
    assert "没有给出的候选" in held and "乙区今年出口<mark>20亿元</mark>。" in held and "甲区今年出口<mark>10亿元</mark></blockquote>" in held  # the gold evidence
    assert "误拒" in held and 'data-right="0" data-refused="1"' in held


def test_the_gold_evidence_is_shown_once():
    text = render(report(item(evidence="甲区今年\n出口10亿元")), "x")
    assert text.count("<blockquote") == 1 and "引文，含标准出处" in text
    assert render(report(item(evidence="别处的10亿元")), "x").count("<blockquote") == 2


def test_numbers_are_the_reports():
    text = render(report(item(), item("i2", **REFUSED)), "some-run")
    words = shown(text)
    for value in ("0.654", "0.543–0.765", "0.124", "0.000–1.000", "0.25 s", "p95 1.50 s", "0.321", "50.0%", "0.132", "g.jsonl", "abababababab", "c0ffeec0ffee", "fake:1", "some-run"):
        assert value in words, value
    assert "旧报告" not in words
    assert "把握 0.90" in words and "confidence 0.20" in words
    assert [int(n) for n in re.findall(r"<i>(\d+)</i>", text)] == [2, 1, 1, 1]  # all, right, wrong, refused


def test_bins_by_hand():
    rows, error = bins([(0.05, 0), (0.11, 1), (0.19, 0), (0.95, 1), (1.0, 1)])
    assert rows == [(0.05, 0, 1), (pytest.approx(0.15), 0.5, 2), (pytest.approx(0.975), 1, 2)]
    assert error == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.025) / 5)
    assert bins([]) == ([], 0)


def test_reports_of_other_kinds():
    row = {"id": "r1", "question": "问？", "gold": ["答"], "answer": "答", "refused": None, "seconds": 0.1, "scores": {"exact": 1.0, "f1": 1.0, "refused_right": None}}
    text = render(report(row, row | {"id": "r2", "refused": True, "scores": {"exact": 0.0, "f1": 0.5}}, overall=GROUP), "reader")
    assert "一致" in text and "判为无答案" in text and 'id="risk"' not in text and 'id="reliability"' not in text and 'id="latency"' in text
    systems = {f"{name}:recall@5": {"mean": mean, "low": 0.0, "high": 1.0, "n": 9} for name, mean in (("dense", 0.111), ("lexical", 0.222), ("reranked", 0.333))}
    found = {"id": "s1", "question": "问？", "gold": ["答"], "scores": {"reranked:recall@5": 1.0, "dense:recall@5": 0.0}}
    difference = {"metric": "recall@5", "against": "dense", "difference": 0.222, "low": 0.1, "high": 0.3, "p": 0.012, "n": 9}
    text = render(report(found, overall={**systems, "items": 9}, differences=[difference], index={"passages": 5}), "retrieval")
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r'<tr><th scope="row">.*?</tr>', text)]
    assert [(row[0], row[2], row[3]) for row in rows[:3]] == [(n, "9", v) for n, v in (("dense", "0.111"), ("lexical", "0.222"), ("reranked", "0.333"))]
    assert rows[3] == ["recall@5", "dense", "0.222", "0.1", "0.3", "0.012", "9"]
    assert "reranked · 召回@5" in text and "前五找到" in text and "<figure" not in text
    nested = render(report(found, overall={"dense": GROUP, "reranked": GROUP}), "x")
    assert "reranked · 答对（宽松）" in nested and nested.count('<th scope="row">') == 2


def test_a_bare_item_and_an_empty_report():
    assert "i9" in render(report({"id": "i9", "scores": {}}, overall={}), "x")
    assert Page(render(report(overall={}), "x")).all("article") == []


@pytest.mark.parametrize("bad", [report("text"), report({"id": "x"}), report(item(), overall={"right": {"mean": "much"}}), report(item(citations=[{}])), report(item(scores=3))])
def test_what_is_no_report_is_told(bad):
    with pytest.raises(GoldError, match="r1 holds metrics or items that no `python -m eval` wrote"):
        render(bad, "r1")


def test_report_command(tmp_path, capsys):
    path = tmp_path / "r.json"
    report(item()).save(path)
    assert main(["report", str(path)]) == 0 and "甲区出口多少？" in (tmp_path / "r.html").read_text("utf-8")
    assert main(["report", str(path), "--out", str(tmp_path / "new" / "p.html")]) == 0 and "<title>p · " in (tmp_path / "new" / "p.html").read_text("utf-8")
    assert not list(tmp_path.rglob("*.tmp"))
    save_page(report(item(question="孤\ud800字")), tmp_path / "s.html")
    assert "孤?字" in (tmp_path / "s.html").read_text("utf-8")
    capsys.readouterr()
    for arguments, why in (([str(tmp_path / "none.json")], "No such file"), ([str(path), "--out", str(tmp_path)], "is a folder"), ([str(path), "--out", str(path)], "both the report and its page")):
        assert main(["report", *arguments]) == 1
        assert why in capsys.readouterr().err
    read = tmp_path / "b.jsonl"
    read.write_text('{"id": "q1", "context": "甲区出口10亿元。", "question": "甲区出口多少？", "answers": ["10亿元"]}', "utf-8")
    assert main(["reader", str(read), "--baseline", "first", "--html", str(tmp_path / "b.html")]) == 0
    assert "甲区出口10亿元" in (tmp_path / "b.html").read_text("utf-8") and "b.jsonl" in (tmp_path / "b.html").read_text("utf-8")
    assert main(["reader", str(read), "--baseline", "first", "--out", str(path), "--html", str(path)]) == 1
    path.write_text("{}", "utf-8")
    assert main(["report", str(path)]) == 1 and "is no report" in capsys.readouterr().err


def test_an_older_report_says_so():
    old = item()
    del old["withheld"]
    assert shown(render(report(old), "x")).count("旧报告：只有给出的回答") == 2


@pytest.mark.parametrize("seconds", [[0.0, 0.0], [0.001] * 50 + [9.0], [0.2, 30.0], [3.0]])
def test_any_times_make_a_page(seconds):
    text = render(report(*(item(f"i{n}", seconds=s) for n, s in enumerate(seconds))), "x")
    assert ('id="latency"' in text) == (len(seconds) > 1) and "nan" not in text


@pytest.mark.parametrize("path", sorted((ROOT / "eval/reports").glob("*.json")), ids=lambda path: path.stem)
def test_the_kept_reports_render(path):
    kept = Report.open(path)
    page = Page(render(kept, path.stem))
    assert len(page.all("article")) == len(kept.items) and not page.open
