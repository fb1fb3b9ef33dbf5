"""Train the embedder: contrastive pairs on the Chinese MiniLM body, saved as a sentence-transformers model.

    python -m train.embedder --data DATA --out models/embedder --minutes 20

Writes a checkpoint every few minutes (``--run FOLDER``); the same command with the same folder goes on from it.

In-batch negatives with a symmetric InfoNCE loss (van den Oord et al. 2018; SimCSE's
temperature 0.05). Pairs: headline → story, question → passage, in-place question →
passage, a sentence → the passage it was taken from (inverse cloze, Lee et al. 2019),
paraphrases.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from index.text import fold, sentences
from train import data as sets
from train.body import character_tokenizer, chinese_body
from train.leaks import refuse_leaks
from train.loop import DEVICE, Loop, autocast
from train.questions import make

QUERY = 48
SCALE = 20.0


def window(text: str, start: int, end: int, size: int, rng: Random) -> str:
    """``size`` characters of ``text`` around ``[start, end)``, at a random place."""
    low, high = max(0, end - size), max(0, min(start, len(text) - size))
    at = rng.randint(min(low, high), max(low, high))
    return text[at:at + size]


class PairSampler:
    """Endless ``(query, passage)`` pairs; the passage has at most ``size`` characters, its title in front."""

    def __init__(self, data: Path, rng: Random, limit: int | None = None):
        self.rng = rng
        self.news = [(t, b) for t, b in sets.articles(data, "xwlb_cctv_2012_2026") if t and "快讯" not in t][:limit]
        self.docs = self.news + sets.articles(data, "crud_rag_docs")[:limit] + sets.articles(data, "gov_work_reports_1954_2026")
        self.laws = sets.articles(data, "laws_regulations")[:limit]
        self.events = sets.pairs(data, "crud_event_title_news")
        self.reading = [x for x in sets.reading(data) if x.start >= 0 and x.source not in ("webqa.test", "cjrc.dev")]
        self.paraphrases = sets.pairs(data, "simclue_triples") + sets.pairs(data, "csts_paraphrase")

    def pair(self, size: int) -> tuple[str, str]:
        rng, kind = self.rng, self.rng.random()
        if kind < 0.22:
            title, body = rng.choice(self.news)
            return title, window(body, 0, min(size, len(body)), size, rng)
        if kind < 0.26:
            event, body = rng.choice(self.events)
            return event, window(body, 0, min(size, len(body)), size, rng)
        if kind < 0.52:
            x = rng.choice(self.reading)
            passage = window(x.context, x.start, x.start + len(x.answer), size, rng)
            return x.question, (x.title + " " + passage if x.title and rng.random() < 0.5 else passage)
        if kind < 0.58:
            return rng.choice(self.paraphrases)
        while True:
            title, body = rng.choice(self.laws if rng.random() < 0.1 else self.docs)
            body = body[:6000]
            spans = [(s, e) for s, e in sentences(body) if e - s > 12]
            if len(spans) < 3:
                continue
            s, e = rng.choice(spans)
            passage = window(body, s, min(e, s + size), size, rng)
            if kind < 0.88:
                made = make(body[s:e], "" if rng.random() < 0.7 else title, rng)
                if not made:
                    continue
                query = made[0]
            else:  # inverse cloze: the sentence leaves its passage nine times in ten
                query = body[s:e][:QUERY]
                if rng.random() < 0.9:
                    passage = passage.replace(body[s:e], "")
                if len(passage) < 30:
                    continue
            return query, (title[:24] + " " + passage if title and rng.random() < 0.5 else passage)


def batches(sampler: PairSampler, tokenizer, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [sampler.pair(size - 2) for _ in range(count)]
    def ids(texts: list[str], length: int) -> torch.Tensor:
        return torch.tensor(tokenizer([fold(t) for t in texts], max_length=length, truncation=True, padding="max_length")["input_ids"])
    return ids([q for q, _ in pairs], QUERY), ids([p for _, p in pairs], size)


def embed(body, ids: torch.Tensor) -> torch.Tensor:
    """Mean-pooled unit vectors, ``(batch, dim)`` float32."""
    mask = (ids != 0)
    hidden = body(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
    return F.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)


def save(body, tokenizer, out: Path) -> None:
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
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lengths", default="128,128,288", help="passage lengths, taken in turn; the batch shrinks with the length")
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--body-lr", type=float, default=0.3, help="the body's share of the learning rate")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    torch.manual_seed(args.seed)
    rng = Random(args.seed)
    tokenizer = character_tokenizer(sets.character_vocabulary(args.data, 7400))
    body = chinese_body(tokenizer, args.layers).train()
    torch.nn.Module.to(body, DEVICE)
    sampler = PairSampler(args.data, rng, args.limit)
    loop = Loop(
        body, args.lr, args.minutes, slow=lambda name: "word_embeddings" not in name, slow_lr=args.body_lr, warmup=50,
        run=args.run, every=args.every, log=10,
    )
    lengths = [int(x) for x in args.lengths.split(",")]

    def keep() -> None:
        loop.keep()
        save(body, tokenizer, args.out)

    while loop.tick():
        size = lengths[loop.step % len(lengths)]
        count = args.batch if size <= 160 else args.batch // 2
        queries, passages = (ids.to(DEVICE) for ids in batches(sampler, tokenizer, size, count))
        with autocast():
            q, p = embed(body, queries), embed(body, passages)
        scores = q @ p.T * SCALE
        target = torch.arange(count, device=DEVICE)
        if loop.update((F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2, count):
            keep()
    keep()


if __name__ == "__main__":
    main()
