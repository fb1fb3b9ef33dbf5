"""python -m qa ask "…": one question, answered in the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from qa.types import Answer


def as_json(answer: Answer) -> str:
    row = asdict(answer)
    row["answer"] = row.pop("text")
    order = ("question", "rewritten", "answer", "refused", "confidence", "parts", "citations", "dates", "hits", "seconds", "unsupported")
    return json.dumps({key: row[key] for key in order}, ensure_ascii=False)


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m qa", description="Ask your documents; the answer quotes them.")
    ask = parser.add_subparsers(dest="command", required=True).add_parser("ask", help="answer one question")
    ask.add_argument("question")
    ask.add_argument("--docs", type=Path, default=Path("seeds"), help="the folder of documents (default: seeds)")
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    ask.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    ask.add_argument("--answerer", help="a seq2seq model in place of the shipped one")
    ask.add_argument("--template", default="t5", help="prompt format of --answerer: plain, t5 or randeng")
    ask.add_argument("--free", action="store_true", help="let --answerer write freely; what no passage says is marked as such")
    args = parser.parse_args()
    from index.embed import ModelError
    from index.load import LoadError
    from index.progress import progress_bar
    from index.store import StoreError
    from qa.assistant import Assistant, QuestionError, checked

    try:
        checked(args.question)  # before the models are loaded
        assistant = Assistant.open(
            args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template, grounded=not args.free, progress=progress_bar(str(args.docs)),
            skipped=lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr),
        )
        answer = assistant.ask(args.question)
    except QuestionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (LoadError, StoreError, ModelError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(as_json(answer) if args.json else as_text(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
