"""python -m qa ask "…": one question, answered in the terminal. python -m qa check: do answers that were kept still stand?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qa.types import Answer, Citation

if TYPE_CHECKING:
    from qa.assistant import Assistant


def as_json(answer: Answer) -> str:
    row = asdict(answer)
    row["answer"] = row.pop("text")
    first = ("question", "rewritten", "answer", "refused", "confidence", "parts", "citations", "dates", "hits", "seconds", "unsupported")
    return json.dumps({key: row[key] for key in (*first, "search_score", "reader_odds")}, ensure_ascii=False)


def as_text(answer: Answer) -> str:
    lines = ["".join(part.text + "".join(f" [{m}]" for m in part.markers) for part in answer.parts) or answer.text]
    if answer.rewritten != answer.question:
        lines.insert(0, f"（按“{answer.rewritten}”查找）")
    for c in answer.citations:
        lines.append(f"\n[{c.marker}] {c.doc_id}《{c.title}》 {c.start}–{c.end}\n    {c.quote}")
    if answer.dates:
        lines.append("\n按发布日期：" + "，".join(f"“{word}”指{reading}" for word, reading in answer.dates))
    if answer.unsupported:
        lines.append(f"\n模型写了“{answer.unsupported}”，但文档里没有这样说，不能当作答案。")
    if answer.refused and answer.hits:
        lines.append("\n最接近的段落：")
        for hit in answer.hits[:3]:
            lines.append(f"  · {hit.passage.doc_id}《{hit.passage.title}》：{hit.passage.text[:60].replace(chr(10), ' ')}…")
    lines.append(f"\n把握 {answer.confidence:.0%} · {answer.seconds:.2f} 秒")
    return "\n".join(lines)


STATES = {"valid": "仍然有效", "changed": "来源已变更", "removed": "来源已移除"}


def check(assistant: Assistant, path: Path) -> int:
    """Print the state of every citation of the answers in ``path`` (one JSON object a line, as ``ask --json`` prints). Returns the exit code:
    0 where all are valid. Raises OSError, ValueError."""
    lost = 0
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            kept = [Citation(**c) for c in row["citations"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number} is no answer as `ask --json` prints it ({error!r})") from error
        for c in kept:
            state = assistant.check(c)
            lost += state != "valid"
            print(f"{row.get('question', '')} [{c.marker}] {c.doc_id} {c.start}–{c.end}: {STATES[state]} ({state})")
    return int(lost > 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m qa", description="Ask your documents; the answer quotes them.")
    commands = parser.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="answer one question")
    ask.add_argument("question")
    again = commands.add_parser("check", help="do the citations of answers that were kept still stand?")
    again.add_argument("answers", type=Path, help="a file with the JSON objects that `ask --json` printed, one a line")
    for command in (ask, again):
        command.add_argument("--docs", type=Path, default=Path("seeds"), help="the folder of documents (default: seeds)")
    ask.add_argument("--only", action="append", default=[], metavar="NAME", help="only this document, subfolder or pattern (2021/*.md); may be repeated")
    ask.add_argument("--since", default="", metavar="DATE", help="only documents dated from then on (2021, 2021-06 or 2021-06-30)")
    ask.add_argument("--until", default="", metavar="DATE", help="only documents dated until then")
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    ask.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    ask.add_argument("--answerer", help="a seq2seq model in place of the shipped one")
    ask.add_argument("--template", default="t5", help="prompt format of --answerer: plain, t5 or randeng")
    ask.add_argument("--threshold", type=float, help="the least confidence, 0 to 1, of an answer that is given (default: the calibrated one)")
    ask.add_argument("--free", action="store_true", help="let --answerer write freely; what no passage says is marked as such")
    args = parser.parse_args()
    from index.embed import ModelError
    from index.load import LoadError
    from index.progress import progress_bar
    from index.store import StoreError
    from qa.assistant import Assistant, QuestionError, checked
    from qa.retriever import Scope

    try:
        if args.command == "check":
            return check(Assistant.open(args.docs), args.answers)
        checked(args.question)  # before the models are loaded
        scope = Scope(tuple(args.only), args.since, args.until)
        assistant = Assistant.open(
            args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template, grounded=not args.free,
            threshold=args.threshold, progress=progress_bar(str(args.docs)),
            skipped=lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr),
        )
        answer = assistant.ask(args.question, scope=scope)
    except QuestionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (LoadError, StoreError, ModelError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(as_json(answer) if args.json else as_text(answer))
    return 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output has seen enough (… | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
