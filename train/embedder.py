"""Train the embedder: contrastive triples on the Chinese MiniLM body or an answerer's encoder, saved as a sentence-transformers model.

    python -m train.embedder --data DATA --out models/embedder --layers 6 --minutes 40

Writes a checkpoint every few minutes (``--run FOLDER``); the same command with the same folder goes on from it.

In-batch negatives with a symmetric InfoNCE loss (van den Oord et al. 2018; SimCSE's temperature 0.05), and for each question one more
passage that BM25 finds for it and that does not answer it (DPR, Karpukhin et al. 2020). Pairs: question → passage, headline → story,
in-place question → passage, a sentence → the passage it was taken from (inverse cloze, Lee et al. 2019), paraphrases. Contexts held out
for the answerer (:func:`train.rows.split`) are held out here too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor
from transformers import AutoTokenizer, BertModel

from index.lexical import LexicalIndex
from index.text import fold, sentences
from qa.copy_model import CopyConfig, CopyModel
from train import data as sets
from train.body import character_tokenizer, chinese_body
from train.leaks import refuse_leaks
from train.loop import DEVICE, Loop, attention, autocast
from train.questions import make
from train.rows import is_dev, split

QUERY = 48
SCALE = 20.0
# How often each kind of pair is drawn. Only questions and in-place questions have a hard negative.
KINDS = {"question": 0.44, "headline": 0.14, "event": 0.03, "paraphrase": 0.07, "made": 0.17, "cloze": 0.15}
Triple = tuple[str, str, str]  # query, passage that answers it, passage that does not ("" for none)


def window(text: str, start: int, end: int, size: int, rng: Random) -> str:
    """``size`` characters of ``text`` around ``[start, end)``, at a random place."""
    low, high = max(0, end - size), max(0, min(start, len(text) - size))
    at = rng.randint(min(low, high), max(low, high))
    return text[at:at + size]


class TripleSampler:
    """Endless triples; a passage has at most ``size`` characters, its title in front."""

    def __init__(self, data: Path, rng: Random, limit: int | None = None):
        self.rng = rng
        news = [(t, b) for t, b in sets.articles(data, "xwlb_cctv_2012_2026") if t and "快讯" not in t][:limit]
        others = [a for name in ("crud_rag_docs", "gov_work_reports_1954_2026", "laws_regulations") for a in sets.articles(data, name)[:limit]]
        usable = [x for x in sets.reading(data) if x.start >= 0 and not x.before and x.source not in ("webqa.test", "cjrc.dev")]
        self.reading, held = split(usable)
        self.held = [x for x in held if x.kind not in ("yes", "no")]
        unread = {x.article for x in held}

        def seen(articles: list[tuple[str, str]]) -> list[tuple[str, str]]:
            return [a for a in articles if not is_dev(a[1]) and sets.article_key(a[1]) not in unread]

        self.news = seen(news)
        self.docs = self.news + seen(others)
        self.events = [pair for pair in sets.pairs(data, "crud_event_title_news") if not is_dev(pair[1])]
        self.paraphrases = sets.pairs(data, "simclue_triples") + sets.pairs(data, "csts_paraphrase")
        contexts = {x.context: x.title for x in self.reading}
        self.pieces = [(context, title, context[at : at + 256]) for context, title in contexts.items() for at in range(0, len(context), 256)]
        self.lexical = LexicalIndex.build([piece for _, _, piece in self.pieces])

    def triple(self, size: int) -> Triple:
        while True:
            kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
            if found := getattr(self, f"_{kind}")(size):
                return found

    def _lead(self, title: str) -> str:
        """Half the time the title, as it stands before a passage that is searched."""
        return title[:24] + " " if title and self.rng.random() < 0.5 else ""

    def _question(self, size: int) -> Triple:
        x = self.rng.choice(self.reading)
        lead = self._lead(x.title)
        passage = window(x.context, x.start, x.start + len(x.answer), size - len(lead), self.rng)
        return x.question, lead + passage, self._hard(x.question, x.context, x.answer)

    def _hard(self, question: str, context: str, answer: str) -> str:
        """A piece of another context, or of this one, that shares words with the question but does not hold the answer."""
        scores = self.lexical.scores(question)
        best = [self.pieces[i] for i in np.argpartition(-scores, min(16, len(scores) - 1))[:16]]
        found = [self._lead(title) + piece for other, title, piece in best if answer not in piece and (other != context or len(answer) > 3)]
        return self.rng.choice(found) if found else ""

    def _headline(self, size: int) -> Triple:
        title, body = self.rng.choice(self.news)
        return title, window(body, 0, min(size, len(body)), size, self.rng), ""

    def _event(self, size: int) -> Triple:
        event, body = self.rng.choice(self.events)
        return event, window(body, 0, min(size, len(body)), size, self.rng), ""

    def _paraphrase(self, size: int) -> Triple:
        return (*self.rng.choice(self.paraphrases), "")

    def _sentence(self, size: int) -> tuple[str, str, str, str] | None:
        """The title and body of an article, a sentence of it and a window around that, half the time with the title in front."""
        title, body = self.rng.choice(self.docs)
        at = self.rng.randint(0, max(0, len(body) - 6000))
        body = body[at : at + 6000]
        spans = [(s, e) for s, e in sentences(body) if 12 < e - s <= size * 2 // 3]
        if len(spans) < 3:
            return None
        s, e = self.rng.choice(spans)
        lead = self._lead(title)
        return title, body, body[s:e], lead + window(body, s, e, size - len(lead), self.rng)

    def _made(self, size: int) -> Triple | None:
        if not (drawn := self._sentence(size)):
            return None
        title, body, sentence, passage = drawn
        made = make(sentence, "" if self.rng.random() < 0.7 else title, self.rng)
        if not made:
            return None
        elsewhere = [body[at : at + size] for at in range(0, len(body) - size // 2, size)]
        elsewhere = [piece for piece in elsewhere if sentence[:20] not in piece and sentence[-20:] not in piece]
        return made[0], passage, self._lead(title) + self.rng.choice(elsewhere) if elsewhere else ""

    def _cloze(self, size: int) -> Triple | None:
        if not (drawn := self._sentence(size)):
            return None
        _, _, sentence, passage = drawn
        if self.rng.random() < 0.9:  # the sentence leaves its passage
            passage = passage.replace(sentence, "")
        return (sentence[:QUERY], passage, "") if len(passage) >= 30 else None


def padded(texts: list[str], tokenizer: Any, length: int) -> Tensor:
    """``(len(texts), width)`` token ids, as wide as the longest text needs (a multiple of 16, ``length`` at most)."""
    rows = tokenizer([fold(t) for t in texts], max_length=length, truncation=True)["input_ids"]
    width = min(length, -(-max(map(len, rows)) // 16) * 16)
    return torch.tensor([row + [0] * (width - len(row)) for row in rows], device=DEVICE)


def embed(body: BertModel, ids: Tensor) -> Tensor:
    """Mean-pooled unit vectors, ``(batch, dim)`` float32."""
    mask = (ids != 0)
    hidden = body(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
    return F.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)


def contrast(queries: Tensor, passages: Tensor) -> Tensor:
    """Symmetric InfoNCE: query ``i`` belongs to passage ``i``; passages beyond the queries belong to none."""
    scores = queries @ passages.T * SCALE
    target = torch.arange(len(queries), device=queries.device)
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores[:, : len(queries)].T, target)) / 2


def found_first(body: BertModel, tokenizer: Any, held: list[sets.Example], count: int = 400) -> dict[str, float]:
    """Recall of ``count`` held-out questions among the pieces of their contexts, at rank 1 and 5."""
    asked = Random(0).sample(held, min(count, len(held)))
    if not asked:
        return {}
    pieces = list(dict.fromkeys(x.context[at : at + 256] for x in asked for at in range(0, len(x.context), 256)))

    def vectors(texts: list[str]) -> Tensor:
        with torch.no_grad(), autocast():
            return torch.cat([embed(body, padded(texts[at : at + 32], tokenizer, 288)) for at in range(0, len(texts), 32)])

    order = (vectors([x.question for x in asked]) @ vectors(pieces).T).argsort(1, descending=True)[:, :5].tolist()
    hits = [[x.context.find(pieces[i]) >= 0 and x.answer in pieces[i] for i in row] for x, row in zip(asked, order, strict=True)]
    return {f"recall@{k}": round(float(np.mean([any(row[:k]) for row in hits])), 3) for k in (1, 5)}


def build(start: Path | None, data: Path, layers: int) -> tuple[BertModel, Any]:
    """The first ``layers`` layers of an answerer's encoder, an embedder of ours as it is, or MiniLM's body under a new embedding."""
    if start is None:
        fresh = character_tokenizer(sets.character_vocabulary(data, 7400))
        return chinese_body(fresh, layers), fresh
    tokenizer = AutoTokenizer.from_pretrained(start)
    if json.loads((start / "config.json").read_text("utf-8"))["model_type"] != CopyConfig.model_type:
        return BertModel.from_pretrained(start, add_pooling_layer=False, dtype=torch.float32, attn_implementation=attention()), tokenizer
    encoder = CopyModel.from_pretrained(start, dtype=torch.float32).encoder
    config = encoder.config
    config.num_hidden_layers, config.type_vocab_size = layers, 1
    body = BertModel(config, add_pooling_layer=False)
    state = {k: v[:1] if "token_type" in k else v for k, v in encoder.state_dict().items()}
    body.load_state_dict({k: v for k, v in state.items() if k in body.state_dict()})
    return body, tokenizer


def save(body: BertModel, tokenizer: Any, out: Path) -> None:
    """Write a sentence-transformers folder with float16 weights."""
    staging = out / ".body"
    staging.mkdir(parents=True, exist_ok=True)
    body.save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    transformer = Transformer(str(staging), max_seq_length=384)
    model = SentenceTransformer(modules=[transformer, Pooling(body.config.hidden_size, "mean"), Normalize()], device="cpu")
    model.half().save(str(out), create_model_card=False)
    for path in staging.iterdir():
        path.unlink()
    staging.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/embedder"))
    parser.add_argument("--run", type=Path, default=Path("runs/embedder"), help="checkpoints; an existing one is resumed")
    parser.add_argument("--start", type=Path, default=None, help="an answerer or an embedder of ours to start from")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lengths", default="128,288", help="passage lengths, taken in turn; the batch shrinks with the length")
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--body-lr", type=float, default=0.4, help="the body's share of the learning rate")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    torch.manual_seed(args.seed)
    body, tokenizer = build(args.start, args.data, args.layers)
    torch.nn.Module.to(body, DEVICE).train()
    sampler = TripleSampler(args.data, Random(args.seed), args.limit)
    loop = Loop(
        body, args.lr, args.minutes, slow=lambda name: "word_embeddings" not in name, slow_lr=args.body_lr, warmup=50,
        run=args.run, every=args.every, log=10,
    )
    sampler.rng.seed(f"{args.seed}/{loop.step}")
    lengths = [int(x) for x in args.lengths.split(",")]

    def keep() -> None:
        loop.keep()
        save(body, tokenizer, args.out)
        loop.print(dev=found_first(body, tokenizer, sampler.held))

    while loop.tick():
        size = lengths[loop.step % len(lengths)]
        count = args.batch * lengths[0] // size
        triples = [sampler.triple(size - 2) for _ in range(count)]
        with autocast():
            queries = embed(body, padded([q for q, _, _ in triples], tokenizer, QUERY))
            passages = embed(body, padded([p for _, p, _ in triples] + [n for _, _, n in triples if n], tokenizer, size))
        if loop.update(contrast(queries, passages), count):
            keep()
    keep()


if __name__ == "__main__":
    main()
