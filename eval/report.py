"""A report as one HTML page that needs nothing else: no network, no font, no file beside it. What a report does not hold is left out.

Everything a report says is data of unknown origin: it goes through Jinja2's escaping into text and attributes, never into the
script or the style, which are static and the only ones that the page's Content-Security-Policy lets run (by their hash).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eval.charts import latency, reliability, risk_coverage
from eval.harness import candidate
from eval.metrics import squeezed
from eval.types import GoldError, Report

_HERE = Path(__file__).resolve().parent
# What a reader looks for first, in this order; the rest follows in the table of all metrics.
_KEY = (
    "right", "f1", "exact", "citation_hit", "recall@5", "true_refusal", "false_refusal",
    "rgb", "exact_or_none", "f1_or_none", "recall@1", "mrr", "mrr@10", "ndcg@10", "context_recall@5", "rouge_l", "refused_right", "unanswered",
)
_METRICS = {
    "right": ("答对（宽松）", "Right (lenient)"), "candidate_right": ("候选答对", "Candidate right"), "exact": ("完全一致", "Exact match"), "f1": ("F1", "F1"),
    "contains": ("含标准答案", "Contains gold"), "rouge_l": ("ROUGE-L", "ROUGE-L"), "citation_hit": ("引用支持答案", "Citation supports"),
    "citation_precision": ("引用精度", "Citation precision"), "document_cited": ("引对文档", "Right document"), "offsets_valid": ("位置无误", "Offsets valid"),
    "refused_right": ("拒答判断对", "Refusal decided right"), "true_refusal": ("该拒则拒", "True refusals"), "false_refusal": ("误拒 ↓", "False refusals ↓"),
    "mrr": ("MRR", "MRR"), "exact_or_none": ("完全一致（可拒答）", "Exact or no answer"), "f1_or_none": ("F1（可拒答）", "F1 or no answer"),
    "mrr@10": ("MRR@10", "MRR@10"), "ndcg@10": ("nDCG@10", "nDCG@10"), "rgb": ("含全部答案（RGB）", "Holds all answers (RGB)"),
    "rgb_or_none": ("RGB（可拒答）", "RGB or no answer"), "unanswered": ("误判无答案 ↓", "Wrongly unanswered ↓"),
}
for _k in (1, 3, 5, 10):
    _METRICS |= {f"recall@{_k}": (f"召回@{_k}", f"Recall@{_k}"), f"context_recall@{_k}": (f"原文召回@{_k}", f"Context recall@{_k}")}
_TYPES = {
    "number": "数字", "name": "名称", "unanswerable": "无答案", "list": "列举", "paraphrase": "换个说法", "definition": "定义", "how": "怎样",
    "followup": "追问", "typo": "错别字", "date": "日期", "why": "为什么", "traditional": "繁体",
}
_SECTIONS = {
    "overall": ("总体", "Overall"), "by_type": ("按题型", "By type"), "by_document": ("按文档", "By document"),
    "differences": ("各种检索相比", "One search against another"), "search_seconds": ("每次检索的秒数", "Seconds a search"),
}
_FACTS = {
    "gold": ("题库", "Gold"), "benchmark": ("基准", "Benchmark"),
    "gold_items": ("题库题数", "Gold questions"), "benchmark_items": ("基准题数", "Benchmark questions"),
    "threshold": ("阈值", "Threshold"), "gold_sha256": ("题库校验", "Gold checksum"), "benchmark_sha256": ("基准校验", "Benchmark checksum"),
    "index_sha256": ("索引校验", "Index checksum"),
}
# The score that says whether an item is right, and how to say so: the first that the item has.
_DECIDING = {
    "right": (("答对", "Right"), ("答错", "Wrong")), "exact": (("一致", "Exact"), ("不一致", "Not exact")), "rgb": (("答对", "Right"), ("答错", "Wrong")),
    "refused_right": (("判断对", "Decided right"), ("判断错", "Decided wrong")),
    **{f"{system}:recall@5": (("前五找到", "Found in five"), ("前五没有", "Not in five")) for system in ("read", "reranked")},
    **{f"{system}:context_recall@5": (("前五找到原文", "Context in five"), ("前五没有原文", "No context in five")) for system in ("read", "reranked")},
}


def render(report: Report, name: str) -> str:
    """The page of ``report`` under the title ``name``, in Chinese and English, as one HTML document.

    Raises GoldError where the report's metrics or items are not what `python -m eval` writes.
    """
    try:
        return _page(report, name)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise GoldError(f"{name} holds metrics or items that no `python -m eval` wrote ({error!r}): make the report anew") from error


def save_page(report: Report, path: Path) -> None:
    """Write the page to ``path``, whole or not at all, titled by the file's name. Raises GoldError as :func:`render`, and OSError."""
    page, staging = render(report, path.stem), path.with_name(path.name + ".tmp")
    staging.write_text(page, "utf-8", errors="replace")  # a lone surrogate must not lose the page
    os.replace(staging, path)


