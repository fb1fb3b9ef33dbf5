"""Open retrieval: each question of a reading file searched over all its contexts (and distractors), dense, lexical, fused, and ordered by reading."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.benchmarks import Example, read_lines
from eval.harness import collect, commit, digest, means, report, sample, silent
from eval.metrics import contains_answer, mrr, paired_bootstrap, recall_at
from eval.types import GoldError, Report
from index.chunk import chunk_document
from index.embed import Embedder
from index.store import CHUNK_SIZE, PassageStore, searchable
from index.thesaurus import Thesaurus
from index.types import Document, Hit, Passage

if TYPE_CHECKING:
    from qa.answerer import Answerer
    from qa.assistant import Assistant

# Vectors alone, BM25 alone, both with the thesaurus, ranked again by sentences, and with near ties settled by the reader, as the product does.
SYSTEMS = ("dense", "lexical", "fused", "reranked", "read")
PAIRS = (("fused", "dense"), ("fused", "lexical"), ("reranked", "dense"), ("reranked", "lexical"), ("read", "dense"), ("read", "lexical"), ("read", "reranked"))
CUTS = (1, 3, 5, 10)
DEPTH = max(CUTS)
METRICS = (*(f"recall@{k}" for k in CUTS), "mrr@10", "ndcg@10", *(f"context_recall@{k}" for k in CUTS))
BLOCK = 2048  # passages embedded between two writes to disk


def read_distractors(path: str | Path) -> Iterator[tuple[str, str]]:
    """``(title, body)`` of each article: one a line, ``title<TAB>body``, empty lines skipped. Raises GoldError, OSError or RuntimeError."""
    for number, line in enumerate(read_lines(Path(path)), 1):
        if line.strip():
            title, tab, body = line.strip("\r\n").partition("\t")
            if not tab or not body.strip():
                raise GoldError(f"{path}:{number}: one article a line is expected, its title, a tab and its text")
            yield title, body


def evaluate_retrieval(
    embedder: Embedder, examples: Sequence[Example], distractors: Iterable[tuple[str, str]] = (), dense: float = 0.5, limit: int | None = None,
    seed: int = 0, progress: Callable[[int, int], None] = silent, embedding: Callable[[int, int], None] = silent, part: Path | None = None,
    vectors: Path | None = None, about: Mapping[str, Any] | None = None, answerer: Answerer | None = None,
) -> Report:
    """Search each answerable question over the distinct contexts of all ``examples`` and the ``distractors``, cut into passages as documents are.

    A hit counts if it is a passage of a context that the question was made for and holds one of its answers (``recall@k``: at least one
    such hit among the first k, DPR's top-k accuracy, Karpukhin et al. 2020; ``mrr@10``; ``ndcg@10`` with all such passages relevant);
    ``context_recall@k`` asks for any passage of such a context. A question whose answer stands in none of its contexts (CRUD-RAG's are
    written freely) has only the latter; one whose answer the cutting broke counts as not found. A distractor that happens to
    answer counts as a miss. ``limit`` and ``seed`` draw questions, never contexts. Item scores are named ``fused:recall@5`` and so on.

    ``vectors`` is a folder that keeps finished blocks of vectors, for a broken-off run; ``part`` keeps finished questions as in evaluate;
    ``about`` goes into the manifest. ``answerer`` reads near ties for the system ``read``, which is left out without one.
    In memory are all passages and twice their vectors (4 bytes a dimension each). Raises GoldError where no question has a context.
    """
    from qa.assistant import best_odds
    from qa.retriever import RERANK, Retriever, near_ties, settled

    asked = sample([e for e in examples if e.answerable and e.gold], limit, seed)
    if not asked:
        raise GoldError("no question of the file has an answer and a context of its own: choose another file")
    contexts, passages = _passages(examples, distractors)
    store, built = _store(embedder, passages, vectors, embedding)
    plain, shipped = Thesaurus({}, {}), Thesaurus.load()
    settings = ((1.0, 0, plain), (0.0, 0, plain), (dense, 0, shipped), (dense, RERANK, shipped))
    retrievers = {name: Retriever(store, embedder, *setting) for name, setting in zip(SYSTEMS, settings, strict=False)}
    by_context: dict[str, list[Passage]] = {}
    for passage in passages:
        if passage.doc_id.startswith("context-"):
            by_context.setdefault(passage.doc_id, []).append(passage)
    pool = hashlib.sha256()
    for passage in passages:
        pool.update(searchable(passage).encode() + b"\0")
    manifest: dict[str, Any] = {
        **(about or {}), "benchmark_sha256": digest([asdict(e) for e in examples]), "benchmark_items": len(examples), "contexts": len(contexts),
        "passages": len(passages), "passages_of_contexts": sum(map(len, by_context.values())), "passages_sha256": pool.hexdigest(),
        "dense_share": dense, "chunk_size": CHUNK_SIZE,
    }
    weights = {"embedder": embedder.name} | ({"answerer": answerer.name} if answerer else {})

    def searches(question: str) -> Iterator[tuple[str, tuple[Hit, ...], float]]:
        """Each system's hits, and the seconds they took."""
        for name, retriever in retrievers.items():
            began = time.perf_counter()
            hits = retriever.search(question, DEPTH)
            yield name, hits, (seconds := time.perf_counter() - began)
        if answerer:  # after the last of them
            began = time.perf_counter()
            ties = near_ties(hits)
            hits = settled(hits, best_odds(answerer.answer(question, ties))) if ties else hits
            yield "read", hits, seconds + time.perf_counter() - began

    def one(example: Example) -> dict[str, Any]:
        docs = {contexts[example.contexts[n]] for n in example.gold}
        mine = [p for doc in docs for p in by_context.get(doc, [])]
        bearing = {p.id for p in mine if contains_answer(p.text, example.answers, folded=True)}
        quoted = bool(bearing) or any(contains_answer(example.contexts[n], example.answers, folded=True) for n in example.gold)
        row: dict[str, Any] = {"id": example.id, "question": example.question, "gold": list(example.answers), "relevant": len(bearing)}
        ranks: dict[str, Any] = {}
        seconds: dict[str, float] = {}
        scores: dict[str, float | None] = {}
        for name, hits, seconds[name] in searches(example.question):
            found = [hit.rank for hit in hits if hit.passage.id in bearing]
            context = next((hit.rank for hit in hits if hit.passage.doc_id in docs), None)
            ranks[name] = {"passage": found[0] if found else None, "context": context}
            scores |= {f"{name}:{metric}": value for metric, value in rank_scores(found, context, len(bearing), quoted).items()}
        return row | {"ranks": ranks, "seconds": seconds[name], "seconds_by_system": seconds, "scores": scores}

    items = collect(asked, one, manifest | weights | {"commit": commit()}, part, progress)
    metrics = {"overall": means(items, seed), "differences": _differences(items, seed), "search_seconds": _seconds(items), "index": built}
    return report(metrics, items, manifest, weights, seed)


def rank_scores(found: Sequence[int], context: int | None, relevant: int, quoted: bool) -> dict[str, float | None]:
    """The scores of one question by one search, each from 0 to 1.

    ``found`` are the ranks (from 1) of the hits that count, out of ``relevant`` passages that would; ``context`` is the best rank of a
    passage of the right context. None where ``quoted`` is false, for the scores that need an answer to be found.
    """
    first = [found[0] if found else None]
    gain = sum(1 / math.log2(1 + rank) for rank in found)
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(relevant, DEPTH) + 1))
    scores: dict[str, float | None] = {"mrr@10": mrr(first), "ndcg@10": gain / ideal if ideal else 0.0}
    scores |= {f"recall@{k}": recall_at(first, k) for k in CUTS}
    return (scores if quoted else dict.fromkeys(scores)) | {f"context_recall@{k}": recall_at([context], k) for k in CUTS}


