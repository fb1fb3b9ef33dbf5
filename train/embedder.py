"""Train the embedder: vectors of characters and pairs of them (:mod:`index.static`), saved as a sentence-transformers model.

    python -m train.embedder --data DATA --out models/embedder --minutes 14

Writes a checkpoint every few minutes (``--run FOLDER``); the same command with the same folder goes on from it.

In-batch negatives with a symmetric InfoNCE loss (van den Oord et al. 2018; SimCSE's temperature 0.05). Half of it is taken of the scores
fused with BM25 within the batch, so that the vectors learn what words in common do not tell (CLEAR, Gao et al. 2021). Pairs: a few
words of a sentence → the passage that it was taken out of (inverse cloze, Lee et al. 2019), question → passage, headline → story,
paraphrases. Contexts held out for the answerer (:func:`train.rows.split`) are held out here too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor

from index.lexical import LexicalIndex
from index.static import CharacterPairs, Vocabulary, bag, collate, cut
from index.text import fold, sentences
from train import data as sets
from train.leaks import refuse_leaks
from train.loop import Loop
from train.rows import is_dev, split

SCALE = 20.0
SIZE = 320  # characters of a passage, as the index cuts them
SIZES = (SIZE // 4, SIZE // 2, SIZE, SIZE)  # of passages in training: a passage's sentences are compared with questions, too
LONGEST = 20_000  # characters read of an article
CHARACTERS = 6500  # the most frequent, of which the vocabulary is made
# How often each kind of pair is drawn, and how often a question is one of our own.
KINDS = {"cloze": 0.53, "question": 0.30, "headline": 0.12, "paraphrase": 0.04, "event": 0.01}
OWN = 0.55
Bag = tuple[np.ndarray, np.ndarray]  # as index.static.bag


def vocabulary(texts: Sequence[str], most: int, least: int = 20) -> list[str]:
    """Characters, and the ``most`` frequent pairs seen ``least`` times that stand together more than chance has it; letters and digits of any script."""
    codes = np.frombuffer("\0".join(map(fold, texts)).encode("utf-32-le", "replace"), np.uint32)
    codes = np.where(codes < 0x10000, codes, 0)
    ones = np.bincount(codes, minlength=0x10000)
    frequent = np.argsort(-ones, kind="stable")[:CHARACTERS]
    kept = np.array([c for c in frequent if ones[c] >= min(5, least) and chr(c).isalnum()])
    number = np.full(0x10000, -1, np.int64)
    number[kept] = np.arange(len(kept))
    places, n = number[codes], len(kept)
    both = (places[:-1] >= 0) & (places[1:] >= 0)
    twos = np.bincount(places[:-1][both] * n + places[1:][both], minlength=n * n)
    left, right = twos.reshape(n, n).sum(1), twos.reshape(n, n).sum(0)
    found = np.flatnonzero(twos >= least)
    together = np.log(twos[found] * float(twos.sum()) / (left[found // n] * right[found % n].astype(float)))
    found = found[together > 1]
    found = found[np.argsort(-twos[found], kind="stable")][:most]
    return [chr(c) for c in kept] + [chr(kept[i // n]) + chr(kept[i % n]) for i in found]


@dataclass(frozen=True)
class Text:
    """A text with its tokens (``Vocabulary.ids``) and its title's."""

    title: np.ndarray
    text: str
    ids: np.ndarray