def _page(report: Report, name: str) -> str:
    template = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = (_HERE / "report.html").read_text("utf-8")
    sections = [section for key, value in report.metrics.items() if (section := _section(key, value) or _plain(key, value))]
    items = [_item(row) for row in report.items]
    counts = {
        "all": len(items), "right": sum(i["right"] == "1" for i in items), "wrong": sum(i["right"] == "0" for i in items),
        "refused": sum(i["refused"] == "1" for i in items), "error": sum(i["error_flag"] == "1" for i in items),
    }
    labels = {"all": ("全部", "All"), "right": ("对", "Right"), "wrong": ("错", "Wrong"), "refused": ("拒答", "Refused"), "error": ("出错", "Errors")}
    types = sorted({i["type"] for i in items} - {""})
    return template.get_template("report.html").render(
        name=name, style_hash=_hash(source, "style"), script_hash=_hash(source, "script"),
        facts=_facts(report), tiles=_tiles(report.metrics), charts=_charts(report), sections=sections, items=items,
        verdicts=[(key, labels[key], count) for key, count in counts.items() if count or key in ("all", "right", "wrong")],
        types=[(kind, f"{_TYPES[kind]} {kind}" if kind in _TYPES else kind) for kind in types],
        documents=sorted({doc for i in items for doc in json.loads(i["docs"])}),
    )


def _hash(source: str, tag: str) -> str:
    """The CSP source of the template's one ``<tag>`` block, which holds no placeholder."""
    text = source.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(report: Report) -> list[tuple[tuple[str, str], str]]:
    """Where the numbers come from: ``(label, value)`` of what the report holds, checksums cut to 12 characters."""
    order = {key: at for at, key in enumerate(_FACTS)}
    found = [
        (_FACTS.get(key, (key, key)), str(value)[:12] if key.endswith("sha256") else str(value))
        for key, value in sorted(report.manifest.items(), key=lambda pair: order.get(pair[0], len(order))) if isinstance(value, str | int | float)
    ]
    found += [((key, key), f"{value:.6g}") for key, value in report.metrics.get("index", {}).items() if _number(value) is not None]
    found += [((f"权重 {key}", f"Weights {key}"), str(value)) for key, value in report.weights.items()]
    machine = {key: value for key, value in report.machine.items() if key != "finished"}
    found += [
        (("提交", "Commit"), str(report.commit)[:12]), (("完成", "Finished"), str(report.machine.get("finished", ""))),
        (("总用时", "Time in all"), _seconds(report.seconds)), (("随机种子", "Seed"), str(report.seed)),
        (("机器", "Machine"), " · ".join(f"{key} {value}" for key, value in machine.items() if value)),
    ]
    return [(label, value) for label, value in found if value]