def _passages(examples: Sequence[Example], distractors: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[Passage]]:
    """The document id of each distinct context, and the passages of contexts and distractors; a distractor that is a context is left out."""
    contexts: dict[str, str] = {}
    passages: list[Passage] = []
    for example in examples:
        for text in example.contexts:
            if text not in contexts:
                contexts[text] = f"context-{len(contexts) + 1}"
                passages += chunk_document(Document(contexts[text], example.title, text, ""), CHUNK_SIZE)
    for number, (title, body) in enumerate(distractors, 1):
        if body not in contexts:
            passages += chunk_document(Document(f"distractor-{number}", title, body, ""), CHUNK_SIZE)
    return contexts, passages


def _store(embedder: Embedder, passages: list[Passage], folder: Path | None, progress: Callable[[int, int], None]) -> tuple[PassageStore, dict[str, Any]]:
    """The passages as the product indexes them, and what that cost: passages/s embedded (None where all came from disk), bytes on disk."""
    vectors, fresh, seconds = embedded(embedder, [searchable(p) for p in passages], folder, progress)
    store = PassageStore.of(embedder, [], passages, vectors)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store.save(Path(place) / "index")
        size = sum(p.stat().st_size for p in Path(place).rglob("*") if p.is_file())
    rate = fresh / seconds if fresh else None
    return store, {"passages": len(passages), "embedded_per_second": rate, "bytes": size, "bytes_per_thousand_passages": 1000 * size / len(passages)}


def crowded(
    assistant: Assistant, distractors: Iterable[tuple[str, str]], folder: Path | None = None, progress: Callable[[int, int], None] = silent
) -> Assistant:
    """``assistant`` over its own documents and ``distractors`` (``(title, body)``) together, in memory; ``folder`` as in :func:`embedded`.

    A distractor that holds a passage of its own documents is left out: an answer from there would count as a wrong one."""
    from qa.retriever import Retriever

    own = assistant.store
    extra = [
        Document(f"distractor-{number}", title, body, "") for number, (title, body) in enumerate(distractors, 1)
        if not any(passage.text in body for passage in own.passages)
    ]
    added = [passage for document in extra for passage in chunk_document(document, CHUNK_SIZE)]
    texts = [searchable(passage) for passage in added]
    vectors, _, _ = embedded(assistant.retriever.embedder, texts, folder, progress)
    embedder = assistant.retriever.embedder
    store = PassageStore.of(embedder, [*own.documents.values(), *extra], own.passages + added, np.concatenate([own.vectors, vectors]), own.manifest.documents)
    store.manifest = replace(store.manifest, checksums={**own.manifest.checksums, "distractors": digest(texts)})
    retriever = Retriever(store, embedder, assistant.retriever.dense)
    return type(assistant)(store, retriever, assistant.answerer, assistant.calibration, assistant.threshold)


