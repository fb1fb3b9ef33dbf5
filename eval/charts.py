"""The charts of a report's page: inline SVG whose text stays text and whose colours are the page's own, in light and dark.

Each returns ``{"id", "title", "caption", "svg"}``, title and caption as (Chinese, English). No text of a report goes into a chart.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

# Colours that stand for the page's variables until the SVG is written.
_INK, _SOFT, _LINE, _ACCENT, _TINT = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {_INK: "ink", _SOFT: "soft", _LINE: "line", _ACCENT: "accent", _TINT: "tint"}
_STYLE: Any = {
    "svg.fonttype": "none", "font.size": 10, "text.color": _SOFT, "axes.edgecolor": _LINE, "axes.labelcolor": _SOFT, "xtick.color": _LINE, "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT, "ytick.labelcolor": _SOFT, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": _LINE,
    "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.linewidth": 0.8,
}
_GIVEN = ("（旧报告：只有给出的回答。）", " (An older report: given answers alone.)")


def _chart(id: str, title: tuple[str, str], caption: tuple[str, str], draw: Any, x: tuple[str, str], y: tuple[str, str]) -> dict[str, Any]:
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": id}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Chinese is for the browser's fonts, not for matplotlib's
        figure = Figure(figsize=(4.5, 3.1))
        axes = figure.add_axes((0.105, 0.16, 0.865, 0.7))
        axes.tick_params(length=0, pad=6)
        draw(axes)
        axes.set_xlabel("|".join(x))
        axes.text(-0.1, 1.1, "|".join(y), transform=axes.transAxes)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return {"id": id, "title": title, "caption": caption, "svg": Markup(_inline(out.getvalue(), title))}


def _inline(svg: str, title: tuple[str, str]) -> str:
    """matplotlib's SVG for within a page: no document head, no ids of groups, no style attribute (the page forbids them), two languages."""
    svg = re.sub(r"<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.S)
    size = re.search(r'viewBox="[^"]*"', svg)
    svg = re.sub(r"<svg[^>]*>", f'<svg {size[0] if size else ""} role="img" aria-label="{" ".join(title)}">', svg, count=1)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg).replace("xlink:href", "href")

    def attributes(match: re.Match[str]) -> str:
        pairs = (pair.split(":", 1) for pair in match[1].split(";") if ":" in pair)
        kept = [(name.strip(), value.strip()) for name, value in pairs if not name.strip().startswith("font")]
        return " ".join(f'{name}="var(--{_VARIABLES[value]})"' if value in _VARIABLES else f'{name}="{value}"' for name, value in kept)

    svg = re.sub(r'style="([^"]*)"', attributes, svg)
    return re.sub(r">([^<>|\n]+)\|([^<>|\n]+)</text>", r'><tspan class="zh">\1</tspan><tspan class="en">\2</tspan></text>', svg)


