"""Which tokens may come next, so that what any seq2seq model generates is a span of its passage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor


def continuations(source: Sequence[int], written: Sequence[int]) -> list[int]:
    """The positions of ``source`` at which a copy of ``written`` that stands there would go on; every one where
    nothing is written yet. ``len(source)`` among them means that a copy reaches the end."""
    n = len(written)
    if n == 0:
        return list(range(len(source)))
    return [i + n for i in range(len(source) - n + 1) if list(source[i : i + n]) == list(written)]


class SpanGrounding(LogitsProcessor):
    """Leaves a token's score only where it continues a span of the row's source, and the end token's once
    something is written.

    ``sources[row]`` are the token ids of the passage that row ``row`` may quote; with beams, the rows of one
    input are adjacent. ``banned`` ids (special tokens) never count as text.
    """

    def __init__(self, sources: Sequence[Sequence[int]], end: int, beams: int, banned: Sequence[int] = ()):
        self.sources = [list(s) for s in sources]
        self.end, self.beams, self.banned = end, beams, set(banned) | {end}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        allowed = torch.full_like(scores, float("-inf"))
        for row in range(len(input_ids)):
            source = self.sources[row // self.beams]
            written = input_ids[row, 1:].tolist()  # the first is the decoder's start token
            if self.end in written:
                allowed[row, self.end] = 0
                continue
            places = continuations(source, written)
            tokens = {source[p] for p in places if p < len(source)} - self.banned
            if written or not tokens:
                tokens.add(self.end)
            chosen = torch.tensor(sorted(tokens))
            allowed[row, chosen] = 0
        return scores + allowed
