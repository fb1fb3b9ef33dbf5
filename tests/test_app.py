"""The page's HTML: what is highlighted, what is escaped, and how a turn of the chat grows."""

import re
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

import app
from index.types import Document, Hit, Passage
from qa import EVERYWHERE, Answer, Assistant, Citation, QuestionError, Scope, ScopeError
from qa.types import Part

ROOT = Path(__file__).resolve().parent.parent
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&${alert(3)}{{value}}'
TEXT = "第一章 概况\n开头一句。甲园区2021年进出口总额突破210亿元，同比增长109%。结尾一句。\n另一段。"
SENTENCE = "甲园区2021年进出口总额突破210亿元，同比增长109%。"
SPAN = "210亿元"


class FakeAssistant(Assistant):
    """Documents by id, and an answer (or an exception) for every question."""

    def __init__(self, documents: list[Document], reply: Answer | Exception):
        self.documents, self.reply = {d.id: d for d in documents}, reply
        self.heard: list[tuple[str, Sequence[tuple[str, str]]]] = []
        self.rewrites: list[bool] = []
        self.completed: list[bool] = []
        self.scopes: list[Scope] = []

    def document(self, doc_id: str) -> Document:
        return self.documents[doc_id]

    def names(self) -> list[str]:
        return list(self.documents)

    def stream(
        self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True, scope: Scope = EVERYWHERE, *, complete: bool = False
    ) -> Generator[str, None, Answer]:
        self.heard.append((question, history))
        self.scopes.append(scope)
        self.rewrites.append(rewrite)
        self.completed.append(complete)
        if isinstance(self.reply, Exception):
            raise self.reply
        yield self.reply.text[:2]
        yield self.reply.text[2:]
        return self.reply


def case(text: str = TEXT, doc_id: str = "a/甲.txt", title: str = "甲园区报告", date: str = "2022-01-17") -> tuple[Answer, FakeAssistant]:
    """An answer with one citation of SENTENCE in ``text``, and the assistant that gives it."""
    document = Document(doc_id, title, text, "/secret/place/甲.txt", {"date": date} if date else {})
    passage = Passage("p", doc_id, title, "第一章 概况", text[: text.rfind("\n")], 0, text.rfind("\n"))
    start, at = text.index(SENTENCE), text.index(SPAN)
    citation = Citation(1, doc_id, title, start, start + len(SENTENCE), SENTENCE, at, at + len(SPAN))
    answer = Answer("进出口总额？", "甲园区2021年进出口总额？", SPAN, (citation,), (Hit(passage, 0.9, 1),), 0.87, False, 0.314)
    return answer, FakeAssistant([document], answer)


def refusal(**changes: str) -> tuple[Answer, FakeAssistant]:
    answer, assistant = case(**changes)
    return replace(answer, text="文档里没有找到答案。", citations=(), refused=True), assistant


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def inside(tag: str, html: str) -> list[str]:
    return [plain(m) for m in re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.S)]


def test_highlight_is_exactly_the_cited_sentence_and_the_answer():
    answer, assistant = case()
    html = app.evidence_html(answer.citations[0], answer, assistant)
    assert inside("mark", html) == [SENTENCE]
    assert re.findall(r"<mark>.*<strong>(.*?)</strong>.*</mark>", html) == [SPAN]
    assert inside("blockquote", html) == ["开头一句。" + SENTENCE + "结尾一句。"]  # the passage, its heading shown above it
    for shown in ("a/甲.txt", "甲园区报告", "第一章 概况", "发布于 2022-01-17"):
        assert shown in plain(html)
    assert "/secret/place" not in html


def test_evidence_without_date_heading_or_hit():
    answer, assistant = case(date="")
    html = app.evidence_html(answer.citations[0], replace(answer, hits=()), assistant)
    assert inside("mark", html) == [SENTENCE]
    assert inside("blockquote", html) == ["开头一句。" + SENTENCE + "结尾一句。"]  # the line around it
    assert "发布于" not in html and "jd-path" not in html


def test_quote_over_two_lines_at_the_very_edges():
    text = "甲。\n乙。"
    answer, assistant = case()
    assistant.documents["d"] = Document("d", "标题", text, "d")
    citation = Citation(1, "d", "标题", 0, len(text), text, 0, len(text))
    html = app.evidence_html(citation, replace(answer, hits=()), assistant)
    assert inside("mark", html) == inside("strong", html) == inside("blockquote", html) == [text]


