"""Fit search share, confidences and threshold for one set of weights, on held-out training questions.

    python -m train.calibrate --data DATA --answerer models/answerer --embedder models/embedder

A corpus of contexts that were never trained on; people's questions on them, in-place ones,
adversarial ones without an answer, near misses, questions whose document is taken out of the corpus, and questions of yes and no.
Writes ``calibration.json`` beside the answerer's weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from index.chunk import chunk_document
from index.embed import Embedder
from index.store import PassageStore, searchable
from index.text import sentences
from index.types import Document, Hit
from qa.answerer import Span, load_answerer
from qa.assistant import READ, Assistant, worth_reading
from qa.compose import SURE, text_of
from qa.confidence import Calibration, features, judging
from qa.retriever import Retriever
from train import data as sets
from train.questions import make, near_miss
from train.rows import is_dev, split

VERDICTS = ("yes", "no", "unknown")
Asked = tuple[str, str, str, str]  # question, document id, answer ("" where there is none), kind


def corpus(data: Path, count: int, rng: Random) -> tuple[list[Document], list[Asked]]:
    """Held-out documents, and ``count`` questions with an answer there and about as many without."""
    examples = [x for x in split(sets.reading(data))[1] if len(x.context) > 80]
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
    ours = [x for x in examples if x.source == "asked" and x.kind not in ("yes", "no", "unknown", "item")]
    others = [x for x in examples if x.source in sources]

    def drawn(number: int, answered: bool) -> list[sets.Example]:
        """Two thirds of them our own questions, as far as there are any: they are the nearest to what offices ask."""
        own = [x for x in ours if (x.start >= 0) == answered][: number * 2 // 3]
        return own + [x for x in others if (x.start >= 0) == answered][: number - len(own)]

    for x in drawn(count, True):
        asked.append((x.question, add(x.title, x.context), x.answer, x.kind))
    for x in drawn(count // 2, False):
        add(x.title, x.context)
        asked.append((x.question, "", "", x.kind))
    texts = {d.text for d in documents.values()}
    spare = [x for x in others if x.start >= 0 and x.context not in texts]
    asked += [(x.question, "", "", "") for x in spare[: count // 4]]  # its document stays out
    made = 0
    for title, body in articles:
        body = body[:1500]
        s, e = rng.choice(sentences(body))
        question = make(body[s:e], title, rng)
        if question and made < count // 3:  # they share more words with the text than people's
            made += 1
            draw = rng.random()
            if draw < 0.3 and (missed := near_miss(question[0], title + body, rng.choice(articles)[1], rng)):
                add(title, body)
                asked.append((missed, "", "", ""))
            elif draw < 0.4:  # its document stays out
                asked.append((question[0], "", "", ""))
            else:
                asked.append((question[0], add(title, body), body[s + question[1] : s + question[2]], ""))
        elif made >= count // 3:
            break
    for x in sets.raw_asked(data, sets.HELD):
        asked.append((x.question, add(x.title, x.context), x.answer, x.kind))
    return list(documents.values()), asked


def same(said: str, answer: str) -> bool:
    """Whether a span counts as the answer: equal, or one holds the other and is at most 2.5 times as long."""
    a, b = sets.normalised(said), sets.normalised(answer)
    return bool(a and b) and (a == b or ((a in b or b in a) and max(len(a), len(b)) <= 2.5 * min(len(a), len(b))))


def best_of_each(spans: Sequence[Span]) -> list[Span]:
    """The most probable span of each passage."""
    found: dict[str, Span] = {}
    for span in sorted(spans, key=lambda s: -s.score):
        found.setdefault(span.hit.passage.id, span)
    return list(found.values())


def regression(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Logistic regression with a little L2 on weights of standardised features; constant first. ``x`` ``(n, features)``, ``y`` ``(n,)`` 0/1."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    inputs = torch.tensor(np.c_[np.ones(len(x)), (x - mean) / spread], dtype=torch.float64)
    target = torch.tensor(y, dtype=torch.float64)
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weights, target) + 1e-3 * weights[1:].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    constant, *slopes = weights.detach().tolist()
    slopes = [slope / by for slope, by in zip(slopes, spread.tolist(), strict=True)]
    return [round(w, 4) for w in (constant - sum(slope * m for slope, m in zip(slopes, mean.tolist(), strict=True)), *slopes)]


def store_of(embedder: Embedder, documents: Sequence[Document]) -> PassageStore:
    """An index of ``documents`` in memory, cut as always."""
    passages = [p for d in documents for p in chunk_document(d)]
    return PassageStore.of(embedder, list(documents), passages, embedder.encode([searchable(p) for p in passages]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--answerer", type=Path, default=Path("models/answerer"))
    parser.add_argument("--embedder", type=Path, default=Path("models/embedder"))
    parser.add_argument("--count", type=int, default=600, help="answerable questions of people; the other kinds in proportion")
    parser.add_argument("--lost", type=int, default=4000, help="held-out articles among which the share of vectors in search is chosen")
    parser.add_argument("--false-refusals", type=float, default=0.08, help="share of the answerable questions that the threshold may refuse here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    documents, asked = corpus(args.data, args.count, Random(args.seed))
    embedder = Embedder(args.embedder)
    store = store_of(embedder, documents)
    print(f"{len(documents)} documents, {len(store.passages)} passages, {len(asked)} questions, {sum(not a for _, _, a, _ in asked)} without an answer")

    # Which share of vectors finds best, is looked for among many more articles.
    lost = [(t, text) for name in ("xwlb_cctv_2012_2026", "crud_rag_docs") for t, text in sets.articles(args.data, name) if is_dev(text)]
    taken = {d.text for d in documents}
    more = [Document(f"lost-{n}", t, text, "") for n, (t, text) in enumerate(lost[:: max(1, len(lost) // max(1, args.lost))]) if text not in taken]
    crowd = store_of(embedder, [*documents, *more])

    def holds(hit: Hit, doc: str, answer: str) -> bool:
        return hit.passage.doc_id == doc and answer in hit.passage.text

    found: list[tuple[float, float]] = []
    for dense in (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0):
        retriever = Retriever(crowd, embedder, dense)
        ranks = []
        for question, doc, answer, _ in asked:
            if answer:
                places = [h.rank for h in retriever.search(question, 10) if holds(h, doc, answer)]
                ranks.append(places[0] if places else np.inf)
        r = np.array(ranks)
        found.append((float((1 / r).mean()), dense))
        told = f"recall@1 {(r <= 1).mean():.3f} recall@5 {(r <= 5).mean():.3f} mrr@10 {found[-1][0]:.4f}"
        print(f"dense {dense:.2f} among {len(crowd.passages)} passages: {told}")
    dense = max(found)[1]
    chosen, read, kept = Retriever(crowd, embedder, dense), [], []
    for question, doc, answer, _ in asked:
        hits = chosen.search(question)
        read.append(len(worth_reading(hits)))
        if answer and any(holds(hit, doc, answer) for hit in hits[:READ]):
            kept.append(any(holds(hit, doc, answer) for hit in worth_reading(hits)))
    print(f"worth reading there: {np.mean(read):.1f} of {READ} passages; of {len(kept)} questions {len(kept) - sum(kept)} lose theirs")
    retriever, answerer = Retriever(store, embedder, dense), load_answerer(args.answerer)
    assistant = Assistant(store, retriever, answerer, Calibration(dense))
    candidates = [(row, assistant.candidates(row[0], worth_reading(retriever.search(row[0])))) for row in asked]
    plain = [(q, answer, spans) for (q, _, answer, kind), spans in candidates if kind not in VERDICTS]

    def right(span: Span, answer: str) -> bool:
        return bool(answer) and same(text_of(span, store.documents), answer)

    def traits(question: str, span: Span, best: float) -> tuple[float, ...]:
        return features(question, span, store.documents[span.hit.passage.doc_id], best)

    # The best of each passage, so that the weights learn which passage to believe as well as when to be silent.
    pool = [(q, a, span, max(s.hit.score for s in spans)) for q, a, spans in plain for span in best_of_each(spans)]
    weights = regression(np.array([traits(q, s, best) for q, _, s, best in pool]), np.array([right(s, a) for _, a, s, _ in pool]))
    # What is served is the surest of them, which is surer than it should be: its odds are fitted once more.
    fitted = Calibration(dense, tuple(weights))
    served = [(a, ranked[0]) for q, a, spans in plain if (ranked := fitted.ranked(q, spans, store.documents))]
    good = np.array([right(span, a) for a, (_, span) in served])
    odds = np.array([np.log(chance / (1 - chance)) for _, (chance, _) in served])
    shift, slope = regression(odds[:, None], good)
    weights = [round(slope * w, 4) for w in weights]
    weights[0] = round(weights[0] + shift, 4)
    fitted = Calibration(dense, tuple(weights))
    served = [(a, fitted.ranked(q, spans, store.documents)[0]) for q, a, spans in plain if spans]
    chance, good, silent = np.array([c for _, (c, _) in served]), np.array([right(s, a) for a, (_, s) in served]), np.array([not a for a, _ in served])
    print(f"right as served: {good[~silent].mean():.3f} of {int((~silent).sum())}")
    print("confidence, and the share that is right:", *(
        f"{chance[part].mean():.2f}→{good[part].mean():.2f} ({len(part)})" for part in np.array_split(np.argsort(chance), 6)
    ))
    for share in (0.01, 0.03, 0.05, 0.08, 0.12, 0.2):
        limit = np.quantile(chance[~silent], share)
        print(f"threshold {limit:.3f} refuses {share:.2f} of the answerable, {(chance[silent] < limit).mean():.3f} of the others")
    threshold = round(float(np.quantile(chance[~silent], args.false_refusals)), 3)
    print(f"threshold {threshold:.3f} refuses {(chance[silent] < threshold).mean():.3f} of those without an answer, "
          f"{(chance[good] < threshold).mean():.3f} of the right answers, {(chance[~silent & ~good] < threshold).mean():.3f} of the wrong ones")
    row: dict[str, Any] = {"dense": dense, "weights": weights, "threshold": threshold}
    if answerer.judges:
        judged = [(q, kind, fitted.ranked(q, spans, store.documents)[0][1]) for (q, _, _, kind), spans in candidates if kind in VERDICTS and spans]
        x = np.array([judging(q, s, store.documents[s.hit.passage.doc_id]) for q, _, s in judged])
        said = np.array([kind == ("yes" if s.yes > 0 else "no") for _, kind, s in judged])
        row["verdict"] = regression(x, said)
        whole = Calibration(dense, tuple(weights), threshold, tuple(row["verdict"]))
        chance = np.array([whole.judged(q, s, store.documents[s.hit.passage.doc_id]) for q, _, s in judged])
        none = np.array([kind == "unknown" for _, kind, _ in judged])
        sure = chance >= SURE
        print(f"yes or no: right {said[~none].mean():.3f} of {int((~none).sum())}, {int(none.sum())} more cannot be told; "
              f"sure enough to say so {int(sure.sum())}, of these right {said[sure].mean() if sure.any() else 0:.3f}")
    (args.answerer / "calibration.json").write_text(json.dumps(row) + "\n", "utf-8")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
