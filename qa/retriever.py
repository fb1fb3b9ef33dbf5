"""Question → hits: dense and lexical search, fused. Never generates."""

from __future__ import annotations

import numpy as np

from index.embed import Embedder
from index.store import PassageStore
from index.types import Hit

POOL = 200  # passages that each of the two searches puts forward


class Retriever:
    """``search`` ranks the passages of one store. ``dense`` between 0 (BM25 alone) and 1 (vectors alone)."""

    def __init__(self, store: PassageStore, embedder: Embedder, dense: float = 0.35):
        if not 0 <= dense <= 1:
            raise ValueError(f"the dense share is {dense}: choose one between 0 and 1")
        self.store, self.embedder, self.dense = store, embedder, dense

    def search(self, question: str, k: int = 10) -> tuple[Hit, ...]:
        """The ``k`` best passages, best first; fewer where the index holds fewer, none where nothing matches at all.

        A score is the weighted sum of the cosine and of the BM25 score as a share of the best one.
        """
        lexical = self.store.lexical.scores(question)
        best = float(lexical.max(initial=0.0))
        pool = max(POOL, k)
        near = {}
        if self.dense > 0:
            vector = self.embedder.encode([question])[0]
            near = dict(self.store.dense(vector, pool))
        rows = np.union1d(np.argsort(-lexical, kind="stable")[:pool], np.fromiter(near, np.int64)).astype(np.int64)
        scores = (1 - self.dense) * lexical[rows] / best if best > 0 else np.zeros(len(rows), np.float32)
        if self.dense > 0:
            scores = scores + self.dense * np.maximum(self.store.vectors[rows] @ vector, 0.0)
        order = [i for i in np.argsort(-scores, kind="stable")[:k] if scores[i] > 0]
        return tuple(Hit(self.store.passages[rows[i]], float(scores[i]), rank) for rank, i in enumerate(order, 1))