def test_answer_has_a_marker_that_leads_to_its_card():
    answer, assistant = case()
    html = app.answer_html(answer, assistant, app.View("zh", 7))
    (target,) = re.findall(r'<a class="jd-cite" href="#([^"]+)"[^>]*>\[1\]</a>', html)
    assert f'id="{target}"' in html and "7" in target
    assert "按“甲园区2021年进出口总额？”查找" in html
    assert "87%" in html and "0.31 秒" in html


def test_each_piece_of_an_answer_has_its_own_markers():
    answer, assistant = case()
    first, text = answer.citations[0], assistant.document("a/甲.txt").text
    second = replace(first, marker=2)
    third = Citation(3, first.doc_id, first.title, 0, 3, text[0:3], 0, 2)
    parts = (Part("是。"), Part(SPAN, (1, 2)), Part("；"), Part(text[0:2], (3,)))
    whole = replace(answer, text="".join(p.text for p in parts), citations=(first, second, third), parts=parts, dates=(("今年", "2022年"),))
    html = app.answer_html(whole, assistant)
    assert plain(re.findall(r'<p class="jd-text"[^>]*>(.*?)</p>', html, re.S)[0]) == f"是。{SPAN}[1][2]；{text[0:2]}[3]"
    assert html.count("<article") == 3 and "“今年”指2022年" in plain(html)


def test_a_question_can_be_asked_as_typed():
    answer, assistant = case()
    assert [t.answer for t in app.converse(assistant, "那呢？", (), rewrite=False)][-1] == answer
    assert assistant.rewrites == [False]


def test_unchanged_question_is_not_repeated():
    answer, assistant = case()
    assert "查找" not in app.answer_html(replace(answer, rewritten=answer.question), assistant)


def test_refusal_has_a_notice_and_no_marker():
    answer, assistant = refusal()
    html = app.answer_html(answer, assistant)
    assert html == app.refusal_html(answer, assistant)
    assert "文档里没有找到答案" in html and "已查找：“甲园区2021年进出口总额？”" in html
    assert "<details><summary>最接近的 1 段" in html and SENTENCE in plain(html)
    assert "jd-cite" not in html and "[1]" not in html and "<mark" not in html and "jd-card" not in html


def test_what_a_free_model_said_without_proof_is_marked_and_escaped():
    answer, assistant = refusal()
    html = app.refusal_html(replace(answer, unsupported="<b>九百亿元</b>"), assistant)
    assert "<b>" not in html and "<b>九百亿元</b>" in plain(html) and "不能当作答案" in html
    assert "不能当作答案" not in app.refusal_html(answer, assistant)


def test_refusal_shows_three_passages_at_most_and_none_where_none_was_found():
    answer, assistant = refusal()
    assert app.refusal_html(replace(answer, hits=answer.hits * 5), assistant).count("<li") == 3
    assert "<details" not in app.refusal_html(replace(answer, hits=()), assistant)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_nothing_from_outside_becomes_markup(lang):
    text = f"{EVIL}\n{EVIL}{SENTENCE}{EVIL}\n{EVIL}"
    outside = {"text": text, "doc_id": EVIL, "title": EVIL, "date": EVIL}
    view = app.View(lang)
    pages = []
    for answer, assistant in (case(**outside), refusal(**outside)):
        passage = replace(answer.hits[0].passage, heading=EVIL)
        hostile = replace(answer, question=EVIL, rewritten=EVIL + "?", hits=(Hit(passage, 1.0, 1),))
        pages.append(app.turn_html(app.Turn(EVIL, answer=hostile), assistant, view))
        pages.append(app.turn_html(app.Turn(EVIL, answer=replace(hostile, hits=())), assistant, view))
    pages += [app.turn_html(app.Turn(EVIL, text=EVIL), assistant, view), app.turn_html(app.Turn(EVIL, note=EVIL), assistant, view)]
    for html in pages:
        assert "<script" not in html and "<img" not in html
        assert '"alert' not in html and "'\"" not in html
        assert EVIL in plain(html)


def test_a_span_that_holds_markup_is_still_quoted_exactly():
    text = "前。<b>5 < 6 & 7</b>元。后。"
    answer, assistant = case()
    assistant.documents["d"] = Document("d", "题", text, "d")
    start, end = text.index("<b>"), text.index("后")
    html = app.evidence_html(Citation(1, "d", "题", start, end, text[start:end], start, end - 2), replace(answer, hits=()), assistant)
    assert inside("mark", html) == [text[start:end]]
    assert inside("strong", html) == [text[start : end - 2]]
    assert "<b>" not in html