def risk_coverage(risk: Mapping[str, Any], point: Mapping[str, float] | None, right: Sequence[float], total: int, whole: bool) -> dict[str, Any]:
    """The stored curve, the threshold's point, and what the best and no order at all would make of the candidates (``right``: 1 or 0 each).

    Best puts all right candidates first; without an order the risk is the same everywhere (Geifman & El-Yaniv 2017).
    ``whole`` is false where the report knows of given answers alone.
    """
    coverage, wrong = np.array([pair[0] for pair in risk["curve"]], float), np.array([pair[1] for pair in risk["curve"]], float)

    def draw(axes: Any) -> None:
        if right:
            counts = np.arange(1, len(right) + 1)
            best = np.maximum(0, counts - sum(right)) / counts
            axes.plot(counts / total, best, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
            axes.plot([0, len(right) / total], [best[-1]] * 2, color=_SOFT, linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(coverage, wrong, color=_ACCENT, linewidth=1.8)
        if point:
            axes.plot([point["coverage"]], [point["risk"]], "o", color=_ACCENT, markersize=7)
        axes.set(xlim=(0, 1), ylim=(0, min(1.0, max(0.1, 1.12 * float(wrong.max())))))

    chinese = f"平均错误率 {risk['area']:.3f}，越低越好。虚线：最好的排序；点线：不分先后。" + ("" if whole else _GIVEN[0])
    english = f"Mean risk {risk['area']:.3f}, less is better. Dashed: the best order; dotted: no order." + ("" if whole else _GIVEN[1])
    if point:
        chinese = f"圆点：现在的阈值，回答 {point['coverage']:.1%}，其中错 {point['risk']:.1%}。" + chinese
        english = f"Dot: the threshold now, {point['coverage']:.1%} answered, {point['risk']:.1%} of them wrong. " + english
    caption = (chinese, english)
    return _chart("risk", ("风险–覆盖率", "Risk over coverage"), caption, draw, ("回答的比例", "share answered"), ("其中答错的比例", "share wrong among them"))


def bins(pairs: Sequence[tuple[float, float]], count: int = 10) -> tuple[list[tuple[float, float, int]], float]:
    """``([(mean confidence, share right, n), …], error)`` over equal-width bins of ``(confidence, right)`` pairs, empty bins left out.

    The error is the expected calibration error: the mean distance of the two over all pairs (Guo et al. 2017).
    """
    held: dict[int, list[tuple[float, float]]] = {}
    for confidence, right in pairs:
        held.setdefault(min(count - 1, max(0, int(confidence * count))), []).append((confidence, right))
    rows = [(sum(c for c, _ in held[k]) / len(held[k]), sum(r for _, r in held[k]) / len(held[k]), len(held[k])) for k in sorted(held)]
    return rows, sum(abs(sure - right) * n for sure, right, n in rows) / len(pairs) if pairs else 0.0


def reliability(pairs: Sequence[tuple[float, float]], whole: bool) -> dict[str, Any]:
    """Share right in 10 bins of confidence, over ``(confidence, right)`` of every candidate; ``whole`` as in :func:`risk_coverage`."""
    rows, error = bins(pairs)

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
        left = [min(9, max(0, int(sure * 10))) / 10 for sure, _, _ in rows]
        axes.bar(left, [right for _, right, _ in rows], 0.094, align="edge", color=_TINT)
        axes.plot([sure for sure, _, _ in rows], [right for _, right, _ in rows], "o", color=_ACCENT, markersize=5)
        for at, (_, right, n) in zip(left, rows, strict=True):
            axes.text(at + 0.047, max(right, 0) + 0.035, str(n), ha="center", color=_SOFT)
        axes.set(xlim=(0, 1), ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))

    counted = ("没有给出的候选也算，无答案的题算错。", " Withheld candidates count too; where there is no answer they are wrong.") if whole else _GIVEN
    caption = (
        f"点在虚线上：有几分把握就对几分；数字是题数，平均相差 {error:.3f}（ECE）。{counted[0]}",
        f"On the dashed line confidence is how often it is right; numbers count questions, mean distance {error:.3f} (ECE).{counted[1]}",
    )
    return _chart("reliability", ("有几分把握，就对几分吗", "Reliability"), caption, draw, ("把握", "confidence"), ("答对的比例", "share right"))


def latency(seconds: Sequence[float], marks: Mapping[str, float]) -> dict[str, Any]:
    """Histogram (bars) and cumulative share (line) of the seconds a question, with ``marks`` such as p50 and p95."""
    ordered = np.sort(np.asarray(seconds, float))
    scale, unit = (1000.0, ("毫秒", "ms")) if ordered[-1] < 0.5 else (1.0, ("秒", "seconds"))
    ordered = ordered * scale
    wide = bool(ordered[0] > 0 and ordered[-1] > 15 * np.median(ordered))

    def draw(axes: Any) -> None:
        edges = np.geomspace(ordered[0], ordered[-1], 25) if wide else np.linspace(0, max(ordered[-1], 1e-9), 25)
        axes.hist(ordered, edges, weights=np.full(len(ordered), 1 / len(ordered)), color=_TINT, rwidth=0.92)
        axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", color=_ACCENT, linewidth=1.8)
        for name, value in marks.items():
            axes.axvline(value * scale, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
            axes.text(value * scale, 1.01, name, ha="center", color=_SOFT)
        axes.set(ylim=(0, 1), yticks=np.linspace(0, 1, 6))
        if wide:
            axes.set_xscale("log")
            ticks = [t for e in range(-4, 8) for t in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if ordered[0] <= t <= ordered[-1]]
            ticks = ticks if len(ticks) <= 8 else ticks[:: len(ticks) // 6]
            axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
            axes.set_xticks([], minor=True)
        else:
            axes.set_xlim(0, ordered[-1])

    told = [", ".join(f"{name} {value * scale:.3g} {word}" for name, value in marks.items()) for word in unit]
    caption = (f"柱：落在这一段的题；线：到此为止的题。{told[0]}", f"Bars: questions in that span; line: questions up to there. {told[1]}")
    return _chart("latency", ("每题要多久", "Time a question"), caption, draw, unit, ("题目的比例", "share of questions"))
