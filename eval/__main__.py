"""python -m eval run | reader | compare: measure the whole way, reading alone, and one run against another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.types import GoldError, Report, load_gold


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 1 for an error and for a B that is significantly worse, 130 where broken off."""
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure answers against gold; scores are 0 to 1, with 95% intervals.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="ask every gold question of a folder's documents")
    run.add_argument("--gold", type=Path, default=Path("eval/gold/seeds.jsonl"), help="JSON lines (default: eval/gold/seeds.jsonl)")
    run.add_argument("--docs", type=Path, default=Path("seeds"), help="the folder of documents (default: seeds)")
    run.add_argument("--embedder", help="a sentence-transformers model in place of the shipped one")
    run.set_defaults(do=_run)
    reader = commands.add_parser("reader", help="read given contexts: CMRC 2018, DRCD or SQuAD as .json, .jsonl or .jsonl.zst")
    reader.add_argument("file", type=Path)
    reader.add_argument("--baseline", choices=("first", "overlap"), help="in place of a model: the first sentence, or the one most like the question")
    reader.set_defaults(do=_reader)
    for command in (run, reader):
        command.add_argument("--answerer", help="a seq2seq model in place of the shipped one")
        command.add_argument("--template", default="t5", help="prompt format of --answerer: plain, t5 or randeng")
        command.add_argument("--limit", type=int, help="so many questions, drawn with --seed")
        command.add_argument("--seed", type=int, default=0, help="of the sample and the intervals (default: 0)")
        command.add_argument("--out", type=Path, help="the report; a run that is broken off goes on from OUT.part")
    compare = commands.add_parser("compare", help="two reports over the same questions; exit code 1 where B is significantly worse")
    compare.add_argument("a", type=Path, metavar="A.json")
    compare.add_argument("b", type=Path, metavar="B.json")
    compare.add_argument("--metric", action="append", help="an item score, may be repeated (default: right and f1, where both have them)")
    compare.add_argument("--seed", type=int, default=0)
    compare.set_defaults(do=_compare)
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
    from eval.harness import evaluate, unfindable
    from qa.assistant import Assistant

    gold, part = load_gold(args.gold), _part(args.out)
    assistant = Assistant.open(
        args.docs, embedder=args.embedder, answerer=args.answerer, template=args.template,
        skipped=lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr),
    )
    report = _with_bar(lambda progress: evaluate(assistant, gold, args.limit, args.seed, progress, part))
    if lost := unfindable(assistant, [item for item in gold if item.id in {row["id"] for row in report.items}]):
        print(f"note: no single passage holds the evidence of {len(lost)} questions, which count as not found: {', '.join(lost[:10])}", file=sys.stderr)
    return _finish(report, args.out, part)


def _reader(args: argparse.Namespace) -> int:
    from eval.benchmarks import Baseline, evaluate_reader, load_squad
    from qa.answerer import Answerer, load_answerer

    if args.baseline and args.answerer:
        raise GoldError("--baseline and --answerer exclude each other: name one")
    examples, part = load_squad(args.file), _part(args.out)
    answerer: Answerer = Baseline(args.baseline) if args.baseline else load_answerer(args.answerer, args.template)
    report = _with_bar(lambda progress: evaluate_reader(answerer, examples, args.limit, args.seed, progress, part))
    return _finish(report, args.out, part)


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


def _with_bar(work: Callable[[Callable[[int, int], None]], Report]) -> Report:
    from tqdm import tqdm

    with tqdm(unit="question", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return work(progress)


def _finish(report: Report, out: Path | None, part: Path | None) -> int:
    for line in table(report.metrics):
        print(line)
    if out and part:
        report.save(out)
        part.unlink(missing_ok=True)
        print(f"written to {out}", file=sys.stderr)
    for row in [row for row in report.items if "error" in row][:3]:
        print(f"note: {row['id']} ended in {row['error']}", file=sys.stderr)
    return 0


def table(metrics: dict[str, Any] | Any) -> list[str]:
    """The overall metrics as lines, then one line a type of question."""
    overall = metrics["overall"]
    lines = [f"{'metric':<20}{'mean':>7}  {'95% interval':<16}{'n':>5}"]
    for name, value in overall.items():
        if isinstance(value, dict) and "mean" in value:
            lines.append(f"{name:<20}{value['mean']:>7.3f}  {value['low']:.3f} – {value['high']:.3f}{value['n']:>8}")
    if "risk_coverage" in metrics:
        lines.append(f"{'risk over coverage':<20}{metrics['risk_coverage']['area']:>7.3f}")
    seconds = overall["seconds"]
    lines.append(f"seconds a question: {seconds['p50']:.3f} (p50), {seconds['p95']:.3f} (p95); {overall['items']} questions, {overall['errors']} errors")
    for name, group in metrics.get("by_type", {}).items():
        cells = (f"{key} {group[key]['mean']:.3f}" for key in ("right", "f1", "recall@5") if key in group)
        lines.append(f"  {name:<18}{'  '.join(cells)}  ({group['items']})")
    return lines


if __name__ == "__main__":
    sys.exit(main())
