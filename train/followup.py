"""Train what tells a question that leans on an earlier turn from one that stands alone: a linear model over characters and their pairs.

    python -m train.followup --out models/followup.json

The leaning ones are written for this project (``train/followups.jsonl``), those that stand alone are our own questions
(``train/asked.jsonl``), a tenth of both held out. The bias is set so that of the held-out ones that stand alone one in two thousand is
taken to lean: completing a whole question does more harm than leaving a short one as it is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from qa.followup import LEANING, MAY_LEAN, leans, traits
from train.data import ASKED, FOLLOWUPS
from train.leaks import committed_leaks

WRONG = 0.0005  # share of the questions that stand alone which may be taken to lean
LEAST = 0.1  # weights nearer to zero than this are left out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.followup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=LEANING)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if leaks := committed_leaks():
        raise ValueError(f"{len(leaks)} leaks into the training, first in {leaks[0].where}: see python -m train.leaks")
    whole = sorted({question for line in ASKED.read_text("utf-8").split("\n") if line for question, *_ in json.loads(line)["questions"]})
    leaning = sorted({json.loads(line)["question"] for line in FOLLOWUPS.read_text("utf-8").split("\n") if line})
    rows = [(q, 0) for q in whole] + [(q, 1) for q in leaning]
    Random(args.seed).shuffle(rows)
    asked = rows[: len(rows) // 10]
    held, kept = ([(traits(q), label) for q, label in part] for part in (asked, rows[len(rows) // 10 :]))
    columns = {trait: n for n, trait in enumerate(sorted({trait for traits_of, _ in kept for trait in traits_of}))}
    places = [(row, columns[trait]) for row, (traits_of, _) in enumerate(kept) for trait in traits_of]
    x = csr_matrix((np.ones(len(places)), np.array(places).T), shape=(len(kept), len(columns)))
    model = LogisticRegression(C=1.0, max_iter=500).fit(x, [label for _, label in kept])
    weights = {trait: round(float(model.coef_[0, n]), 2) for trait, n in columns.items() if abs(model.coef_[0, n]) >= LEAST}
    sums = np.array([sum(weights.get(trait, 0.0) for trait in traits_of) for traits_of, _ in held])
    does = np.array([label == 1 for _, label in held])
    bias = round(-float(np.quantile(sums[~does], 1 - WRONG)), 2)
    args.out.write_text(json.dumps({"bias": bias, "weights": weights}, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps({
        "leaning": len(leaning), "whole": len(whole), "weights": len(weights), "held out, leaning found": round(float((sums + bias > 0)[does].mean()), 3),
        "held out, whole taken to lean": round(float((sums + bias > 0)[~does].mean()), 4),
    }))
    if args.out.resolve() == LEANING:  # the rules of qa.followup read the new weights from there
        left = ~np.array([leans(q) for q, _ in asked])
        may = left & (sums + bias >= MAY_LEAN)
        parts = {
            "leaning, found": (~left, does), "whole, taken to lean": (~left, ~does),
            "leaning, left but may": (may, left & does), "whole, left but may": (may, left & ~does),
        }
        print(json.dumps({f"held out, {name}": f"{int((some & of).sum())} of {int(of.sum())}" for name, (some, of) in parts.items()}))


if __name__ == "__main__":
    main()
