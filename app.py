"""The page: layout, callbacks, and how an Answer is shown. Everything a document or a person wrote is escaped before it is HTML.

python app.py [--docs seeds] [--host 127.0.0.1] [--port 7860] [--answerer PATH] [--embedder PATH]
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if os.environ.get("JUDIAN_ONLINE") != "1":  # gradio imports the hub's library, which reads these once
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import gradio as gr

from index.progress import progress_bar
from qa import EVERYWHERE, Answer, Assistant, Citation, QuestionError, Scope, ScopeError

SEEDS = "seeds"
MAX_QUESTION = 500  # characters; the Assistant holds to it too
MAX_TURNS = 20  # turns kept on the page; follow-ups look no further back than HISTORY
HISTORY = 6
NEAREST = 3  # passages shown beside a refusal
AROUND = 160  # characters each side of a quote that no passage holds
LISTED = 500  # names that may be picked from; of a larger folder only so many are listed, the rest can be typed

EXAMPLES = (
    "南昌综保区2021年进出口总额是多少？",
    "吉利在赣州的动力电池项目总投资多少？",
    "南通开发区有多少名重点企业“首席服务员”？",
    "全南县2021年外出招商了多少次？",
    "南昌经开区的“四最”营商环境是哪四最？",
    "赣州经开区目前在孵企业有多少家？",
)

ZH = {
    "tagline": "问文档，答案逐字引自原文，附出处",
    "welcome": "问一件文档里写着的事",
    "welcome_more": "答案只取自文档原文，点 [1] 可看它出自哪一句。文档里没有的，会直说没有。",
    "examples": "试着问",
    "placeholder": "输入问题",
    "question": "问题",
    "ask": "提问",
    "clear": "清空",
    "switch": "English",
    "foot": "回车发送，可以接着追问",
    "scope": "查找范围",
    "only": "只查这些文档或文件夹",
    "only_more": "可选可输，* 代表任意文字；不填就是全部",
    "since": "发布日期从",
    "until": "到",
    "date_hint": "如 2021 或 2021-06",
    "within": "只查 {}",
    "dated": "发布于 {} 至 {}",
    "empty": "请先输入一个问题。",
    "searching": "正在文档中查找",
    "rewritten": "按“{}”查找",
    "typed": "按原话再问一次",
    "evidence": "出处",
    "date": "发布于 {}",
    "meta": "把握 {:.0%} · 用时 {:.2f} 秒",
    "dates": "按发布日期，",
    "read": "“{}”指{}",
    "refused": "文档里没有找到答案",
    "looked": "已查找：“{}”",
    "nearest": "最接近的 {} 段",
    "unsupported": "模型写了“{}”，但文档里没有这样说，不能当作答案。",
    "failed": "出错了",
    "failed_more": "这个问题没能答成，已记入日志。可以换个问法，或稍后再试。",
}
EN = {
    "tagline": "Ask Chinese documents. Answers are quoted word for word, with their source",
    "welcome": "Ask about something the documents say",
    "welcome_more": "Answers are taken from the text itself; [1] leads to the sentence. What the documents do not say is not answered.",
    "examples": "Try asking",
    "placeholder": "Type a question in Chinese",
    "question": "Question",
    "ask": "Ask",
    "clear": "Clear",
    "switch": "中文",
    "foot": "Enter to send · follow-ups welcome",
    "scope": "Where to search",
    "only": "Only these documents or folders",
    "only_more": "Pick or type; * stands for anything; empty means all",
    "since": "Published from",
    "until": "to",
    "date_hint": "2021 or 2021-06",
    "within": "Searched only in {}",
    "dated": "published {} to {}",
    "empty": "Type a question first.",
    "searching": "Searching the documents",
    "rewritten": 'Searched as "{}"',
    "typed": "Ask again as typed",
    "evidence": "Source",
    "date": "Published {}",
    "meta": "{:.0%} confident · {:.2f} s",
    "dates": "By the date of publication: ",
    "read": "“{}” is {}",
    "refused": "The documents do not answer this",
    "looked": 'Searched: "{}"',
    "nearest": "The {} nearest passages",
    "unsupported": "The model wrote “{}”, but no document says so: it is no answer.",
    "failed": "Something went wrong",
    "failed_more": "This question could not be answered; the log says why. Put it another way, or try again later.",
}
TEXT = {"zh": ZH, "en": EN}


@dataclass(frozen=True)
class View:
    """How things are shown: the language of the page, and which turn of the chat this is (it keeps the cards' ids apart)."""

    lang: str = "zh"
    turn: int = 1

    def say(self, key: str, *values: object) -> str:
        """The page's own words, with ``values`` put in; escaped as a whole."""
        return escape(TEXT[self.lang][key].format(*values))

    def card(self, citation: Citation) -> str:
        return f"source-{self.turn}-{citation.marker}"


@dataclass(frozen=True)
class Turn:
    """One question, asked of the documents in ``scope``, and what came of it: ``answer`` once there is one, before that the ``text`` so far;
    ``note`` is a complaint."""

    question: str
    text: str = ""
    answer: Answer | None = None
    note: str | None = None
    scope: Scope = EVERYWHERE


def lines_html(text: str) -> str:
    """``text`` escaped, its line breaks as small gaps."""
    return escape(text).replace("\n", '<span class="jd-br">\n</span>')


def highlighted(text: str, start: int, end: int, citation: Citation) -> str:
    """``text[start:end]`` with the cited sentence in <mark> and the answer in it in <strong>."""
    c = citation
    cuts = (start, c.start, c.answer_start, c.answer_end, c.end, end)
    before, lead, answer, rest, after = (lines_html(text[a:b]) for a, b in pairwise(cuts))
    return f"{before}<mark>{lead}<strong>{answer}</strong>{rest}</mark>{after}"


def place_html(assistant: Assistant, doc_id: str, heading: str, view: View) -> str:
    """Where a passage stands: file, heading path, date of publication."""
    date = assistant.document(doc_id).meta.get("date")
    parts = [f'<span class="jd-file">{escape(doc_id)}</span>']
    if heading:
        parts.append(f'<span class="jd-path" lang="zh-CN">{escape(heading.replace(" > ", " › "))}</span>')
    if date:
        parts.append(f'<span class="jd-date">{view.say("date", date)}</span>')
    return f'<p class="jd-place">{"".join(parts)}</p>'


def evidence_html(citation: Citation, answer: Answer, assistant: Assistant, view: View = View()) -> str:
    """The card of one citation: where it stands, and its paragraph with the cited sentence highlighted."""
    c, text = citation, assistant.document(citation.doc_id).text
    holding = [h.passage for h in answer.hits if h.passage.doc_id == c.doc_id and h.passage.start <= c.start and c.end <= h.passage.end]
    if holding:
        start, end, heading = holding[0].start, holding[0].end, holding[0].heading
        top = heading.rsplit(" > ", 1)[-1] or c.title
        if text.startswith(top + "\n", start) and start + len(top) < c.start:
            start += len(top) + 1  # the heading stands above already
    else:  # the lines around the quote
        start = max(text.rfind("\n", 0, c.start) + 1, c.start - AROUND)
        stop = text.find("\n", c.end)
        end, heading = min(stop if stop >= 0 else len(text), c.end + AROUND), ""
    return (
        f'<article class="jd-card" id="{view.card(c)}" tabindex="-1">'
        f'<h3><span class="jd-no">{c.marker}</span><span lang="zh-CN">{escape(c.title)}</span></h3>'
        f"{place_html(assistant, c.doc_id, heading, view)}"
        f'<blockquote lang="zh-CN">{highlighted(text, start, end, c)}</blockquote></article>'
    )


def refusal_html(answer: Answer, assistant: Assistant, view: View = View()) -> str:
    """A notice that the documents do not answer, what was searched, and the nearest passages, folded."""
    nearest = [hit.passage for hit in answer.hits[:NEAREST]]
    folded = ""
    if nearest:
        places = [place_html(assistant, p.doc_id, p.heading, view) for p in nearest]
        rows = "".join(
            f'<li lang="zh-CN"><strong>{escape(p.title)}</strong>{place}<p>{lines_html(p.text)}</p></li>' for p, place in zip(nearest, places, strict=True)
        )
        folded = f'<details><summary>{view.say("nearest", len(nearest))}</summary><ol class="jd-near">{rows}</ol></details>'
    unsupported = f'<p class="jd-looked">{view.say("unsupported", answer.unsupported)}</p>' if answer.unsupported else ""
    return (
        f'<div class="jd-none"><p class="jd-none-head">{view.say("refused")}</p>'
        f'<p class="jd-looked">{view.say("looked", answer.rewritten)}</p>{unsupported}{folded}</div>{_meta(answer, view)}'
    )


def answer_html(answer: Answer, assistant: Assistant, view: View = View()) -> str:
    """A whole answer: its text with markers, how it was searched, and its evidence beside it; or the refusal."""
    if answer.refused:
        return refusal_html(answer, assistant, view)
    said = "".join(escape(part.text) + "".join(_mark(answer.citations[m - 1], view) for m in part.markers) for part in answer.parts)
    searched = f'<p class="jd-looked">{view.say("rewritten", answer.rewritten)}</p>' if answer.rewritten != answer.question else ""
    words = "，".join(view.say("read", word, reading) for word, reading in answer.dates)
    read = f'<p class="jd-looked">{view.say("dates")}{words}</p>' if words else ""
    cards = "".join(evidence_html(c, answer, assistant, view) for c in answer.citations)
    return (
        f'<div class="jd-pair"><div class="jd-said"><p class="jd-text" lang="zh-CN">{said}</p>{searched}{read}{_meta(answer, view)}</div>'
        f'<div class="jd-cards">{cards}</div></div>'
    )


def _mark(c: Citation, view: View) -> str:
    return f'<a class="jd-cite" href="#{view.card(c)}" aria-label="{view.say("evidence")} {c.marker}">[{c.marker}]</a>'


def _meta(answer: Answer, view: View) -> str:
    return f'<p class="jd-meta">{view.say("meta", answer.confidence, answer.seconds)}</p>'


def turn_html(turn: Turn, assistant: Assistant, view: View = View()) -> str:
    """One question and what there is of its answer."""
    if turn.answer:
        state, body = "done", answer_html(turn.answer, assistant, view)
    elif turn.note is not None:
        head, more = (escape(turn.note), "") if turn.note else (view.say("failed"), f'<p class="jd-looked">{view.say("failed_more")}</p>')
        state, body = "done", f'<div class="jd-none jd-bad"><p class="jd-none-head">{head}</p>{more}</div>'
    elif turn.text:
        state, body = "open", f'<p class="jd-text" lang="zh-CN">{escape(turn.text)}</p>'
    else:
        state, body = "open", f'<p class="jd-wait">{view.say("searching")}<i></i></p>'
    return f'<section class="jd-turn" data-state="{state}"><h2 class="jd-q">{escape(turn.question)}</h2>{scope_html(turn.scope, view)}{body}</section>'


def scope_html(scope: Scope, view: View) -> str:
    """What the question was asked of, where that is not everything."""
    if scope == EVERYWHERE:
        return ""
    dates = [TEXT[view.lang]["dated"].format(scope.since or "…", scope.until or "…")] if scope.since or scope.until else []
    return f'<p class="jd-looked jd-within">{view.say("within", "，".join(["、".join(scope.only)] * bool(scope.only) + dates))}</p>'


def chat_html(turns: Sequence[Turn], assistant: Assistant, lang: str = "zh") -> str:
    """The whole chat; a few words of welcome where nothing was asked yet."""
    return "".join(turn_html(t, assistant, View(lang, n)) for n, t in enumerate(turns, 1)) or welcome_html(TEXT[lang])


def welcome_html(text: dict[str, str]) -> str:
    return f'<div class="jd-welcome"><p>{text["welcome"]}</p><p>{text["welcome_more"]}</p></div>'


def header_html(text: dict[str, str]) -> str:
    return f'<h1 lang="zh-CN"><span aria-hidden="true">据</span>据典</h1><p>{text["tagline"]}</p>'


def converse(assistant: Assistant, question: str, earlier: Sequence[Turn] = (), rewrite: bool = True, scope: Scope = EVERYWHERE) -> Iterator[Turn]:
    """The turn of ``question`` as it grows; the last one yielded is whole. Never raises. Without ``rewrite`` it is searched as it is."""
    history = [(t.answer.rewritten, t.answer.text) for t in earlier if t.answer][-HISTORY:]
    turn = Turn(question.strip(), scope=scope)
    yield turn
    try:
        pieces = assistant.stream(question, history, rewrite, scope, complete=True)
        while True:
            turn = replace(turn, text=turn.text + next(pieces))
            yield turn
    except StopIteration as end:
        yield replace(turn, answer=end.value)
    except (QuestionError, ScopeError) as error:
        yield replace(turn, note=str(error))
    except Exception:
        logging.exception("no answer to a question of %d characters", len(question))
        yield replace(turn, note="")


# A click on [1] goes to its card without changing the address; a new turn, and then its answer, come into view.
CHAT_JS = """
element.setAttribute("aria-live", "polite");
element.addEventListener("click", (event) => {
  const link = event.target.closest("a.jd-cite");
  const card = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!card) return;
  event.preventDefault();
  card.scrollIntoView({ behavior: "smooth", block: "nearest" });
  card.focus({ preventScroll: true });
});
let seen = "";
new MutationObserver(() => {
  const turns = element.querySelectorAll(".jd-turn");
  const last = turns[turns.length - 1];
  const now = last ? turns.length + last.dataset.state : "";
  if (last && now !== seen) last.scrollIntoView({ behavior: "smooth", block: "start" });
  seen = now;
}).observe(element, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state"] });
"""
SWITCH_JS = "() => { const page = document.documentElement; page.lang = page.lang.startsWith('zh') ? 'en' : 'zh-CN'; }"

CSS = """
.gradio-container { --ink: #1f2328; --soft: #5c6470; --line: #e2e1dc; --card: #fff; --red: #a93226; --mark: #fbeeb8; --calm: #f0f1f3; --page: #faf9f7; }
.dark .gradio-container, .gradio-container.dark {
  --ink: #e8e6e1; --soft: #a3a7ae; --line: #363a40; --card: #212429; --red: #ef8d7e; --mark: #40370f; --calm: #262a30; --page: #17191c; }
.gradio-container { background: var(--page) !important; color: var(--ink); overflow: visible !important; }
.gradio-container > .main { padding: 0 !important; max-width: none !important; }
.gradio-container main { width: 100% !important; max-width: 1128px !important; margin: 0 auto !important;
  padding: clamp(14px, 2vw, 22px) clamp(16px, 2vw, 24px) 0 !important; }
.gradio-container .html-container { padding: 0; }
.gradio-container p, .gradio-container h1, .gradio-container h2, .gradio-container h3 { margin: 0; color: inherit; }
#jd-head { align-items: center; flex-wrap: nowrap; border-bottom: 1px solid var(--line); padding-bottom: 14px; }
#jd-title h1 { display: flex; align-items: center; gap: 10px; font: 600 26px/1.2 "Songti SC", "Noto Serif CJK SC", SimSun, serif; letter-spacing: .06em; }
#jd-title h1 span { width: 32px; background: #a93226; color: #fff; border-radius: 5px; font-size: 19px; line-height: 32px; letter-spacing: 0;
  text-align: center; }
#jd-title p { color: var(--soft); font-size: 14px; line-height: 1.6; margin-top: 5px; }
#jd-lang { flex: none; min-width: 0; width: auto; background: none; border: 1px solid var(--line); color: var(--soft); box-shadow: none; }
.jd-welcome { padding: 44px 0 8px; }
.jd-welcome p:first-child { font: 600 24px/1.5 "Songti SC", "Noto Serif CJK SC", SimSun, serif; }
.jd-welcome p:last-child { color: var(--soft); margin-top: 8px; line-height: 1.7; }
#jd-examples { gap: 10px; }
#jd-examples .jd-label { color: var(--soft); font-size: 14px; }
#jd-grid { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; }
#jd-grid button { justify-content: flex-start; min-width: 0; height: 100%; padding: 11px 14px; background: var(--card); border: 1px solid var(--line);
  box-shadow: none; color: var(--ink); font-size: 15px; font-weight: 400; line-height: 1.5; text-align: left; white-space: normal; overflow-wrap: anywhere; }
#jd-grid button:hover, #jd-lang:hover { border-color: var(--red); color: var(--red); }
.jd-turn { padding: 26px 0; border-bottom: 1px solid var(--line); scroll-margin-top: 8px; line-height: 1.75; }
.jd-turn:last-child { border-bottom: 0; }
.jd-q { font-size: 17px; font-weight: 600; line-height: 1.6; margin-bottom: 14px !important; overflow-wrap: anywhere; unicode-bidi: isolate; }
.jd-pair { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 7fr); gap: 28px; align-items: start; }
.jd-text { font-size: 21px; line-height: 1.65; overflow-wrap: anywhere; white-space: pre-line; }
.jd-cite { color: var(--red); font-size: 15px; vertical-align: super; line-height: 1; margin-left: 3px; padding: 4px 3px; text-decoration: none; }
.jd-cite:hover { text-decoration: underline; }
.jd-looked { color: var(--soft); font-size: 15px; margin-top: 6px !important; overflow-wrap: anywhere; }
.jd-meta { color: var(--soft); font-size: 13px; margin-top: 10px !important; font-variant-numeric: tabular-nums; }
.jd-card { background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--red); border-radius: 6px;
  padding: 16px 20px; scroll-margin: 12px 0 130px; overflow-wrap: anywhere; }
.jd-card + .jd-card { margin-top: 12px; }
.jd-card:focus { outline: 2px solid var(--red); outline-offset: 2px; }
.jd-card h3 { display: flex; gap: 9px; font-size: 16px; font-weight: 600; line-height: 1.5; }
.jd-no { flex: none; width: 20px; height: 20px; margin-top: 2px; background: #a93226; color: #fff; border-radius: 4px; font-size: 13px; line-height: 20px;
  text-align: center; }
.jd-place { color: var(--soft); font-size: 13px; line-height: 1.6; margin: 5px 0 0 !important; overflow-wrap: anywhere; }
.jd-place span:not(:last-child)::after { content: " · "; white-space: pre; }
.jd-file, .jd-path { unicode-bidi: isolate; }
.jd-date { display: inline-block; }
.jd-card blockquote { margin: 12px 0 0; padding: 0; border: 0; font-size: 16px; line-height: 1.85; color: var(--ink); }
.jd-br { display: block; height: .45em; }
.jd-card mark { background: var(--mark); color: inherit; padding: 1px 0; border-radius: 2px; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.jd-card mark strong { color: var(--red); font-weight: 700; }
.jd-none { background: var(--calm); border-radius: 6px; padding: 16px 20px; max-width: 760px; overflow-wrap: anywhere; }
.jd-none-head { font-size: 17px; font-weight: 600; }
.jd-bad { border-left: 3px solid var(--soft); }
.jd-none details { margin-top: 12px; }
.jd-none summary { cursor: pointer; color: var(--soft); font-size: 15px; padding: 4px 0; }
.jd-near { margin: 8px 0 0; padding-left: 22px; list-style: decimal; }
.jd-near li { padding: 8px 0; font-size: 15px; }
.jd-near li > p:last-child { margin-top: 4px; }
.jd-wait { color: var(--soft); }
.jd-wait i { display: inline-block; width: 7px; height: 7px; margin-left: 9px; border-radius: 50%; background: var(--red);
  animation: jd-beat 1.1s ease-in-out infinite; }
@keyframes jd-beat { 50% { opacity: .15; } }
#jd-compose { position: sticky; bottom: 0; z-index: 5; gap: 4px; background: var(--page); box-shadow: 0 -10px 10px var(--page);
  padding: 12px 0 max(10px, env(safe-area-inset-bottom)); }
#jd-compose .row { flex-wrap: nowrap; align-items: center; gap: 10px; }
#jd-box { padding: 0; border: 0; background: none; box-shadow: none; min-width: 0 !important; }
#jd-box textarea { font-size: 16px; line-height: 1.6; padding: 10px 14px; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  color: var(--ink); }
#jd-box textarea:focus { border-color: var(--red); box-shadow: none; }
#jd-ask { flex: none; min-width: 84px; font-size: 16px; background: #a93226; color: #fff; border: 0; box-shadow: none; height: 46px; }
#jd-ask:hover { background: #8f2a20; }
#jd-clear, #jd-typed { flex: none; min-width: 0; width: auto; background: none; border: 0; color: var(--soft); font-size: 14px; box-shadow: none;
  padding: 4px 0 4px 8px; }
#jd-clear:hover, #jd-typed:hover { color: var(--red); }
#jd-foot { color: var(--soft); font-size: 13px; }
#jd-scope { border: 0; background: none; box-shadow: none; padding: 0; }
#jd-scope .label-wrap { width: auto; gap: 8px; padding: 4px 0; color: var(--soft); font-size: 14px; }
#jd-scope .label-wrap:hover { color: var(--red); }
#jd-scope .label-wrap .icon { font-size: 11px; }
#jd-scope .form { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
#jd-foot b { color: var(--red); font-weight: 600; }
@media (max-width: 760px) {
  .jd-pair, #jd-grid { grid-template-columns: minmax(0, 1fr); gap: 14px; }
  #jd-grid { gap: 8px; }
  .jd-welcome { padding-top: 18px; }
  .jd-card, .jd-none { padding: 14px 16px; }
}
@media (prefers-reduced-motion: reduce) { .jd-wait i { animation: none; } }
"""
# The icon, and a second wall behind the escaping: no inline script runs, and nothing is asked of another host.
HEAD = (
    "<link rel=\"icon\" href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
    "<rect width='32' height='32' rx='6' fill='%23a93226'/><text x='16' y='23' font-size='20' text-anchor='middle' fill='white'>据</text></svg>\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; object-src 'none'; form-action 'self'\">"
)
FONTS = ("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "system-ui", "sans-serif")  # the system's own; nothing is fetched


# Chosen by the browser's language before the server has a say; anything but Chinese reads English.
WORDS = gr.I18n(**{lang: {**text, "header": header_html(text), "start": welcome_html(text)} for lang, text in TEXT.items()})


def build(assistant: Assistant, examples: Sequence[str] = EXAMPLES) -> gr.Blocks:
    """The page over ``assistant``, to be launched with the settings in :func:`serve`. Nothing is loaded or read here."""
    with gr.Blocks(title="据典 Judian", analytics_enabled=False) as page:
        turns, language = gr.State(()), gr.State("zh")
        with gr.Row(elem_id="jd-head"):
            head = gr.HTML(WORDS("header"), elem_id="jd-title", apply_default_css=False)
            switch = gr.Button(WORDS("switch"), size="sm", elem_id="jd-lang")
        chat = gr.HTML(WORDS("start"), elem_id="jd-chat", apply_default_css=False, js_on_load=CHAT_JS)
        with gr.Column(elem_id="jd-examples", visible=bool(examples)) as samples:
            label = gr.HTML(WORDS("examples"), elem_classes="jd-label", apply_default_css=False)
            with gr.Row(elem_id="jd-grid"):
                chips = [gr.Button(question) for question in examples]
        with gr.Column(elem_id="jd-compose"):
            with gr.Row():
                box = gr.Textbox(
                    label=WORDS("question"), placeholder=WORDS("placeholder"), show_label=False, container=False, elem_id="jd-box",
                    lines=1, max_lines=4, max_length=MAX_QUESTION,
                )
                send = gr.Button(WORDS("ask"), variant="primary", elem_id="jd-ask")
            with gr.Accordion(WORDS("scope"), open=False, elem_id="jd-scope") as where, gr.Row():
                names = assistant.names()[:LISTED]
                only = gr.Dropdown(
                    names, value=[], multiselect=True, allow_custom_value=True, label=WORDS("only"), info=WORDS("only_more"), min_width=240, scale=4,
                )
                since, until = (
                    gr.Textbox("", label=WORDS(key), placeholder=WORDS("date_hint"), max_length=10, min_width=110, scale=1) for key in ("since", "until")
                )
            with gr.Row():
                foot = gr.HTML(WORDS("foot"), elem_id="jd-foot", apply_default_css=False)
                typed = gr.Button(WORDS("typed"), size="sm", elem_id="jd-typed", visible=False)
                clear = gr.Button(WORDS("clear"), size="sm", elem_id="jd-clear")

        def ask(
            question: str, earlier: Sequence[Turn], lang: str, names: Sequence[str], first: str, last: str, rewrite: bool = True
        ) -> Iterator[dict]:
            if not question.strip():
                yield {foot: f"<b>{TEXT[lang]['empty']}</b>"}
                return
            try:
                scope = Scope(tuple(names or ()), (first or "").strip(), (last or "").strip())
            except ScopeError as error:
                yield {foot: f"<b>{escape(str(error))}</b>"}
                return
            kept = tuple(earlier)[1 - MAX_TURNS :]
            yield {box: "", foot: TEXT[lang]["foot"], samples: gr.update(visible=False), typed: gr.update(visible=False)}
            for turn in converse(assistant, question, kept, rewrite, scope):
                yield {chat: chat_html((*kept, turn), assistant, lang)}
            changed = turn.answer is not None and turn.answer.rewritten != turn.answer.question
            yield {turns: (*kept, turn), typed: gr.update(visible=changed)}

        def ask_as_typed(earlier: Sequence[Turn], *more: Any) -> Iterator[dict]:
            yield from ask(earlier[-1].question if earlier else "", earlier, *more, rewrite=False)

        def empty(lang: str) -> dict:
            start = {turns: (), chat: chat_html((), assistant, lang), box: "", foot: TEXT[lang]["foot"]}
            return {**start, samples: gr.update(visible=bool(examples)), typed: gr.update(visible=False)}

        def translate(lang: str, asked: Sequence[Turn]) -> dict:
            other = "en" if lang == "zh" else "zh"
            text = TEXT[other]
            return {
                language: other, head: header_html(text), switch: text["switch"], chat: chat_html(asked, assistant, other), label: text["examples"],
                box: gr.update(label=text["question"], placeholder=text["placeholder"]), send: text["ask"], clear: text["clear"], foot: text["foot"],
                typed: text["typed"], where: gr.update(label=text["scope"]), only: gr.update(label=text["only"], info=text["only_more"]),
                **{field: gr.update(label=text[key], placeholder=text["date_hint"]) for field, key in ((since, "since"), (until, "until"))},
            }

        def greet(request: gr.Request) -> str:
            return "zh" if request.headers.get("accept-language", "zh").lower().startswith("zh") else "en"

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        shown = [turns, chat, box, foot, samples, typed]
        page.load(greet, None, language, queue=False, **quiet)
        # One question at a time; one more, asked while another still runs out after 清空, waits its turn instead of being dropped.
        queued: dict[str, Any] = {"concurrency_id": "ask", "trigger_mode": "multiple", **quiet}
        more = [turns, language, only, since, until]
        asking = [gr.on([send.click, box.submit], ask, [box, *more], shown, **queued)]
        asking += [typed.click(ask_as_typed, more, shown, **queued)]
        asking += [chip.click(ask, [chip, *more], shown, **queued) for chip in chips]
        clear.click(empty, language, shown, queue=False, cancels=asking, **quiet)
        worded = [language, head, switch, chat, label, box, send, clear, foot, typed, where, only, since, until]
        switch.click(translate, [language, turns], worded, **queued)  # waits for an answer that is on its way
        switch.click(None, js=SWITCH_JS)
    return page.queue(max_size=32, default_concurrency_limit=1)


def listen_error(host: str, port: int) -> str:
    """Why nothing can listen there, in one sentence; empty where it can."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return ""
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            return f"port {port} on {host} is taken: choose another with --port"
        return f"cannot listen on {host}, port {port} ({error}): choose others with --host and --port"


def serve(page: gr.Blocks, host: str, port: int) -> None:
    """Show ``page`` until Ctrl+C. No file of this machine is served, no link shared, no run recorded."""
    theme = gr.themes.Base(font=FONTS, font_mono=("ui-monospace", "monospace"))
    page.launch(
        server_name=host, server_port=port, share=False, ssr_mode=False, quiet=True, prevent_thread_lock=True, run_history=False, footer_links=[],
        max_file_size="1kb", theme=theme, css=CSS, head=HEAD, i18n=WORDS,
    )
    print(f"据典 Judian: http://{host}:{port} (Ctrl+C stops it)", flush=True)
    page.block_thread()


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask your documents in the browser; the answer quotes them.")
    parser.add_argument("--docs", default=SEEDS, help="the folder of documents (default: seeds)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=7860, help="the port to listen on (default: 7860)")
    parser.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    parser.add_argument("--answerer", help="a seq2seq model in place of the shipped one")
    parser.add_argument("--template", default="t5", help="prompt format of --answerer: plain, t5 or randeng")
    parser.add_argument("--threshold", type=float, help="the least confidence, 0 to 1, of an answer that is given (default: the calibrated one)")
    parser.add_argument("--free", action="store_true", help="let --answerer write freely; what no passage says is marked as such")
    args = parser.parse_args()
    trouble = listen_error(args.host, args.port)
    if trouble:
        print(f"error: {trouble}", file=sys.stderr)
        return 1
    try:
        assistant = Assistant.open(
            args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template, grounded=not args.free, threshold=args.threshold,
            progress=progress_bar(args.docs), skipped=lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr)
        )
        serve(build(assistant, EXAMPLES if args.docs == SEEDS else ()), args.host, args.port)
    except (ValueError, RuntimeError, OSError) as error:  # a folder, an index or a model that cannot be used; each says what to do
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