def embedded(embedder: Embedder, texts: Sequence[str], folder: Path | None, progress: Callable[[int, int], None] = silent) -> tuple[np.ndarray, int, float]:
    """``(len(texts), dim)`` vectors, how many of them were embedded now, and the seconds that took.

    With ``folder`` each block of texts is kept there at once, named by the checksum of embedder and texts, and taken from there if it is there.
    """
    vectors = np.zeros((len(texts), embedder.dim), np.float32)
    done, fresh, seconds = 0, 0, 0.0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        progress(done, len(texts))

    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    for at in range(0, len(texts), BLOCK):
        block = texts[at : at + BLOCK]
        path = folder / f"{digest([embedder.name, embedder.dim, list(block)])}.npy" if folder else None
        if path and path.exists():
            vectors[at : at + BLOCK] = np.load(path)  # written whole or not at all
            advance(len(block))
            continue
        began = time.perf_counter()
        vectors[at : at + BLOCK] = embedder.encode(block, advance)
        seconds += time.perf_counter() - began
        fresh += len(block)
        if path:
            staging = path.with_suffix(".tmp")
            with staging.open("wb") as file:
                np.save(file, vectors[at : at + BLOCK])
            os.replace(staging, path)
    return vectors, fresh, seconds


def forget(folder: Path) -> None:
    """Remove the blocks that :func:`embedded` kept in ``folder``, and the folder where nothing else is in it."""
    for path in (*folder.glob("*.npy"), *folder.glob("*.tmp")):
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _differences(items: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Each pair of PAIRS by each metric, over the same questions: paired bootstrap."""
    found = []
    for system, other in PAIRS:
        for metric in METRICS:
            pairs = [(row["scores"].get(f"{other}:{metric}"), row["scores"].get(f"{system}:{metric}")) for row in items]
            pairs = [(a, b) for a, b in pairs if a is not None and b is not None]
            if pairs:
                difference, low, high, p = paired_bootstrap([a for a, _ in pairs], [b for _, b in pairs], seed)
                row = {"metric": metric, "system": system, "against": other, "difference": difference, "low": low, "high": high, "p": p, "n": len(pairs)}
                found.append(row)
    return found


def _seconds(items: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The median and 95th percentile of a query's seconds by system, the question's own embedding included."""
    times = {name: [row["seconds_by_system"][name] for row in items] for name in items[0]["seconds_by_system"]}
    return {name: {f"p{q}": float(np.percentile(values, q)) for q in (50, 95)} for name, values in times.items()}


def table(found: Report) -> list[str]:
    """The report as lines: the systems side by side, those of PAIRS against each other, times and sizes."""
    overall, manifest = found.metrics["overall"], found.manifest
    systems = list(found.metrics["search_seconds"])
    lines = [f"{'metric':<18}" + "".join(f"{name:<25}" for name in systems) + "n"]
    for metric in METRICS:
        cells = [overall.get(f"{name}:{metric}") for name in systems]
        if all(cells):
            lines.append(f"{metric:<18}" + "".join(f"{c['mean']:.3f} [{c['low']:.3f}–{c['high']:.3f}]    " for c in cells) + str(cells[0]["n"]))
    lines.append("paired bootstrap, each p on its own:")
    lines.append(f"{'':<18}" + "".join(f"{f'{system} against {other}':<40}" for system, other in PAIRS if system in systems).rstrip())
    for metric in METRICS:
        tested = [d for d in found.metrics["differences"] if d["metric"] == metric]
        cells = [f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] p = {d['p']:.3g}" for d in tested]
        if cells:
            lines.append(f"{metric:<18}" + "".join(f"{cell:<40}" for cell in cells).rstrip())
    times = "; ".join(f"{name} {t['p50']:.4f} (p50), {t['p95']:.4f} (p95)" for name, t in found.metrics["search_seconds"].items())
    built = found.metrics["index"]
    rate = f"{built['embedded_per_second']:.1f} passages/s embedded" if built["embedded_per_second"] else "all vectors were on disk"
    size = f"{built['bytes_per_thousand_passages'] / 1e6:.2f} MB of index a thousand passages"
    unquoted = [row for row in found.items if row["scores"]["reranked:recall@1"] is None]
    if broken := sum(row["relevant"] == 0 for row in found.items) - len(unquoted):
        lines.append(f"{broken} questions count as not found: their answer was cut in two, no passage holds it whole")
    if unquoted:
        lines.append(f"{len(unquoted)} questions have context_recall alone: their answer stands in no context of theirs")
    lines += [
        f"seconds a question: {times}",
        f"{manifest['passages']} passages, {manifest['passages_of_contexts']} of them of the file's {manifest['contexts']} contexts; {rate}; {size}",
    ]
    return lines
