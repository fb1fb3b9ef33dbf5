"""The page of a report in a real browser, opened as a file with no network: it filters, counts, changes its language and fits a phone."""

import os
import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -r requirements-dev.txt")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
if not Path(CHROMIUM).exists():
    pytest.skip(f"there is no {CHROMIUM}: install chromium, or name one in $CHROMIUM", allow_module_level=True)

from eval.report import render  # noqa: E402
from eval.types import Report  # noqa: E402

EVIL = """<script>window.hacked=1</script></style><img src=x onerror="window.hacked=2"><svg onload="window.hacked=3">'"`\u2028"""
MEAN = {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 6}
GROUP = {"right": MEAN, "f1": MEAN, "seconds": {"p50": 0.1, "p95": 0.2}, "items": 6}


def item(n: int, right: float, **change):
    at = {"marker": 1, "doc_id": "a.txt", "title": "题", "start": 0, "end": 6, "quote": "甲乙丙丁戊己", "answer_start": 2, "answer_end": 4}
    row = {
        "id": f"i{n}", "question": f"第{n}个问题？", "type": "number" if n % 2 else EVIL, "doc": ["a.txt"] if n < 4 else ["b.txt", EVIL], "gold": ["丙丁"], "answer": "丙丁",
        "rewritten": EVIL, "refused": False, "confidence": 0.1 * n, "citations": [at], "seconds": 0.1 * n, "evidence": EVIL, "scores": {"right": right},
    }
    return row | change


ITEMS = [item(1, 1.0), item(2, 0.0), item(3, 1.0, refused=True, citations=[]), item(4, 0.0, refused=True, citations=[]), item(5, 1.0, answer="ＡＢＣ 独特"), item(6, 0.0, error=EVIL)]
REPORT = Report(
    {"overall": GROUP, "by_type": {EVIL: GROUP, "number": GROUP}, "risk_coverage": {"area": 0.2, "curve": [[0.5, 0.0], [1.0, 0.5]]}},
    tuple(ITEMS), {"gold": EVIL}, {"answerer": EVIL}, "c0ffee", 0, 1.0, {"python": EVIL},
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, tmp_path):
    """``visit(locale, width)`` opens the page; afterwards: nothing but the file was asked for, and no script failed or was kept from running."""
    path, contexts, asked, said = tmp_path / "r.html", [], [], []
    path.write_text(render(REPORT, EVIL), "utf-8")

    def open_page(locale="zh-CN", width=1280):
        context = browser.new_context(locale=locale, viewport={"width": width, "height": 844}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())
        playwright.expect(page.locator("#filter")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(asked) == {path.as_uri()} and said == []


def seen(page) -> list[str]:
    return page.locator(".item:not([hidden]) header a").all_text_contents()  # not inner text: what is off screen is not laid out


def test_filters_and_counts(visit):
    page = visit()
    count = page.locator("#count")
    playwright.expect(count).to_have_text("6 / 6")
    for name, ids in (("对", ["i1", "i3", "i5"]), ("错", ["i2", "i4", "i6"]), ("拒答", ["i3", "i4"]), ("出错", ["i6"]), ("全部", [f"i{n}" for n in range(1, 7)])):
        page.locator(".chips label").filter(has=page.get_by_text(name, exact=True)).click()
        playwright.expect(count).to_have_text(f"{len(ids)} / 6")
        assert seen(page) == ids
    page.select_option("#type", "number")
    assert seen(page) == ["i1", "i3", "i5"]
    page.select_option("#doc", EVIL)
    assert seen(page) == ["i5"]
    page.select_option("#type", EVIL)
    assert seen(page) == ["i4", "i6"]
    page.select_option("#type", "")
    page.select_option("#doc", "")
    page.fill("#search", "abc 独特")  # full-width in the answer
    playwright.expect(count).to_have_text("1 / 6")
    assert seen(page) == ["i5"]
    assert page.locator(".item[hidden]").first.evaluate("item => getComputedStyle(item).display") == "none"
    page.fill("#search", "哪里都没有")
    playwright.expect(page.locator("#none")).to_be_visible()
    assert seen(page) == []


def test_the_keyboard_is_enough(visit):
    page = visit()
    page.locator("input[name=verdict]").first.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#count")).to_have_text("3 / 6")
    assert seen(page) == ["i1", "i3", "i5"]


def test_hostile_text_is_shown_and_does_not_run(visit):
    page = visit()
    assert EVIL[:60] in page.locator("h1").inner_text() and EVIL[:60] in page.locator("blockquote.gold").first.text_content()
    assert page.locator(".item mark").first.text_content() == "丙丁"
    assert page.evaluate("window.hacked") is None
    assert page.locator("article img, article script, article svg").count() == 0


def test_markup_that_slipped_in_would_not_run_either(browser, tmp_path):
    (tmp_path / "r.html").write_text(render(REPORT, "r").replace("</main>", "<script>window.hacked = 4</script><b onclick='window.hacked = 5' id=evil>x</b></main>"), "utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "r.html").as_uri())
    page.click("#evil")
    assert page.evaluate("window.hacked") is None
    page.close()


@pytest.mark.parametrize(("locale", "heading", "other"), [("zh-CN", "逐题结果", "Every question"), ("en-US", "Every question", "逐题结果")])
def test_two_languages(visit, locale, heading, other):
    page = visit(locale)
    playwright.expect(page.locator("#items")).to_have_text(heading, use_inner_text=True)
    page.locator("label[for=english]").click()
    playwright.expect(page.locator("#items")).to_have_text(other, use_inner_text=True)
    assert page.evaluate("document.documentElement.lang") == ("zh-CN" if locale == "en-US" else "en")


def test_a_phone_has_no_sideways_scrolling(visit):
    page = visit(width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
