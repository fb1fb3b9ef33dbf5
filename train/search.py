"""How well held-out questions find their passage among many articles, with the thesaurus and without it.

    python -m train.search --data DATA

Questions of our own whose excerpt is held out (:func:`train.rows.split`): those that share less than FEW of their character pairs with it,
and others. A hit is a passage of the excerpt that holds the answer. What search is tuned on: never ``eval/gold`` nor a benchmark.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import numpy as np

from index.embed import Embedder
from index.thesaurus import Thesaurus
from index.types import Document
from qa.answerer import DEFAULT
from qa.confidence import Calibration
from qa.retriever import Retriever
from train import data as sets
from train.calibrate import store_of
from train.rows import FEW, shared, split

CUTS = (1, 5, 30)
DEPTH = 200


def ranks(retriever: Retriever, asked: list[tuple[sets.Example, str]]) -> np.ndarray:
    """``(questions,)``: the rank of the first passage of the question's document that holds the answer, infinite where none is found."""
    found = []
    for x, doc in asked:
        hits = retriever.search(x.question, DEPTH)
        found.append(next((h.rank for h in hits if h.passage.doc_id == doc and x.answer in h.passage.text), np.inf))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=900, help="questions with few shared words, at most")
    parser.add_argument("--others", type=int, default=500, help="questions with more shared words, at most")
    parser.add_argument("--articles", type=int, default=None, help="articles of crud_rag_docs to get lost in (default: all)")
    args = parser.parse_args()
    held = [x for x in split(sets.reading(args.data))[1] if x.source == "asked" and x.start >= 0 and x.kind not in ("yes", "no", "item")]
    Random(5).shuffle(held)
    groups = {"few shared words": [x for x in held if shared(x.question, x.context) < FEW][: args.count]}
    groups["others"] = [x for x in held if shared(x.question, x.context) >= FEW][: args.others]
    texts = {x.context: Document(f"held-{n}", x.title, x.context, "") for n, x in enumerate(x for group in groups.values() for x in group)}
    own = {x.article for group in groups.values() for x in group}
    articles = [a for a in sets.articles(args.data, "crud_rag_docs")[: args.articles] if sets.article_key(a[1]) not in own]
    embedder = Embedder()
    store = store_of(embedder, [*texts.values(), *(Document(f"lost-{n}", title, text, "") for n, (title, text) in enumerate(articles))])
    dense = Calibration.load(DEFAULT).dense
    print(f"{len(store.passages)} passages; mean reciprocal rank, {', '.join(f'recall@{k}' for k in CUTS)}")
    for name, group in groups.items():
        asked = [(x, texts[x.context].id) for x in group]
        without, found = (ranks(Retriever(store, embedder, dense, thesaurus=thesaurus), asked) for thesaurus in (Thesaurus({}, {}), None))
        for how, r in (("without", without), ("with", found)):
            print(f"{name} ({len(r)}), {how} the thesaurus: {(1 / r).mean():.3f}", *(f"{(r <= k).mean():.3f}" for k in CUTS))
        print(f"  better for {int((found < without).sum())}, worse for {int((found > without).sum())}")


if __name__ == "__main__":
    main()