class PairSampler:
    """Endless pairs of bags, ``(query, passage, what the passage is of)``: two passages of one thing do not count against each other."""

    def __init__(self, data: Path, rng: Random, pairs: int = 60_000, limit: int | None = None):
        """``limit`` articles of each text file are read; the vocabulary has at most ``pairs`` pairs."""
        self.rng = rng
        usable = [x for x in sets.reading(data) if x.start >= 0 and not x.before and x.source not in ("webqa.test", "cjrc.dev")]
        reading, held = split(usable)
        self.held = [x for x in held if x.kind not in ("yes", "no", "item")]
        unread = {x.article for x in held}
        drawn: dict[str, list[tuple[str, str]]] = {}
        self.unseen: list[tuple[str, str]] = []  # articles to get lost in
        for name in sets.TEXTS:
            rows = sets.articles(data, name)[:limit]
            drawn[name] = [a for a in rows if not is_dev(a[1]) and sets.article_key(a[1]) not in unread]
            if name.startswith(("xwlb", "crud")):
                self.unseen += [a for a in rows if is_dev(a[1])]
        read = [f"{title} {body}" for rows in drawn.values() for title, body in rows[::4]]
        self.vocabulary = Vocabulary(vocabulary([*read, *(f"{x.context} {x.question}" for x in reading[::2])], pairs))
        ids = self.vocabulary.ids
        texts = {name: [Text(ids(title), body[:LONGEST], ids(body[:LONGEST])) for title, body in rows] for name, rows in drawn.items()}
        self.docs = [text for rows in texts.values() for text in rows]
        self.news = [t for t, (title, _) in zip(texts["xwlb_cctv_2012_2026"], drawn["xwlb_cctv_2012_2026"], strict=True) if title and "快讯" not in title]
        contexts = {x.context: Text(ids(x.title[:24]), x.context, ids(x.context)) for x in reading}
        asked = [(ids(x.question), contexts[x.context], x.start, x.start + len(x.answer), x.source == "asked") for x in reading]
        self.asked = [rows for rows in ([a for a in asked if a[4]], [a for a in asked if not a[4]]) if rows]
        same = sets.pairs(data, "simclue_triples") + sets.pairs(data, "csts_paraphrase")
        events = [pair for pair in sets.pairs(data, "crud_event_title_news") if not is_dev(pair[1])]
        self.same, self.events = ([(ids(a), ids(b)) for a, b in rows] for rows in (same, events))

    def draw(self) -> tuple[Bag, Bag, int]:
        while True:
            kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
            if found := getattr(self, f"_{kind}")(self.rng.choice(SIZES)):
                query, passage, of = found
                return bag(query), bag(passage), of

    def _titled(self, title: np.ndarray, passage: np.ndarray) -> np.ndarray:
        """Mostly with the title in front, as passages are searched."""
        return np.concatenate([cut(title, 0, 24), passage], 1) if self.rng.random() < 0.6 else passage

    def _window(self, length: int, start: int, end: int, size: int) -> tuple[int, int]:
        low, high = max(0, end - size), max(0, min(start, length - size))
        at = self.rng.randint(min(low, high), max(low, high))
        return at, at + size

    def _question(self, size: int) -> tuple[np.ndarray, np.ndarray, int]:
        rows = self.asked[0 if self.rng.random() < OWN else -1]
        query, context, start, end, _ = self.rng.choice(rows)
        passage = cut(context.ids, *self._window(len(context.text), start, end, size))
        return query, self._titled(context.title, passage), id(context)

    def _headline(self, size: int) -> tuple[np.ndarray, np.ndarray, int]:
        story = self.rng.choice(self.news)
        at = self.rng.choice((0, 0, self.rng.randint(0, max(0, len(story.text) - size))))
        return story.title, cut(story.ids, at, at + size), id(story)

    def _event(self, size: int) -> tuple[np.ndarray, np.ndarray, int]:
        event, body = self.rng.choice(self.events)
        return event, cut(body, 0, size), id(body)

    def _paraphrase(self, _: int) -> tuple[np.ndarray, np.ndarray, int]:
        one, other = self.rng.sample(self.rng.choice(self.same), 2)
        return one, other, id(other)

    def _cloze(self, size: int) -> tuple[np.ndarray, np.ndarray, int] | None:
        doc = self.rng.choice(self.docs)
        if len(doc.text) < SIZE // 2:
            return None
        at = self.rng.randint(0, len(doc.text) - 100)
        text, ids = doc.text[at : at + size], cut(doc.ids, at, at + size)
        spans = [(s, e) for s, e in sentences(text) if 12 < e - s < 100]
        if len(spans) < 2:
            return None
        s, e = self.rng.choice(spans)
        length = min(e - s, self.rng.randint(10, 40))
        begin = self.rng.randint(s, e - length)
        rest = np.concatenate([cut(ids, 0, s), ids[:, e:]], 1) if self.rng.random() < 0.85 else ids  # mostly the sentence leaves its passage
        return cut(ids, begin, begin + length), self._titled(doc.title, rest), id(doc)


def frequencies(sampler: PairSampler, draws: int = 20_000) -> np.ndarray:
    """``(tokens,)`` inverse document frequencies over ``draws`` passages."""
    seen = np.ones(len(sampler.vocabulary))
    for _ in range(draws):
        seen[sampler.draw()[1][0]] += 1
    return np.log(1 + seen.max() / seen)


def bm25(queries: Sequence[Bag], passages: Sequence[Bag], idf: np.ndarray) -> Tensor:
    """``(queries, passages)`` BM25 scores, each row as a share of its best."""
    lengths = np.array([len(tokens) for tokens, _ in passages])
    saturated = [w**2 * 2.2 / (w**2 + 1.2 * (0.4 + 0.6 * n / lengths.mean())) for (_, w), n in zip(passages, lengths, strict=True)]

    def matrix(bags: Sequence[Bag], values: Sequence[np.ndarray]) -> sp.csr_matrix:
        ends = np.cumsum([0, *(len(tokens) for tokens, _ in bags)])
        return sp.csr_matrix((np.concatenate(values), np.concatenate([tokens for tokens, _ in bags]), ends), (len(bags), len(idf)))

    scores = (matrix(queries, [idf[tokens] for tokens, _ in queries]) @ matrix(passages, saturated).T).toarray()
    return torch.tensor(scores / scores.max(1, keepdims=True).clip(1e-6), dtype=torch.float32)


def embed(model: CharacterPairs, bags: Sequence[Bag]) -> Tensor:
    """``(len(bags), dim)`` unit vectors."""
    return F.normalize(model(collate(bags))["sentence_embedding"], dim=-1)


