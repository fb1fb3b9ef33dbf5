"""python -m eval run | reader | retrieval | speed | report | compare | table | draft: measure the whole way, or its parts; show, compare, draft gold."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eval.benchmarks import FORMATS
from eval.types import GoldError, Report, load_gold


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 1 for an error and for a B that is significantly worse, 130 where broken off."""
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure answers against gold; scores are 0 to 1, with 95% intervals.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="ask every gold question of a folder's documents")
    run.add_argument("--gold", type=Path, default=Path("eval/gold/seeds.jsonl"), help="JSON lines (default: eval/gold/seeds.jsonl)")
    run.add_argument("--docs", type=Path, default=Path("seeds"), help="the folder of documents (default: seeds)")
    run.add_argument("--distractors", type=Path, help="more articles to get lost in: one a line, title<TAB>text, may be .zst")
    run.add_argument("--distractor-count", type=int, help="only the first so many of them")
    run.add_argument("--vectors", type=Path, help="a folder that keeps the distractors' vectors for further runs")
    run.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    run.set_defaults(do=_run)
    reader = commands.add_parser("reader", help="read given contexts: CMRC 2018, DRCD, SQuAD, DuReader_robust, XQuAD, CJRC, RGB or CRUD-RAG")
    reader.add_argument("--noise", type=float, default=0.0, help="RGB: the share of noise among five passages; 1: nothing but noise (default: 0)")
    reader.add_argument("--baseline", choices=("first", "overlap"), help="in place of a model: the first sentence, or the one most like the question")
    reader.set_defaults(do=_reader)
    retrieval = commands.add_parser("retrieval", help="search each question of such a file over all its contexts: dense, lexical, fused, reranked, read")
    retrieval.add_argument("--distractors", type=Path, help="more articles to search: one a line, title<TAB>text, may be .zst")
    retrieval.add_argument("--dense-share", type=float, help="the vectors' share in fused search (default: the shipped one)")
    retrieval.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    retrieval.add_argument("--vectors", type=Path, help="a folder that keeps the passages' vectors for further runs (default: OUT.vectors, until done)")
    retrieval.set_defaults(do=_retrieval)
    speed = commands.add_parser("speed", help="embedding and reading beside a BERT of bge-small-zh's shape that is made on the spot, in one run")
    speed.add_argument("--docs", type=Path, default=Path("seeds"), help="the folder of documents (default: seeds)")
    speed.add_argument("--questions", type=int, default=40, help="so many questions, drafted from the documents (default: 40)")
    speed.add_argument("--passages", type=int, default=96, help="so many passages a round (default: 96)")
    speed.add_argument("--rounds", type=int, default=3, help="so many rounds of embedding in turns (default: 3)")
    speed.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    speed.add_argument("--out", type=Path, help="the figures, as JSON")
    speed.set_defaults(do=_speed)
    for command in (reader, retrieval):
        command.add_argument("file", type=Path, help="JSON or JSON lines, UTF-8, may be .zst")
        command.add_argument("--format", help="in place of the format told from the content: " + ", ".join(FORMATS))
    for command in (run, reader, retrieval, speed):
        command.add_argument("--answerer", help="a seq2seq model in place of the shipped one")
        command.add_argument("--template", default="t5", help="prompt format of --answerer: plain, t5 or randeng")
    for command in (run, reader, retrieval):
        command.add_argument("--limit", type=int, help="so many questions, drawn with --seed")
        command.add_argument("--seed", type=int, default=0, help="of the sample and the intervals (default: 0)")
        command.add_argument("--out", type=Path, help="the report; a run that is broken off goes on from OUT.part")
        command.add_argument("--html", type=Path, help="the report as a page to look at" + (" (default: beside OUT, as .html)" if command is run else ""))
    page = commands.add_parser("report", help="a report as a page to look at: charts, tables, every question; needs no network")
    page.add_argument("report", type=Path, metavar="REPORT.json")
    page.add_argument("--out", type=Path, help="the page (default: beside the report, as .html)")
    page.set_defaults(do=_report)
    compare = commands.add_parser("compare", help="two reports over the same questions; exit code 1 where B is significantly worse")
    compare.add_argument("a", type=Path, metavar="A.json")
    compare.add_argument("b", type=Path, metavar="B.json")
    compare.add_argument("--metric", action="append", help="an item score, may be repeated (default: right and f1, where both have them)")
    compare.add_argument("--seed", type=int, default=0)
    compare.set_defaults(do=_compare)
    beside = commands.add_parser("table", help="the overall means of reports, side by side, as a Markdown table")
    beside.add_argument("reports", type=Path, nargs="+", metavar="REPORT.json")
    beside.add_argument("--metric", action="append", help="may be repeated (default: exact and f1)")
    beside.add_argument("--together", action="store_true", help="also the figures over the questions of all of them, of one run each")
    beside.set_defaults(do=_table)
    draft = commands.add_parser("draft", help="propose gold questions on a folder's documents, for a person to correct")
    draft.add_argument("folder", type=Path)
    draft.add_argument("--out", type=Path, help="the gold file to write (default: print the lines)")
    draft.add_argument("--count", type=int, default=40, help="so many questions, one in eight of them unanswerable (default: 40)")
    draft.add_argument("--seed", type=int, default=0)
    draft.add_argument("--force", action="store_true", help="overwrite OUT")
    draft.set_defaults(do=_draft)
    args = parser.parse_args(argv)
    try:
        code: int = args.do(args)
        return code
    except KeyboardInterrupt:
        print("\nbroken off" + (": the same command goes on from here" if getattr(args, "out", None) else ""), file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}", file=sys.stderr)
        return 1
    except (RuntimeError, ValueError) as error:  # GoldError, LoadError, StoreError and ModelError among them
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    from eval.draft import unreviewed
    from eval.harness import evaluate, unfindable
    from qa.assistant import Assistant

    if not args.distractors and (args.distractor_count is not None or args.vectors):
        raise GoldError("--distractor-count and --vectors are for --distractors FILE: name that too")
    if args.distractor_count is not None and args.distractor_count < 1:
        raise GoldError("--distractor-count is 1 at least")
    gold, part, html = load_gold(args.gold), _part(args.out), _html(args.html, args.out)
    if drafts := unreviewed(args.gold):
        print(f"note: {drafts} of {len(gold)} questions are drafts that nobody has reviewed; what they measure is doubtful", file=sys.stderr)
    assistant = Assistant.open(
        args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template,
        skipped=lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr),
    )
    about = {"gold": args.gold.name}
    if args.distractors:
        from itertools import islice

        from eval.retrieval import crowded, read_distractors
        from index.progress import progress_bar

        articles = islice(read_distractors(args.distractors), args.distractor_count)
        assistant = crowded(assistant, articles, args.vectors, progress_bar("embedding"))
        about |= {"distractors": args.distractors.name}
    report = _with_bar(lambda progress: evaluate(assistant, gold, args.limit, args.seed, progress, part))
    report = replace(report, manifest={**about, **report.manifest})
    if lost := unfindable(assistant, [item for item in gold if item.id in {row["id"] for row in report.items}]):
        print(f"note: no single passage holds the evidence of {len(lost)} questions, which count as not found: {', '.join(lost[:10])}", file=sys.stderr)
    return _finish(report, args.out, part, html=html)


