"""The weighted mean of several sets of an answerer's weights, of one run and what it began from.

    python -m train.average models/answerer:0.25 RUN/at/030:0.4 RUN/at/081:0.35 --out models/answerer

Fine-tuned weights and those that they began from lie in one basin, and their mean reads better than either (WiSE-FT, Wortsman et al. 2022a;
model soups, Wortsman et al. 2022b). Which mean is best is for held-out rows to say (``--data``: their loss is printed).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import AutoTokenizer

from qa.copy_model import CopyModel
from qa.reading import Formatter
from train.answerer import save, with_marks
from train.loop import autocast
from train.rows import Row, RowSampler, tensors


def mean(models: Sequence[CopyModel], shares: Sequence[float]) -> CopyModel:
    """The first of ``models`` with the mean of all their weights; ``shares`` are scaled to a sum of 1. Raises ValueError where the models' shapes differ."""
    states = [model.state_dict() for model in models]
    if any({k: v.shape for k, v in state.items()} != {k: v.shape for k, v in states[0].items()} for state in states):
        raise ValueError("these models are not of one shape: only sets of weights of one line of training can be averaged")

    def one(name: str, first: Tensor) -> Tensor:
        if not first.is_floating_point():
            return first
        return sum((state[name].float() * share for state, share in zip(states, shares, strict=True)), torch.zeros_like(first)) / sum(shares)

    models[0].load_state_dict({name: one(name, first) for name, first in states[0].items()})
    return models[0]


@torch.no_grad()
def loss(model: CopyModel, rows: Sequence[Row], formatter: Formatter, size: int, batch: int = 32) -> float:
    """The mean loss of ``rows`` in windows of ``size`` tokens."""
    total = 0.0
    for at in range(0, len(rows), batch):
        part = list(rows[at : at + batch])
        with autocast():
            total += float(model(**tensors(part, formatter, size)).loss) * len(part)
    return total / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", metavar="FOLDER:SHARE", help="an answerer's folder, and its share of the mean")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="the folder of the training data: the loss of held-out rows is printed")
    parser.add_argument("--rows", type=int, default=400, help="held-out rows of each kind")
    args = parser.parse_args()
    named = [(Path(folder), float(share)) for folder, _, share in (word.rpartition(":") for word in args.weights)]
    models = [with_marks(CopyModel.from_pretrained(folder, dtype=torch.float32)) for folder, _ in named]
    model = mean(models, [share for _, share in named]).eval()
    tokenizer = AutoTokenizer.from_pretrained(named[0][0])
    formatter = Formatter.load(named[0][0], tokenizer.get_vocab())
    if args.data:
        held = RowSampler(args.data, formatter, Random(0), 400).dev(256, args.rows)
        print(json.dumps({name: round(loss(model, rows, formatter, 256), 4) for name, rows in held.items()}))
    save(model, tokenizer, formatter, args.out)


if __name__ == "__main__":
    main()