def contrast(scores: Tensor, of: Sequence[int]) -> Tensor:
    """Symmetric InfoNCE over ``(n, n)`` scores: query ``i`` belongs to passage ``i``, and not to others unless they are of the same thing."""
    things = torch.tensor([hash(x) for x in of])
    same = (things[:, None] == things) & ~torch.eye(len(things), dtype=torch.bool)
    scores, target = scores.masked_fill(same, -1e4), torch.arange(len(things))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


class Held:
    """Questions held out of training, searched among the pieces of their contexts and of articles that nobody trained on."""

    def __init__(self, sampler: PairSampler, count: int = 700, articles: int = 3500):
        """``count`` questions of people and as many of our own."""
        rng = Random(0)
        held = rng.sample(sampler.held, len(sampler.held))
        asked = [x for own in (False, True) for x in [x for x in held if (x.source == "asked") == own][:count]]
        lost = rng.sample(sampler.unseen, min(articles, len(sampler.unseen)))
        contexts = dict.fromkeys((x.title, x.context) for x in asked)
        pieces = [(title, text, piece) for title, text in contexts for piece in self._cut(text)]
        pieces += [(title, "", piece) for title, body in lost for piece in self._cut(body[: 5 * SIZE])]
        self.right = [[i for i, (_, text, piece) in enumerate(pieces) if text == x.context and x.answer in piece] for x in asked]
        kept = [i for i, right in enumerate(self.right) if right]
        self.right, asked = [self.right[i] for i in kept], [asked[i] for i in kept]
        lexical = LexicalIndex.build([f"{title}\n{piece}" for title, _, piece in pieces])
        scores = [lexical.scores(x.question) for x in asked]
        self.lexical = np.stack(scores) / np.maximum([[s.max()] for s in scores], 1e-6) if scores else np.zeros((0, len(pieces)), np.float32)
        ids = sampler.vocabulary.ids
        self.queries = [bag(ids(x.question)) for x in asked]
        self.pieces = [bag(ids(f"{title[:24]} {piece}")) for title, _, piece in pieces]

    @staticmethod
    def _cut(text: str) -> list[str]:
        step = -(-len(text) // -(-len(text) // SIZE))
        return [text[at : at + step] for at in range(0, len(text), step)]

    def found(self, model: CharacterPairs, share: float = 0.5) -> dict[str, list[float]]:
        """``[mean reciprocal rank, recall at 1, recall at 5]`` of words, of vectors, and of both with the vectors' ``share``."""
        if not self.queries:
            return {}
        with torch.no_grad():
            pieces = torch.cat([embed(model, self.pieces[at : at + 1000]) for at in range(0, len(self.pieces), 1000)])
            dense = (embed(model, self.queries) @ pieces.T).numpy().clip(0)
        results = {}
        for name, scores in (("lexical", self.lexical), ("dense", dense), ("fused", (1 - share) * self.lexical + share * dense)):
            best = np.array([max(row[right]) for row, right in zip(scores, self.right, strict=True)])
            ranks = (scores > best[:, None]).sum(1) + 1
            results[name] = [round(float(x), 4) for x in ((1 / ranks).mean(), (ranks <= 1).mean(), (ranks <= 5).mean())]
        return results


def save(model: CharacterPairs, out: Path) -> None:
    """Write a sentence-transformers folder."""
    SentenceTransformer(modules=[model, Normalize()], device="cpu").save(str(out), create_model_card=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/embedder"))
    parser.add_argument("--run", type=Path, default=Path("runs/embedder"), help="checkpoints; an existing one is resumed")
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=60_000, help="pairs of characters in the vocabulary")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--fused", type=float, default=0.5, help="share of the loss that is taken of scores fused with BM25")
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=4, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    sampler = PairSampler(args.data, Random(args.seed), args.pairs, args.limit)
    idf = frequencies(sampler)
    torch.manual_seed(args.seed)
    # Random directions, longer for rare tokens: it begins as a rough BM25.
    table = torch.randn(len(idf), args.dim) * torch.tensor(0.3 * idf / idf.mean() / args.dim**0.5, dtype=torch.float32)[:, None]
    model = CharacterPairs(sampler.vocabulary.tokens, table)
    held = Held(sampler)
    loop = Loop(model, args.lr, args.minutes, warmup=50, run=args.run, every=args.every, log=50)
    sampler.rng.seed(f"{args.seed}/{loop.step}")

    def keep() -> None:
        loop.keep()
        save(model, args.out)
        loop.print(dev=held.found(model))

    loop.print(tokens=len(idf), dev=held.found(model))
    while loop.tick():
        queries, passages, of = zip(*(sampler.draw() for _ in range(args.batch)), strict=True)
        scores = embed(model, queries) @ embed(model, passages).T * SCALE
        loss: Any = (1 - args.fused) * contrast(scores, of)
        if args.fused:
            loss = loss + args.fused * contrast(scores + SCALE * bm25(queries, passages, idf), of)
        if loop.update(loss, args.batch):
            keep()
    keep()


if __name__ == "__main__":
    main()