def test_a_turn_grows_from_searching_to_its_answer():
    answer, assistant = case()
    grown = list(app.converse(assistant, " 进出口总额？ "))
    assert [t.text for t in grown] == ["", "21", "210亿元", "210亿元"]
    assert grown[-1].answer is answer and all(t.answer is None for t in grown[:-1])
    states = [re.findall(r'data-state="(\w+)"', app.turn_html(t, assistant))[0] for t in grown]
    assert states == ["open", "open", "open", "done"]


def test_history_holds_earlier_answers_and_no_complaints():
    answer, assistant = case()
    earlier = [app.Turn("坏", note=""), *[app.Turn(f"问{n}", answer=replace(answer, question=f"问{n}", rewritten=f"全问{n}")) for n in range(9)]]
    list(app.converse(assistant, "那增长呢？", earlier))
    assert assistant.heard == [("那增长呢？", [(f"全问{n}", SPAN) for n in range(9 - app.HISTORY, 9)])]  # as they were searched
    assert assistant.completed == [True]


def test_a_refused_question_says_why_and_a_failure_says_little(caplog):
    _, assistant = case()
    assistant.reply = QuestionError("问题<太长>")
    html = app.turn_html(list(app.converse(assistant, "问"))[-1], assistant)
    assert "问题&lt;太长&gt;" in html and "出错了" not in html
    assistant.reply = RuntimeError("/secret/place")
    html = app.turn_html(list(app.converse(assistant, "问"))[-1], assistant)
    assert "出错了" in html and "secret" not in html and "Traceback" not in html
    assert "secret" in caplog.text  # whoever runs it can read why


def test_a_turn_says_what_it_was_asked_of():
    _, assistant = case()
    scope = Scope((EVIL, "2021/"), since="2021", until="2021-06")
    turn = list(app.converse(assistant, "问", (), scope=scope))[-1]
    html = app.turn_html(turn, assistant)
    assert assistant.scopes == [scope] and "<script" not in html
    assert f"只查 {EVIL}、2021/，发布于 2021 至 2021-06" in plain(html)
    assert "发布于 … 至 2022" in plain(app.scope_html(Scope(until="2022"), app.View())) and app.scope_html(EVERYWHERE, app.View()) == ""
    assistant.reply = ScopeError("没有符合条件的文档")
    assert "没有符合条件的文档" in app.turn_html(list(app.converse(assistant, "问"))[-1], assistant)


def test_both_languages_say_the_same_things():
    assert app.ZH.keys() == app.EN.keys()
    for key, words in app.ZH.items():
        assert words.count("{") == app.EN[key].count("{"), key


def test_cards_of_different_turns_have_different_ids():
    answer, assistant = case()
    ids = re.findall(r' id="([^"]+)"', app.chat_html([app.Turn("问", answer=answer)] * 3, assistant))
    assert len(ids) == len(set(ids)) == 3


def test_an_empty_chat_welcomes():
    _, assistant = case()
    assert app.ZH["welcome"] in app.chat_html((), assistant)
    assert app.EN["welcome"] in app.chat_html((), assistant, "en")


def test_the_page_builds_and_exposes_no_endpoint():
    _, assistant = case()
    page = app.build(assistant)
    assert page.get_api_info() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert all(fn.api_visibility == "private" for fn in page.fns.values())
    assert len(app.EXAMPLES) == 6


def test_a_taken_port_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = subprocess.run([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stderr.strip() == f"error: port {port} on 127.0.0.1 is taken: choose another with --port"
    assert "error" not in app.listen_error("127.0.0.1", port) and "cannot listen" in app.listen_error("127.0.0.1", 70000)


def test_a_missing_folder_is_one_sentence(tmp_path, monkeypatch, capsys):
    def missing(folder, **_):
        raise ValueError(f"there is no folder {folder}: check the path")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(app.Assistant, "open", missing)
    monkeypatch.setattr(sys, "argv", ["app.py", "--docs", "nowhere", "--port", str(port)])
    assert app.main() == 1
    assert capsys.readouterr().err == "error: there is no folder nowhere: check the path\n"
