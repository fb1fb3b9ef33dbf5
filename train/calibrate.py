"""Fit search share, confidence and threshold for one set of weights, on held-out training questions.

    python -m train.calibrate --data DATA --answerer models/answerer --embedder models/embedder

A corpus of contexts that were never trained on; people's questions on them, in-place ones,
adversarial ones without an answer, near misses, and questions whose document is taken out of the corpus.
Writes ``calibration.json`` beside the answerer's weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
import torch

from index.chunk import chunk_document
from index.embed import Embedder
from index.lexical import LexicalIndex
from index.store import PassageStore, searchable
from index.text import sentences
from index.types import Document, Manifest
from qa.answerer import Span, load_answerer
from qa.confidence import Calibration, features
from qa.retriever import Retriever
from train import data as sets
from train.questions import make
from train.rows import is_dev, near_miss

FIRST = 6.0  # the search score's weight beside the reader's log-probability in the choice that the confidence is fitted on
Asked = tuple[str, str, str]  # question, document id, answer ("" where there is none)


def corpus(data: Path, count: int, rng: Random) -> tuple[list[Document], list[Asked]]:
    """Held-out documents, and ``count`` questions with an answer there and about as many without."""
    examples = [x for x in sets.reading(data) if is_dev(x.context) and len(x.context) > 80]
    rng.shuffle(examples)
    articles = [a for name in ("xwlb_cctv_2012_2026", "crud_rag_docs") for a in sets.articles(data, name) if is_dev(a[1])]
    rng.shuffle(articles)
    documents: dict[str, Document] = {}
    asked: list[Asked] = []

    def add(title: str, text: str) -> str:
        key = f"d{len(documents)}"
        known = next((k for k, d in documents.items() if d.text == text), None)
        documents.setdefault(known or key, Document(known or key, title, text, key))
        return known or key

    sources = ("cmrc2018.train", "drcd.dev", "counterterror_news.train", "ncp_policy.train", "squad2_zh_mt.dev")
    ours, others = ([x for x in examples if (x.source == "asked") == own and (own or x.source in sources)] for own in (True, False))

    def drawn(number: int, answered: bool) -> list[sets.Example]:
        """Half of them our own questions, as far as there are any: they are the nearest to what offices ask."""
        own = [x for x in ours if (x.start >= 0) == answered][: number // 2]
        return own + [x for x in others if (x.start >= 0) == answered][: number - len(own)]

    for x in drawn(count, True):
        asked.append((x.question, add(x.title, x.context), x.answer))
    for x in drawn(count // 2, False):
        add(x.title, x.context)
        asked.append((x.question, "", ""))
    texts = {d.text for d in documents.values()}
    spare = [x for x in others if x.start >= 0 and x.context not in texts]
    asked += [(x.question, "", "") for x in spare[: count // 4]]  # its document stays out
    made = 0
    for title, body in articles:
        body = body[:1500]
        s, e = rng.choice(sentences(body))
        question = make(body[s:e], title, rng)
        if question and made < count:
            made += 1
            draw = rng.random()
            if draw < 0.3 and (missed := near_miss(question[0], title + body, rng.choice(articles)[1], rng)):
                add(title, body)
                asked.append((missed, "", ""))
            elif draw < 0.4:  # its document stays out
                asked.append((question[0], "", ""))
            else:
                asked.append((question[0], add(title, body), body[s + question[1] : s + question[2]]))
        elif made >= count:
            break
    return list(documents.values()), asked


def same(said: str, answer: str) -> bool:
    """Whether a span counts as the answer: equal, or one holds the other and is at most 2.5 times as long."""
    a, b = sets.normalised(said), sets.normalised(answer)
    return bool(a and b) and (a == b or ((a in b or b in a) and max(len(a), len(b)) <= 2.5 * min(len(a), len(b))))


def regression(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Logistic regression with a little L2; constant first. ``x`` ``(n, features)``, ``y`` ``(n,)`` 0/1."""
    inputs = torch.tensor(np.c_[np.ones(len(x)), x], dtype=torch.float64)
    target = torch.tensor(y, dtype=torch.float64)
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weights, target) + 1e-3 * weights[1:].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return [round(float(w), 4) for w in weights.detach()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--answerer", type=Path, default=Path("models/answerer"))
    parser.add_argument("--embedder", type=Path, default=Path("models/embedder"))
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--false-refusals", type=float, default=0.08, help="share of the answerable questions that the threshold may refuse here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    documents, asked = corpus(args.data, args.count, Random(args.seed))
    embedder = Embedder(args.embedder)
    passages = [p for d in documents for p in chunk_document(d)]
    texts = [searchable(p) for p in passages]
    manifest = Manifest(1, embedder.name, embedder.dim, 320, 0, {}, len(passages), {})
    store = PassageStore(documents, passages, embedder.encode(texts), LexicalIndex.build(texts), manifest)
    print(f"{len(documents)} documents, {len(passages)} passages, {len(asked)} questions, {sum(not a for _, _, a in asked)} without an answer")

    best = (0.0, 0.0, 0.0)
    for dense in (0.0, 0.2, 0.35, 0.5, 0.65, 1.0):
        retriever = Retriever(store, embedder, dense)
        ranks = []
        for question, doc, answer in asked:
            if answer:
                found = [h.rank for h in retriever.search(question, 10) if h.passage.doc_id == doc and answer in h.passage.text]
                ranks.append(found[0] if found else 99)
        r = np.array(ranks)
        at1, at5 = float((r <= 1).mean()), float((r <= 5).mean())
        print(f"dense {dense:.2f}: recall@1 {at1:.3f} recall@5 {at5:.3f}")
        best = max(best, (at5 + at1 / 2, dense, at5))
    dense = best[1]
    retriever, answerer = Retriever(store, embedder, dense), load_answerer(args.answerer)
    read = [(q, a, answerer.answer(q, retriever.search(q)[:5])) for q, _, a in asked]

    def right(chosen: list[Span | None]) -> np.ndarray:
        texts = [store.documents[s.hit.passage.doc_id].text[s.start : s.end] if s else "" for s in chosen]
        return np.array([bool(text and a) and same(text, a) for text, (_, a, _) in zip(texts, read, strict=True)])

    def traits(question: str, s: Span | None) -> tuple[float, ...]:
        return features(question, s, store.documents[s.hit.passage.doc_id]) if s else (-8.0, -8.0, 0.0, 0.0, 1.0)

    first = [max(spans, key=lambda s: s.score + FIRST * s.hit.score, default=None) for _, _, spans in read]
    weights = regression(np.array([traits(q, s) for (q, _, _), s in zip(read, first, strict=True)]), right(first))
    # The threshold is for what will be served: the span of which the confidence just fitted is surest.
    fitted = Calibration(dense, tuple(weights))
    served = [fitted.best(q, spans, store.documents) for q, _, spans in read]
    chance = np.array([fitted.confidence(q, s, store.documents[s.hit.passage.doc_id]) if s else 0.0 for (q, _, _), s in zip(read, served, strict=True)])
    silent, good = np.array([not a for _, a, _ in read]), right(served)
    print(f"right: {right(first)[~silent].mean():.3f} by score + {FIRST:g} × search, {good[~silent].mean():.3f} by the fitted confidence, as served")
    for share in (0.01, 0.03, 0.05, 0.08, 0.12, 0.2):
        limit = np.quantile(chance[~silent], share)
        print(f"threshold {limit:.3f} refuses {share:.2f} of the answerable, {(chance[silent] < limit).mean():.3f} of the others")
    threshold = float(np.quantile(chance[~silent], args.false_refusals))
    print(f"threshold {threshold:.3f} refuses {(chance[silent] < threshold).mean():.3f} of those without an answer, "
          f"{(chance[good] < threshold).mean():.3f} of the right answers, {(chance[~silent & ~good] < threshold).mean():.3f} of the wrong ones")
    row = {"dense": dense, "weights": weights, "threshold": round(threshold, 3)}
    (args.answerer / "calibration.json").write_text(json.dumps(row) + "\n", "utf-8")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
