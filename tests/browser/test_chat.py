"""The page in a real browser. The first half runs the real app over seeds/, the second a page over a hostile document.

JUDIAN_ANSWERER and JUDIAN_EMBEDDER name weights in place of the shipped ones.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -r requirements-dev.txt")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
if not Path(CHROMIUM).exists():
    pytest.skip(f"there is no {CHROMIUM}: install chromium, or name one in $CHROMIUM", allow_module_level=True)

from fake_page import EVIL  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
PATIENCE = 120  # seconds for a start or an answer, on a busy machine
QUESTION, SOURCE = "赣州经开区目前在孵企业有多少家？", "001_e92beb74746a2c24.txt"
OFF_TOPIC = "故宫2035年门票多少钱一张？"  # no document holds that year


@contextmanager
def served(log: Path, *command: str) -> Iterator[str]:
    """The address of a server that ``command`` starts; the command gets a free port as its last word."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("w") as out, subprocess.Popen([sys.executable, *command, str(port)], cwd=ROOT, stdout=out, stderr=out) as process:
        try:
            until = time.monotonic() + PATIENCE
            while f"http://127.0.0.1:{port}" not in log.read_text("utf-8"):
                assert process.poll() is None and time.monotonic() < until, f"the server did not start:\n{log.read_text('utf-8')}"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def app_url(tmp_path_factory):
    weights = {name: os.environ.get(f"JUDIAN_{name.upper()}") for name in ("answerer", "embedder")}
    named = [word for name, path in weights.items() if path for word in (f"--{name}", path)]
    with served(tmp_path_factory.mktemp("app") / "log", "app.py", *named, "--port") as url:
        yield url