def _reader(args: argparse.Namespace) -> int:
    from eval.benchmarks import load_benchmark
    from eval.compare import plain
    from eval.reader import Baseline, evaluate_reader, explained
    from qa.answerer import Answerer, load_answerer

    if args.baseline and args.answerer:
        raise GoldError("--baseline and --answerer exclude each other: name one")
    examples, part = load_benchmark(args.file, args.format, args.noise, args.seed), _part(args.out)
    html = _html(args.html, args.out) if args.html else None
    answerer: Answerer = Baseline(args.baseline) if args.baseline else load_answerer(args.answerer, args.template)
    about = {"noise": args.noise} if args.noise or examples[0].parts else {}
    report = _with_bar(lambda progress: evaluate_reader(answerer, examples, args.limit, args.seed, progress, part, about))
    report = replace(report, manifest={"benchmark": args.file.name, **report.manifest})
    return _finish(report, args.out, part, [*plain(report.metrics), explained(report)], html)


def _retrieval(args: argparse.Namespace) -> int:
    from eval import retrieval
    from eval.benchmarks import load_benchmark
    from index.embed import Embedder
    from index.progress import progress_bar
    from qa.answerer import DEFAULT, load_answerer
    from qa.confidence import Calibration

    examples, part = load_benchmark(args.file, args.format, None, args.seed), _part(args.out)
    html = _html(args.html, args.out) if args.html else None
    dense = Calibration.load(DEFAULT).dense if args.dense_share is None else args.dense_share
    if not 0 <= dense <= 1:
        raise GoldError(f"the dense share is {dense}: choose one between 0 and 1")
    passing = args.out.with_name(args.out.name + ".vectors") if args.out and not args.vectors else None
    distractors = retrieval.read_distractors(args.distractors) if args.distractors else ()
    about = {"distractors": args.distractors.name} if args.distractors else {}
    embedder, answerer = Embedder(args.embedder), load_answerer(args.answerer, args.template)
    embedding, kept = progress_bar("embedding"), args.vectors or passing
    report = _with_bar(lambda progress: retrieval.evaluate_retrieval(
        embedder, examples, distractors, dense, args.limit, args.seed, progress, embedding, part, kept, about, answerer
    ))
    report = replace(report, manifest={"benchmark": args.file.name, **report.manifest})
    code = _finish(report, args.out, part, retrieval.table(report), html)
    if passing:
        retrieval.forget(passing)
    return code


