"""Question → hits: dense and lexical search, fused. Never generates."""

from __future__ import annotations

import numpy as np

from index.embed import Embedder
from index.store import PassageStore
from index.types import Hit


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
        scores = (1 - self.dense) * lexical / best if best > 0 else np.zeros_like(lexical)
        if self.dense > 0:
            cosine = np.zeros_like(scores)
            for row, value in self.store.dense(self.embedder.encode([question])[0], len(scores)):
                cosine[row] = max(value, 0.0)
            scores = scores + self.dense * cosine
        rows = np.argsort(-scores, kind="stable")[:k]
        return tuple(
            Hit(self.store.passages[row], float(scores[row]), rank) for rank, row in enumerate(rows.tolist(), 1) if scores[row] > 0
        )
