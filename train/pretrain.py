"""Fit a body to Chinese before it learns to read: guess masked characters and short runs of them.

    python -m train.pretrain --data DATA --out runs/body --minutes 60 [--size base]

Masked language modelling (BERT, Devlin et al. 2019) with masked runs of one to three
characters (whole words: Cui et al. 2019; spans: SpanBERT, Joshi et al. 2020). Sizes:
``small`` is MiniLM's six layers under a Chinese embedding (WECHSEL's idea, Minixhofer et
al. 2022: keep the body, replace the words), ``base`` a fresh body for an accelerator.
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
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel

from index.text import fold
from train import data as sets
from train.body import character_tokenizer, chinese_body
from train.leaks import refuse_leaks
from train.loop import DEVICE, Loop, attention, autocast

MASK, CLS, SEP, UNK = 4, 2, 3, 1
SHARE = 0.18  # of the characters that are masked


def fresh_body(tokenizer: Any, layers: int = 8, hidden: int = 512) -> BertModel:
    """An untrained body of about 29M parameters."""
    rows = -(-len(tokenizer) // 64) * 64
    config = BertConfig(
        vocab_size=rows, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=hidden // 64, intermediate_size=4 * hidden,
        max_position_embeddings=512, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0,
    )
    config._attn_implementation = attention()
    return BertModel(config, add_pooling_layer=False)


def character_ids(data: Path, tokenizer: Any, limit: int | None) -> np.ndarray:
    """All training text as one row of uint16 ids, texts parted by [SEP]."""
    table = np.full(0x110000, UNK, np.uint16)
    for token, i in tokenizer.get_vocab().items():
        if len(token) == 1:
            table[ord(token)] = i
    parts = []
    texts = [body for name in sets.TEXTS for _, body in sets.articles(data, name)[:limit]]
    texts += sorted({x.context for x in sets.reading(data)})[:limit]
    Random(0).shuffle(texts)
    for text in texts:
        parts += [table[np.frombuffer(fold(text).encode("utf-32-le"), np.uint32)], np.array([SEP], np.uint16)]
    return np.concatenate(parts)


def masked(ids: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``(input, chosen)`` of ``ids`` ``(batch, size)``: runs of one to three characters chosen, nine in ten of them masked."""
    draw = torch.rand(ids.shape, generator=generator, device=ids.device)
    chosen = torch.zeros_like(ids, dtype=torch.bool)
    begins = draw < SHARE / 1.8
    longer = torch.rand(ids.shape, generator=generator, device=ids.device)
    for length, least in ((1, 0.0), (2, 0.4), (3, 0.8)):
        more = begins & (longer >= least)
        chosen[:, length - 1 :] |= more[:, : ids.shape[1] - length + 1]
    chosen &= ids > MASK
    hide = chosen & (torch.rand(ids.shape, generator=generator, device=ids.device) < 0.9)
    return ids.masked_fill(hide, MASK), chosen


class MaskedLM(nn.Module):
    """The body with a head over the characters, tied to its embedding."""

    def __init__(self, body: BertModel):
        super().__init__()
        d = body.config.hidden_size
        self.body, self.head, self.norm = body, nn.Linear(d, d), nn.LayerNorm(d)
        self.bias = nn.Parameter(torch.zeros(body.config.vocab_size))

    def forward(self, ids: Tensor, chosen: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over the chosen characters, and the share guessed right."""
        hidden = self.body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[chosen]
        logits = self.norm(F.gelu(self.head(hidden))) @ self.body.embeddings.word_embeddings.weight.T + self.bias
        right = target[chosen]
        return F.cross_entropy(logits.float(), right), (logits.argmax(-1) == right).float().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/body"))
    parser.add_argument("--run", type=Path, default=Path("runs/pretrain"), help="checkpoints; an existing one is resumed")
    parser.add_argument("--start", type=Path, default=None, help="a body of this program's to go on from")
    parser.add_argument("--size", choices=("small", "base"), default="small")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--body-lr", type=float, default=0.4, help="the share of the rate that MiniLM's layers take")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    torch.manual_seed(args.seed)
    if args.start:
        tokenizer = AutoTokenizer.from_pretrained(args.start)
        body = BertModel.from_pretrained(args.start, add_pooling_layer=False, dtype=torch.float32, attn_implementation=attention())
    else:
        tokenizer = character_tokenizer(sets.character_vocabulary(args.data, 7400))
        body = chinese_body(tokenizer, args.layers) if args.size == "small" else fresh_body(tokenizer)
    ids = torch.from_numpy(character_ids(args.data, tokenizer, args.limit).astype(np.int32))
    held, ids = ids[: len(ids) // 100], ids[len(ids) // 100 :]
    model = MaskedLM(body).to(DEVICE).train()
    about = {"parameters": sum(p.numel() for p in body.parameters()), "characters": len(ids)}
    print(json.dumps({**about, **{k: str(v) for k, v in vars(args).items()}}), flush=True)
    old = args.size == "small"
    loop = Loop(
        model, args.lr, args.minutes, slow=lambda name: old and name.startswith("body.encoder"), slow_lr=args.body_lr, warmup=args.warmup,
        run=args.run, every=args.every,
    )
    draws = torch.Generator().manual_seed(args.seed + loop.step)
    masks = torch.Generator(DEVICE).manual_seed(args.seed + loop.step)

    def batch(text: Tensor, generator: torch.Generator) -> Tensor:
        at = torch.randint(0, len(text) - args.length, (args.batch,), generator=generator)
        rows = text[at[:, None] + torch.arange(args.length)].long()
        rows[:, 0], rows[:, -1] = CLS, SEP
        return rows.to(DEVICE, non_blocking=True)

    def keep() -> None:
        loop.keep()
        args.out.mkdir(parents=True, exist_ok=True)
        body.save_pretrained(args.out)
        tokenizer.save_pretrained(args.out)
        fixed, same = torch.Generator().manual_seed(1), torch.Generator(DEVICE).manual_seed(1)
        model.eval()
        with torch.no_grad(), autocast():
            scores = [model(*masked(rows := batch(held, fixed), same), rows) for _ in range(8)]
        model.train()
        loop.print(held_loss=round(float(sum(loss for loss, _ in scores)) / 8, 4), held_right=round(float(sum(right for _, right in scores)) / 8, 4))

    while loop.tick():
        target = batch(ids, draws)
        given, chosen = masked(target, masks)
        with autocast():
            loss, right = model(given, chosen, target)
        if loop.update(loss, args.batch, right=right):
            keep()
    keep()


if __name__ == "__main__":
    main()