def _speed(args: argparse.Namespace) -> int:
    from eval.draft import draft
    from eval.speed import lines, measure
    from qa.assistant import Assistant

    if min(args.questions, args.rounds, args.passages) < 1:
        raise GoldError("--questions, --rounds and --passages are 1 at least")
    _part(args.out)

    def skipped(name: str, why: str) -> None:
        print(f"skipped {name}: {why}", file=sys.stderr)

    assistant = Assistant.open(args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template, skipped=skipped)
    questions = [item.question for item in draft(args.docs, args.questions, 0, lambda name, why: None)]
    found = measure(assistant, questions, args.rounds, args.passages)
    print("\n".join(lines(found)))
    if args.out:
        args.out.write_text(json.dumps(found) + "\n", "utf-8")
    return 0


def _report(args: argparse.Namespace) -> int:
    report = Report.open(args.report)
    _finish_page(report, _html(args.out, args.report))
    return 0


def _table(args: argparse.Namespace) -> int:
    from eval.compare import markdown, plain
    from eval.harness import summarise

    metrics = args.metric or ["exact", "f1"]
    reports = [(path.stem, Report.open(path)) for path in args.reports]
    if unknown := [m for m in metrics if not any(m in report.metrics["overall"] for _, report in reports)]:
        raise GoldError(f"no report has {unknown[0]!r}: choose from {', '.join(k for k, v in reports[0][1].metrics['overall'].items() if isinstance(v, dict))}")
    print("\n".join(markdown(reports, metrics)))
    if args.together:
        items = [row for _, report in reports for row in report.items]
        print("\n" + "\n".join(plain(summarise(items, reports[0][1].seed))))
    return 0


def _draft(args: argparse.Namespace) -> int:
    from eval.draft import draft, lines, writable

    if args.out:
        writable(args.out, args.force)
    found = draft(args.folder, args.count, args.seed, lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr))
    text = "".join(line + "\n" for line in lines(found))
    if args.out:
        args.out.write_text(text, "utf-8")
    else:
        print(text, end="")
    where = f" in {args.out}" if args.out else ""
    print(f'{len(found)} of {args.count} questions drafted{where}: correct each, then take its "status" out', file=sys.stderr)
    return 0


def _compare(args: argparse.Namespace) -> int:
    from eval.compare import DEFAULT, compare_metric, differing

    a, b = Report.open(args.a), Report.open(args.b)
    for note in differing(a, b):
        print(f"note: {note}", file=sys.stderr)
    scored = [{name for row in report.items for name in row["scores"]} for report in (a, b)]
    found = [compare_metric(a, b, metric, args.seed) for metric in args.metric or [name for name in DEFAULT if name in scored[0] & scored[1]]]
    if not found:
        raise GoldError("the reports share no score: name one with --metric")
    for comparison in found:
        print(comparison.verdict)
    return int(any(comparison.worse for comparison in found))


def _part(out: Path | None) -> Path | None:
    if out is None:
        return None
    if out.is_dir():
        raise GoldError(f"{out} is a folder: --out must name a file")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.with_name(out.name + ".part")


def _html(named: Path | None, report: Path | None = None) -> Path | None:
    """Where the page goes: as named, or beside ``report``. Raises GoldError where that is a folder or the report itself."""
    path = named or (report.with_suffix(".html") if report else None)
    if path and path.is_dir():
        raise GoldError(f"{path} is a folder: name a file for the page")
    if path and report and path.resolve() == report.resolve():
        raise GoldError(f"{path} would be both the report and its page: let the report's name end in .json")
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _finish_page(report: Report, path: Path | None) -> None:
    if path:
        from eval.report import save_page

        save_page(report, path)
        print(f"to look at: {path}", file=sys.stderr)


def _with_bar(work: Callable[[Callable[[int, int], None]], Report]) -> Report:
    from tqdm import tqdm

    with tqdm(unit="question", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return work(progress)


def _finish(report: Report, out: Path | None, part: Path | None, lines: list[str] | None = None, html: Path | None = None) -> int:
    from eval.compare import plain

    for line in lines or plain(report.metrics):
        print(line)
    if out and part:
        report.save(out)
        part.unlink(missing_ok=True)
        print(f"written to {out}", file=sys.stderr)
    _finish_page(report, html)
    for row in [row for row in report.items if "error" in row][:3]:
        print(f"note: {row['id']} ended in {row['error']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