def _groups(value: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """``(name, group)`` of each group of means in ``value``, however deep; names of the levels are joined by " · ".

    A group with metrics such as "fused:mrr@10" is one of several systems: it is taken apart by the name before the colon.
    """
    if not isinstance(value, Mapping):
        return
    means = {metric for metric, inner in value.items() if isinstance(inner, Mapping) and "mean" in inner}
    if means and not any(":" in metric for metric in means):
        yield name, value
        return
    if means:
        apart: dict[str, dict[str, Any]] = {}
        for metric in value:
            if metric in means:
                system, _, short = metric.rpartition(":")
                apart.setdefault(system or "·", {"items": value.get("items", "")})[short] = value[metric]
        value = apart
    for key, inner in value.items():
        yield from _groups(inner, f"{name} · {key}" if name else str(key))


def _label(metric: str) -> tuple[str, str]:
    return _METRICS.get(metric, (metric, metric))


def _section(key: str, value: Any) -> dict[str, Any] | None:
    """The table of one part of the metrics; None where it holds no means."""
    rows, order = [], {name: at for at, name in enumerate(_KEY)}
    for name, group in _groups(value):
        cells = {metric: _cell(mean) for metric, mean in group.items() if isinstance(mean, Mapping) and "mean" in mean}
        times = {q: _seconds(group["seconds"][q]) if isinstance(group.get("seconds"), Mapping) and q in group["seconds"] else "" for q in ("p50", "p95")}
        label = (_TYPES.get(name, name), name) if key == "by_type" else (name, name)
        rows.append({"label": label, "cells": cells, "n": group.get("items", max(cell["n"] for cell in cells.values()))} | times)
    names = sorted(dict.fromkeys(metric for row in rows for metric in row["cells"]), key=lambda metric: order.get(metric, len(order)))
    if not rows:
        return None
    shown = names[:7]
    metrics = [{"name": metric, "label": _label(metric)} for metric in names]
    return {
        "title": _SECTIONS.get(key, (key, key)), "rows": rows, "metrics": metrics, "key": metrics[: len(shown)], "more": metrics[len(shown) :],
        "alone": len(rows) == 1 and rows[0]["label"] == ("", ""), "timed": any(row["p50"] for row in rows),
    }


def _plain(key: str, value: Any) -> dict[str, Any] | None:
    """A list of flat objects, or an object of flat objects, as the table it is (such as one system against another)."""
    if isinstance(value, Mapping):
        value = [{"": name, **inner} for name, inner in value.items() if isinstance(inner, Mapping)]
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    columns = list(value[0])
    cells = [[f"{row[c]:.3g}" if isinstance(row.get(c), float) else str(row.get(c, "")) for c in columns] for row in value]
    return {"title": _SECTIONS.get(key, (key, key)), "columns": columns, "plain": cells}


def _cell(value: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and interval as they are written, and as lengths of a bar of 100 units."""
    mean, low, high = (float(value.get(name, value["mean"])) for name in ("mean", "low", "high"))
    left, right, at = (100 * min(1.0, max(0.0, x)) for x in (low, high, mean))
    return {
        "mean": f"{mean:.3f}", "low": f"{low:.3f}", "high": f"{high:.3f}", "n": value.get("n", ""),
        "x": f"{left:.1f}", "width": f"{max(0.0, right - left):.1f}", "at": f"{at:.1f}",
    }


def _tiles(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline: the key metrics of all questions, of the search that the product uses where there are several systems."""
    found = list(_groups(metrics.get("overall")))
    if not found:
        return []
    name, group = next(((name, group) for system in ("read", "reranked") for name, group in found if name.split(" · ")[-1] == system), found[0])
    tiles = []
    for metric in [metric for metric in _KEY if isinstance(group.get(metric), Mapping)][:7]:
        cell, (chinese, english) = _cell(group[metric]), _label(metric)
        label = (f"{name} · {chinese}", f"{name} · {english}") if name else (chinese, english)
        tiles.append({"label": label, "mean": cell["mean"], "note": f"{cell['low']}–{cell['high']}"})
    if isinstance(group.get("seconds"), Mapping) and tiles:
        p50, p95 = (_seconds(group["seconds"][q]) for q in ("p50", "p95"))
        tiles.append({"label": ("耗时 p50", "Time, p50"), "mean": p50, "note": f"p95 {p95}"})
    return tiles


def _charts(report: Report) -> list[dict[str, Any]]:
    rows, found = report.items, []
    sure = [(row, float(row["confidence"])) for row in rows if _number(row.get("confidence")) is not None]
    pairs = [(confidence, right) for row, confidence in sure if (right := candidate(row)) is not None]
    whole = any("withheld" in row for row in rows)  # reports of before hold given answers alone
    risk = report.metrics.get("risk_coverage")
    if isinstance(risk, Mapping) and risk.get("curve"):
        given = [right for row, _ in sure if not row["refused"] and (right := candidate(row)) is not None]
        own = {"coverage": len(given) / len(rows), "risk": 1 - sum(given) / len(given)} if given else None
        found.append(risk_coverage(risk, risk.get("point") or own, [right for _, right in pairs], len(rows), whole))
    if pairs:
        found.append(reliability(pairs, whole))
    times = [seconds for row in rows if (seconds := _number(row.get("seconds"))) is not None and seconds >= 0]
    if len(times) > 1:
        overall = report.metrics.get("overall", {})
        groups = [overall, *(group for _, group in _groups(overall))]
        stored: Mapping[str, Any] = next((group["seconds"] for group in groups if isinstance(group.get("seconds"), Mapping)), {})
        found.append(latency(times, {q: float(stored[q]) for q in ("p50", "p95") if q in stored}))
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _seconds(value: Any) -> str:
    number = float(value)
    return f"{number:.0f} s" if number >= 100 else f"{number:.2f} s" if number >= 0.1 else f"{number * 1000:.1f} ms"


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """One question as the template shows it; of an item only ``id`` and ``scores`` must be there."""
    scores, refused = row["scores"], row.get("refused") is True
    decided = next((name for name in _DECIDING if scores.get(name) is not None), None)
    right = None if decided is None else float(scores[decided]) >= 1
    verdict = ("未判定", "Not judged") if decided is None else _DECIDING[decided][0 if right else 1]
    if "error" in row:
        verdict, right = ("出错", "Error"), False
    elif refused and decided == "right":
        verdict = ("正确拒答", "Rightly refused") if right else ("误拒", "Wrongly refused")
    facts = [(_TYPES.get(row["type"], row["type"]), row["type"])] if row.get("type") else []
    if refused and decided != "right":
        facts.append(("判为无答案", "said: no answer"))
    if (confidence := _number(row.get("confidence"))) is not None:
        facts.append((f"把握 {confidence:.2f}", f"confidence {confidence:.2f}"))
    if (seconds := _number(row.get("seconds"))) is not None:
        facts.append((_seconds(seconds), _seconds(seconds)))
    rewritten = row.get("rewritten")
    return {
        "id": row["id"], "right": "" if right is None else str(int(right)), "refused": str(int(refused)), "error_flag": str(int("error" in row)),
        "sign": "·" if right is None else "✓" if right else "✗", "verdict": verdict, "facts": facts, "type": str(row.get("type") or ""),
        "docs": json.dumps([str(doc) for doc in row.get("doc") or []], ensure_ascii=False), "question": row.get("question", ""),
        "rewritten": rewritten if rewritten != row.get("question") else None, "history": [(turn[0], turn[1]) for turn in row.get("history", [])],
        "answer": row.get("answer"), "gold": row.get("gold"), "error": row.get("error"), "quotes": list(_quotes(row)),
        "scores": [(name, f"{value:.3g}") for name, value in scores.items() if _number(value) is not None],
    }


def _quotes(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What was cited, or withheld, and the gold evidence where no quote holds it, each as text before, in and after the mark."""
    evidence, proved = row.get("evidence") or "", False
    for citation in row.get("citations", []):
        holds = bool(evidence) and squeezed(evidence) in squeezed(citation["quote"])
        proved = proved or holds
        label = ("引文，含标准出处", "Cited, with the gold evidence") if holds else ("引文", "Cited")
        yield {"label": label, "kind": "cited", "place": _place(citation), "parts": _parts(citation)}
    if withheld := row.get("withheld"):
        held = withheld["citation"]
        yield {"label": ("把握不够、没有给出的候选", "Candidate withheld"), "kind": "held", "place": _place(held), "parts": _parts(held)}
    if evidence and not proved:
        answer = next((answer for answer in row.get("gold") or [] if answer in evidence), "")
        before, _, after = evidence.partition(answer) if answer else (evidence, "", "")
        yield {"label": ("标准出处", "Gold evidence"), "kind": "gold", "place": "", "parts": (before, answer, after)}


def _place(citation: Mapping[str, Any]) -> str:
    return " · ".join(dict.fromkeys(str(citation[name]) for name in ("title", "doc_id") if citation.get(name)))


def _parts(citation: Mapping[str, Any]) -> tuple[str, str, str]:
    quote = citation["quote"]
    a, b = (min(max(citation[name] - citation["start"], 0), len(quote)) for name in ("answer_start", "answer_end"))
    return quote[:a], quote[a:b], quote[max(a, b) :]