@pytest.fixture(scope="module")
def hostile_url(tmp_path_factory):
    with served(tmp_path_factory.mktemp("hostile") / "log", "tests/browser/fake_page.py") as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """``visit(url)`` opens a page; afterwards: nothing was asked of another host, and no script failed."""
    contexts, hosts, failures = [], set(), []

    def open_page(url: str, locale: str = "zh-CN", width: int = 1280, height: int = 800):
        context = browser.new_context(locale=locale, viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("websocket", lambda ws: hosts.add(urlsplit(ws.url).hostname))
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#jd-ask")
        playwright.expect(page.locator("#jd-ask")).to_have_text("提问" if locale.startswith("zh") else "Ask")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert hosts <= {"127.0.0.1", None}  # None: data: and blob: addresses
    assert failures == []


def ask(page, question: str):
    """The turn of ``question``, once it is whole."""
    before = page.locator(".jd-turn").count()
    page.fill("#jd-box textarea", question)
    page.click("#jd-ask")
    page.wait_for_selector(f".jd-turn:nth-of-type({before + 1})[data-state=done]")
    return page.locator(".jd-turn").nth(before)


def boxes(turn) -> tuple[dict, dict]:
    """Where the answer and its card are, both at one moment."""
    return turn.evaluate("turn => ['.jd-said', '.jd-card'].map(part => turn.querySelector(part).getBoundingClientRect().toJSON())")


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_answer_has_a_marker_and_its_evidence(app_url, visit):
    page = visit(app_url)
    turn = ask(page, QUESTION)
    assert turn.locator(".jd-text").inner_text().endswith("[1]")
    card = turn.locator(".jd-card")
    assert SOURCE in card.inner_text()
    quote, answer = card.locator("mark").inner_text(), card.locator("mark strong").inner_text()
    assert answer and answer in quote
    assert quote in (ROOT / "seeds" / SOURCE).read_text("utf-8").replace("\n", "")  # the file breaks lines within sentences
    assert turn.locator(".jd-text").inner_text() == f"{answer}[1]"
    turn.locator("a.jd-cite").click()
    playwright.expect(card).to_be_focused()
    assert page.url.rstrip("/") == app_url
    assert page.input_value("#jd-box textarea") == ""


def test_an_off_topic_question_is_refused(app_url, visit):
    page = visit(app_url)
    turn = ask(page, OFF_TOPIC)
    assert "文档里没有找到答案" in turn.locator(".jd-none").inner_text()
    assert OFF_TOPIC in turn.locator(".jd-looked").inner_text()
    assert turn.locator(".jd-cite, .jd-card, mark").count() == 0
    assert not turn.locator(".jd-near").is_visible()
    turn.locator("summary").click()
    assert turn.locator(".jd-near li").count() == 3 and turn.locator(".jd-near").is_visible()


def test_a_follow_up_is_completed_and_shown(app_url, visit):
    page = visit(app_url)
    ask(page, "南通开发区1-10月一般公共预算收入完成多少？")
    turn = ask(page, "那增长了多少呢？")
    assert re.search("按“南通开发区.*”查找|已查找：“南通开发区", turn.inner_text())
    page.get_by_role("button", name="按原话再问一次").click()
    again = page.locator(".jd-turn").nth(2)
    page.wait_for_function("document.querySelectorAll('.jd-turn[data-state=done]').length === 3", timeout=PATIENCE * 1000)
    assert "那增长了多少呢" in again.inner_text() and not re.search("按“|已查找：“南通", again.inner_text())
    assert page.get_by_role("button", name="按原话再问一次").count() == 0


def test_examples_clear_and_an_empty_question(app_url, visit):
    page = visit(app_url)
    examples = page.locator("#jd-grid button")
    assert examples.count() == 6
    examples.nth(5).click()
    page.wait_for_selector(".jd-turn[data-state=done]")
    playwright.expect(page.locator("#jd-examples")).to_be_hidden()
    page.fill("#jd-box textarea", "   ")
    page.click("#jd-ask")
    playwright.expect(page.locator("#jd-foot")).to_contain_text("请先输入一个问题")
    assert page.locator(".jd-turn").count() == 1
    page.click("#jd-clear")
    playwright.expect(page.locator(".jd-turn")).to_have_count(0)
    playwright.expect(examples.first).to_be_visible()


def test_a_question_is_asked_of_chosen_documents_and_dates(app_url, visit):
    page = visit(app_url)
    page.click("#jd-scope .label-wrap")
    other = next(path.name for path in sorted((ROOT / "seeds").iterdir()) if path.name != SOURCE)
    page.get_by_label("只查这些文档或文件夹").fill(other[:3])
    page.get_by_role("option", name=other).click()
    turn = ask(page, QUESTION)
    assert f"只查 {other}" in turn.locator(".jd-within").inner_text() and SOURCE not in turn.inner_text()
    page.get_by_label("发布日期从").fill("2091")
    assert "没有符合条件的文档" in ask(page, QUESTION).inner_text()
    page.get_by_label("发布日期从").fill("去年")
    page.fill("#jd-box textarea", QUESTION)
    page.click("#jd-ask")
    playwright.expect(page.locator("#jd-foot")).to_contain_text("“去年”不是日期")
    assert page.locator(".jd-turn").count() == 2 and page.input_value("#jd-box textarea") == QUESTION


def test_clearing_while_it_searches_leaves_nothing_behind(app_url, visit):
    page = visit(app_url)
    page.fill("#jd-box textarea", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".jd-turn")
    page.click("#jd-clear")
    playwright.expect(page.locator(".jd-turn")).to_have_count(0)
    ask(page, OFF_TOPIC)
    assert page.locator(".jd-turn").count() == 1


def test_english_by_browser_and_by_switch(hostile_url, visit):
    page = visit(hostile_url, locale="en-US")
    assert "Ask about something" in page.inner_text("#jd-chat")
    assert "The documents do not answer this" in ask(page, "拒答").inner_text()
    page.click("#jd-lang")
    playwright.expect(page.locator("#jd-ask")).to_have_text("提问")
    playwright.expect(page.locator(".jd-none-head")).to_have_text("文档里没有找到答案")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_a_phone_has_one_column_and_no_sideways_scrolling(hostile_url, visit):
    page = visit(hostile_url, width=390, height=844)
    assert fits(page)
    turn = ask(page, "长" * 500)
    said, card = boxes(turn)
    assert card["top"] >= said["bottom"] and card["width"] > 340
    ask(page, "拒答").locator("summary").click()
    assert fits(page)
    playwright.expect(page.locator("#jd-ask")).to_be_in_viewport()  # the box stays at hand


def test_a_desk_has_the_evidence_beside_the_answer(hostile_url, visit):
    turn = ask(page := visit(hostile_url), "问")
    said, card = boxes(turn)
    assert card["left"] >= said["right"] and abs(card["top"] - said["top"]) < 5
    assert fits(page)


def test_nothing_a_document_says_runs(hostile_url, visit):
    page = visit(hostile_url)
    answered, refused, complained = ask(page, EVIL), ask(page, "拒答"), ask(page, "太长")
    refused.locator("summary").click()
    assert answered.locator("mark").inner_text().replace("\n", "") == EVIL + "。"
    for turn in (answered, refused, complained):
        assert EVIL in turn.inner_text()
        assert turn.locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_markup_that_slipped_in_would_not_run_either(hostile_url, visit):
    page = visit(hostile_url)
    page.evaluate("document.querySelector('#jd-chat').insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"window.hacked = 4\">')")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None


def test_a_failure_is_a_notice_and_the_page_goes_on(hostile_url, visit):
    page = visit(hostile_url)
    failed = ask(page, "崩溃").inner_text()
    assert "出错了" in failed and "secret" not in failed and "Traceback" not in failed
    assert ask(page, "问").locator(".jd-card").count() == 1


def test_no_file_of_this_machine_is_served(hostile_url, browser):
    context = browser.new_context()
    for path in ("app.py", str(ROOT / "app.py"), str(ROOT / "seeds" / SOURCE), "/etc/passwd"):
        assert context.request.get(f"{hostile_url}/gradio_api/file={path}").status in (403, 404)
    assert context.request.get(f"{hostile_url}/gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    context.close()
