"""Word vectors without a segmenter: two-character words by what stands around them.

Most Chinese words have two characters, so every pair of neighbouring characters that
belongs together is taken as a word. Their vectors are a truncated SVD of the shifted
positive pointwise mutual information between pairs at most ``WINDOW`` characters apart
(Levy & Goldberg 2014, with the context smoothing of Levy, Goldberg & Dagan 2015).
They tell the reader which words are near in meaning, which its own few training
questions cannot teach.

    python -m train.words --data DATA --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from index.text import fold
from train import data as sets

WINDOW = 6
CHARACTERS = 6000  # those that pairs are made of


def chunks(data: Path, share: float, size: int = 3_000_000) -> Iterator[np.ndarray]:
    """The folded training text as code points, about ``size`` at once; 0 stands between texts."""
    parts, held = [], 0
    rows = [(x.context + "\n" + x.question) for x in sets.reading(data)]
    texts = (body for name in sets.TEXTS for _, body in sets.articles(data, name))
    for number, text in enumerate((*rows, *texts)):
        if number % 100 >= share * 100:
            continue
        parts.append(fold(text))
        held += len(text)
        if held >= size:
            yield np.frombuffer("\0".join(parts).encode("utf-32-le"), np.uint32)
            parts, held = [], 0
    if parts:
        yield np.frombuffer("\0".join(parts).encode("utf-32-le"), np.uint32)


def vocabulary(data: Path, share: float, size: int, least: int = 40) -> list[str]:
    """The ``size`` most frequent pairs of Han characters, seen ``least`` times, that stand together more than chance has it."""
    ones = np.zeros(0x10000, np.int64)
    for text in chunks(data, share):
        ones += np.bincount(text[(text >= 0x4E00) & (text < 0x9FA6)], minlength=0x10000)
    kept = np.argsort(-ones)[:CHARACTERS]
    number = np.full(0x110000, -1, np.int32)
    number[kept] = np.arange(CHARACTERS)
    twos = np.zeros(CHARACTERS * CHARACTERS, np.int64)
    for text in chunks(data, share):
        ids = number[text]
        a, b = ids[:-1], ids[1:]
        both = (a >= 0) & (b >= 0)
        found, counts = np.unique(a[both].astype(np.int64) * CHARACTERS + b[both], return_counts=True)
        twos[found] += counts
    frequent = np.flatnonzero(twos >= least)
    total, left, right = twos.sum(), twos.reshape(CHARACTERS, -1).sum(1), twos.reshape(CHARACTERS, -1).sum(0)
    together = np.log(twos[frequent] * float(total) / (left[frequent // CHARACTERS] * right[frequent % CHARACTERS].astype(float)))
    # A frequent pair that hardly exceeds chance ("的企") is a seam between two words.
    chosen = frequent[together > 1.5]
    chosen = chosen[np.argsort(-twos[chosen])][:size]
    return [chr(kept[i // CHARACTERS]) + chr(kept[i % CHARACTERS]) for i in chosen]


def counted(data: Path, share: float, pairs: list[str]) -> sp.csr_matrix:
    """How often two of ``pairs`` stand at most WINDOW characters apart, not overlapping; symmetric, ``(n, n)``."""
    n = len(pairs)
    keys = np.array([ord(p[0]) << 16 | ord(p[1]) for p in pairs], np.int64)
    order = np.argsort(keys)
    total = sp.csr_matrix((n, n), dtype=np.float32)
    for text in chunks(data, share):
        here = text[:-1].astype(np.int64) << 16 | text[1:]
        at = np.searchsorted(keys[order], here).clip(max=n - 1)
        words = np.where(keys[order][at] == here, order[at], -1)
        found = []
        for apart in range(2, WINDOW + 1):
            a, b = words[:-apart], words[apart:]
            both = (a >= 0) & (b >= 0)
            found.append(a[both] * n + b[both])
        values, counts = np.unique(np.concatenate(found), return_counts=True)
        total = total + sp.csr_matrix((counts.astype(np.float32), (values // n, values % n)), (n, n))
    return (total + total.T).tocsr()


def vectors(counts: sp.csr_matrix, dim: int, shift: float = 0.7) -> np.ndarray:
    """``(n, dim)`` unit float32 vectors."""
    from sklearn.utils.extmath import randomized_svd

    coo = counts.tocoo()
    rows, smoothed = np.asarray(counts.sum(1))[:, 0], np.asarray(counts.sum(0))[0] ** 0.75
    values = np.log(np.maximum(coo.data, 1e-9) / rows[coo.row] / (smoothed[coo.col] / smoothed.sum())) - shift
    kept = (values > 0) & (coo.data >= 2)
    matrix = sp.csr_matrix((values[kept].astype(np.float32), (coo.row[kept], coo.col[kept])), counts.shape)
    left, weights, _ = randomized_svd(matrix, dim + 1, n_iter=4, random_state=0)
    found = (left * np.sqrt(weights))[:, 1:]  # the first direction is mere frequency
    found -= found.mean(0)
    return (found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-6)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/words"))
    parser.add_argument("--size", type=int, default=40000)
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--least", type=int, default=40, help="occurrences of a pair")
    parser.add_argument("--share", type=float, default=1.0, help="of the text that is counted")
    args = parser.parse_args()
    began = time.time()
    pairs = vocabulary(args.data, min(args.share, 0.3), args.size, args.least)
    print(json.dumps({"pairs": len(pairs), "seconds": round(time.time() - began)}), flush=True)
    counts = counted(args.data, args.share, pairs)
    print(json.dumps({"cells": int(counts.nnz), "seconds": round(time.time() - began)}), flush=True)
    table = vectors(counts, args.dim)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "pairs.txt").write_text("\n".join(pairs) + "\n", "utf-8")
    np.save(args.out / "vectors.npy", table)
    print(json.dumps({"seconds": round(time.time() - began)}), flush=True)
    place = {p: i for i, p in enumerate(pairs)}
    for word in ("企业", "增长", "突破", "物流", "退货", "副总", "主任", "上海", "获得", "医院", "购买", "启动"):
        if word in place:
            near = np.argsort(-table @ table[place[word]])[1:9]
            print(word, *(pairs[i] for i in near))


if __name__ == "__main__":
    main()
