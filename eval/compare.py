"""Two reports over the same questions → which is better, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.metrics import mcnemar, paired_bootstrap
from eval.types import GoldError, Report

LEVEL = 0.05
DEFAULT = ("right", "f1")


@dataclass(frozen=True)
class Comparison:
    """B against A on one metric over ``n`` shared questions; ``wins`` are the questions where B scores higher.

    ``difference`` is mean B − mean A with its 95% interval by paired bootstrap; ``p`` is two-sided, by the exact
    McNemar test where every score is 0 or 1, else by the bootstrap (``test`` says which).
    """

    metric: str
    n: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    p: float
    test: str

    @property
    def worse(self) -> bool:
        """Whether B is significantly worse than A."""
        return self.difference < 0 and self.p < LEVEL

    @property
    def verdict(self) -> str:
        """One plain line."""
        numbers = f"{self.a:.3f} → {self.b:.3f}, {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}] over {self.n} questions"
        counts = f"{self.wins} won, {self.losses} lost, {self.n - self.wins - self.losses} alike; p = {self.p:.3g}, {self.test}"
        said = f"B is significantly {'worse' if self.worse else 'better'}" if self.p < LEVEL and self.difference else "no significant difference"
        return f"{self.metric}: {said} ({numbers}; {counts})"


def compare_metric(a: Report, b: Report, metric: str, seed: int = 0, resamples: int = 10_000) -> Comparison:
    """Compare one item score of two reports. ``evidence_rank`` is compared as 1/rank, 0 where not found.

    Questions to which the metric does not apply in either report are left out. Raises GoldError where none is left.
    """
    mine, other = _scores(a.items, metric), _scores(b.items, metric)
    shared = [id for id in mine if id in other]
    if not shared:
        names = sorted({name for row in (*a.items, *b.items) for name in row["scores"]})
        raise GoldError(f"the reports share no question scored by {metric!r}: compare runs over the same questions by one of {', '.join(names)}")
    x, y = [mine[id] for id in shared], [other[id] for id in shared]
    difference, low, high, p = paired_bootstrap(x, y, seed, resamples)
    test = "paired bootstrap"
    if all(value in (0, 1) for value in (*x, *y)):
        p, test = mcnemar(x, y), "McNemar"
    wins, losses = sum(v > u for u, v in zip(x, y, strict=True)), sum(v < u for u, v in zip(x, y, strict=True))
    return Comparison(metric, len(shared), sum(x) / len(x), sum(y) / len(y), difference, low, high, wins, losses, p, test)


def _scores(items: Sequence[Mapping[str, Any]], metric: str) -> dict[str, float]:
    found = {row["id"]: row["scores"].get(metric) for row in items if metric in row["scores"]}
    if metric == "evidence_rank":
        found = {row["id"]: 1 / found[row["id"]] if found[row["id"]] else 0.0 for row in items if row.get("answerable") and row["id"] in found}
    return {id: float(value) for id, value in found.items() if value is not None}


def markdown(reports: Sequence[tuple[str, Report]], metrics: Sequence[str]) -> list[str]:
    """The overall means of named reports with their 95% intervals, as the lines of a Markdown table; "–" where a report has none."""

    def cell(report: Report, metric: str) -> str:
        found = report.metrics["overall"].get(metric)
        return f"{found['mean']:.3f} ({found['low']:.3f}–{found['high']:.3f})" if found else "–"

    lines = ["| | questions | " + " | ".join(metrics) + " | seconds, p50 |", "|---|---|" + "---|" * (len(metrics) + 1)]
    for name, report in reports:
        overall = report.metrics["overall"]
        lines.append(f"| {name} | {overall['items']} | " + " | ".join(cell(report, m) for m in metrics) + f" | {overall['seconds']['p50']:.3f} |")
    return lines


def differing(a: Report, b: Report) -> list[str]:
    """What a reader of the comparison should know: other gold, other questions, errors. Empty where all is alike."""
    read = [tuple(report.manifest.get(name) for name in ("gold_sha256", "benchmark_sha256")) for report in (a, b)]
    notes = ["the two runs read different gold"] if read[0] != read[1] else []
    ids, others = {row["id"] for row in a.items}, {row["id"] for row in b.items}
    if ids != others:
        notes.append(f"only the {len(ids & others)} shared questions are compared ({len(ids - others)} are in A alone, {len(others - ids)} in B alone)")
    for name, report in (("A", a), ("B", b)):
        if errors := sum("error" in row for row in report.items):
            notes.append(f"{errors} questions of {name} ended in an error and count as wrong")
    return notes


def plain(metrics: dict[str, Any] | Any) -> list[str]:
    """The overall metrics as lines, then one line a type of question."""
    overall = metrics["overall"]
    lines = [f"{'metric':<20}{'mean':>7}  {'95% interval':<16}{'n':>5}"]
    for name, value in overall.items():
        if isinstance(value, dict) and "mean" in value:
            lines.append(f"{name:<20}{value['mean']:>7.3f}  {value['low']:.3f} – {value['high']:.3f}{value['n']:>8}")
    if "risk_coverage" in metrics:
        lines.append(f"{'risk over coverage':<20}{metrics['risk_coverage']['area']:>7.3f}")
    for row in metrics.get("orders", ()):
        areas = f"{row['confidence']:.3f} by confidence, {row['alone']:.3f} by the {row['by']} score alone (the same {row['n']} candidates)"
        lines.append(f"  {areas}: {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], p = {row['p']:.3g}")
    seconds = overall["seconds"]
    lines.append(f"seconds a question: {seconds['p50']:.3f} (p50), {seconds['p95']:.3f} (p95); {overall['items']} questions, {overall['errors']} errors")
    for name, group in metrics.get("by_type", {}).items():
        cells = (f"{key} {group[key]['mean']:.3f}" for key in ("right", "f1", "recall@5") if key in group)
        lines.append(f"  {name:<18}{'  '.join(cells)}  ({group['items']})")
    return lines
