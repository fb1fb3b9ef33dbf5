"""python fake_page.py PORT: the page over one hostile document, without index or models. The question 崩溃 raises."""

import sys
from collections.abc import Generator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app
from index.types import Document, Hit, Passage
from qa import EVERYWHERE, Answer, Assistant, Citation, QuestionError, Scope

EVIL = """<script>window.hacked=1</script><img src=x onerror="window.hacked=2">'"`${window.hacked=3}{{value}}__i18n__{"key":"ask"}</blockquote>"""


class HostileAssistant(Assistant):
    """Everything it says is EVIL: file name, title, heading, date, text, answer."""

    def __init__(self) -> None:
        pass

    def document(self, doc_id: str) -> Document:
        return Document(EVIL, EVIL, f"前{EVIL}。{EVIL}后", EVIL, {"date": EVIL})

    def names(self) -> list[str]:
        return [EVIL]

    def stream(
        self, question: str, history: Sequence[tuple[str, str]] = (), rewrite: bool = True, scope: Scope = EVERYWHERE, *, complete: bool = False
    ) -> Generator[str, None, Answer]:
        if question == "崩溃":
            raise RuntimeError("a secret of the server")
        if question == "太长":
            raise QuestionError(f"too long {EVIL}")
        text, refused, n = self.document("").text, question == "拒答", len(EVIL)
        passage = Passage("p", EVIL, EVIL, EVIL, text, 0, len(text))
        citation = Citation(1, EVIL, EVIL, 1, 2 + n, text[1 : 2 + n], 1, 1 + n)
        yield EVIL[:9]
        return Answer(question, EVIL, EVIL, () if refused else (citation,), (Hit(passage, 1.0, 1),), 0.5, refused, 0.1)


if __name__ == "__main__":
    app.serve(app.build(HostileAssistant(), (EVIL,)), "127.0.0.1", int(sys.argv[1]))
