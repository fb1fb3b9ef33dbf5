"""Train the answerer: the copy model on in-place questions first, on people's questions more and more.

    python -m train.answerer --data DATA --out models/answerer --minutes 100 --start models/answerer

Writes a checkpoint every few minutes (``--run FOLDER``); the same command with the
same folder goes on from it. On a GPU (``--batch 256 --workers 12``) as on a CPU.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertModel
from transformers.utils import SAFE_WEIGHTS_NAME

from qa.copy_model import CopyConfig, CopyModel
from qa.packed import rounded
from qa.reading import BIGRAM, CHARACTER, PAIRS, QUESTION_TYPES, TITLE_TYPES, TRIGRAM, TYPES, Formatter
from train import data as sets
from train.body import character_tokenizer, chinese_body
from train.leaks import refuse_leaks
from train.loop import DEVICE, Loop, autocast
from train.rows import Row, RowSampler, Stream


def exact_matches(model: CopyModel, rows: list[Row], formatter: Formatter, size: int) -> dict[str, float]:
    """Share of answerable rows answered exactly (or rightly with yes or no), and of unanswerable rows left unanswered."""
    model.eval()
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row in rows:
        batch, offsets = formatter.batch([(row.question, row.title, row.passage)], size)
        with autocast():
            out = model.generate(**{name: value.to(DEVICE) for name, value in batch.items()}, num_return_sequences=1)
        silent = out.none[0] > out.sequences_scores[0]
        said = row.passage[int(out.starts[0]) - offsets[0] : int(out.ends[0]) - offsets[0]]
        if row.yes >= 0:
            right[True].append((float(out.yes[0]) > 0) == bool(row.yes))
        else:
            right[bool(row.starts)].append(bool(silent) if not row.starts else sets.normalised(said) == sets.normalised(row.answer))
    model.train()
    return {name: round(float(np.mean(right[key])), 3) for key, name in ((True, "exact"), (False, "silent")) if right[key]}


def with_words(model: CopyModel, table: np.ndarray) -> CopyModel:
    """``model`` with the word vectors ``(n, size)``; it says what it said before, until it learns to use them."""
    model.config.words, model.config.word_size = table.shape
    new = CopyModel(model.config)
    new.load_state_dict(model.state_dict(), strict=False)
    new.words[1:] = torch.from_numpy(np.clip(np.round(table / np.abs(table).max(1, keepdims=True) * 127), -127, 127)).to(torch.int8)
    for layer in (new.word, new.alike, new.met):
        torch.nn.init.zeros_(layer.weight)
    return new


# Which mark each one that a model does not know yet begins as a copy of, by how many marks there were.
MARKS = {12: (CHARACTER, BIGRAM, TRIGRAM, *QUESTION_TYPES.tolist()), 19: (CHARACTER, int(TITLE_TYPES[1]), int(QUESTION_TYPES[1]))}


def with_marks(model: CopyModel) -> CopyModel:
    """``model`` with the marks of tokens (:mod:`qa.reading`) that came after its training: the turn before, other words."""
    old = model.encoder.embeddings.token_type_embeddings.weight
    like = list(range(len(old)))
    while len(like) < TYPES:
        like += MARKS[len(like)]
    if len(like) == len(old):
        return model
    model.config.match_types = TYPES
    new = CopyModel(model.config)
    state = model.state_dict()
    state["encoder.embeddings.token_type_embeddings.weight"] = old.detach()[torch.tensor(like)]
    new.load_state_dict(state)
    return new


def build(start: Path | None, data: Path, layers: int) -> tuple[CopyModel, Any]:
    """A copy model: the one in ``start``, or a fresh one on the body in ``start`` (train.pretrain's) or on MiniLM's."""
    if start and json.loads((start / "config.json").read_text("utf-8"))["model_type"] == CopyConfig.model_type:
        model = with_marks(CopyModel.from_pretrained(start, dtype=torch.float32))
        return model, AutoTokenizer.from_pretrained(start)
    if start:
        tokenizer = AutoTokenizer.from_pretrained(start)
        body = BertModel.from_pretrained(start, add_pooling_layer=False, dtype=torch.float32)
    else:
        tokenizer = character_tokenizer(sets.character_vocabulary(data, 7400))
        body = chinese_body(tokenizer, layers)
    shape = {name: getattr(body.config, name) for name in ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")}
    config = CopyConfig(encoder_layers=body.config.num_hidden_layers, verdict=True, followups=True, **shape)  # both are among the rows
    model = CopyModel(config)
    state = body.state_dict()
    types = model.encoder.embeddings.token_type_embeddings.weight
    with torch.no_grad():
        rows = state.pop("embeddings.token_type_embeddings.weight")
        types.copy_(rows[:1] + torch.randn(types.shape, generator=torch.Generator().manual_seed(0)) * 0.02)
        model.encoder.load_state_dict(state, strict=False)
        for mine, theirs in zip(model.decoder.encoder.layer, body.encoder.layer[-config.decoder_layers :], strict=True):
            mine.load_state_dict(theirs.state_dict(), strict=False)
        model.decoder.embeddings.position_embeddings.weight.copy_(state["embeddings.position_embeddings.weight"])
    return model, tokenizer


def save(model: CopyModel, tokenizer: Any, formatter: Formatter, out: Path) -> None:
    """Write the shipped form: int8 safetensors, config, tokenizer, the pairs that have vectors."""
    out.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(out)
    save_file(rounded(model.state_dict()), out / SAFE_WEIGHTS_NAME, metadata={"format": "pt"})
    tokenizer.save_pretrained(out)
    if formatter.pairs:
        (out / PAIRS).write_text("\n".join(formatter.pairs) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/answerer"))
    parser.add_argument("--run", type=Path, default=Path("runs/answerer"), help="checkpoints; an existing one is resumed")
    parser.add_argument("--start", type=Path, default=None, help="a body (train.pretrain) or an answerer to start from")
    parser.add_argument("--words", type=Path, default=None, help="the folder of train.words' vectors, for a model that has none yet")
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--batch", type=int, default=32, help="rows of the first length; longer rows make smaller batches")
    parser.add_argument("--lengths", default="192:0.6,288:1", help="tokens a row, each until that share of the time")
    parser.add_argument("--made", default="0.65,0.25", help="share of in-place questions, at the start and at the end")
    parser.add_argument("--asked", type=float, default=0.35, help="weight of train/asked.jsonl beside the other people's questions, whose sum is 1")
    parser.add_argument("--wrong", type=float, default=0.1, help="share of the questions with an answer put to a passage that search finds elsewhere")
    parser.add_argument("--few", type=float, default=1.0, help="how often one of our own questions with few words of its excerpt is drawn for each other one")
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--body-lr", type=float, default=0.35, help="the body's share of the learning rate")
    parser.add_argument("--dropout", type=float, default=0.0, help="where the people's questions are read many times over")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--dev", type=int, default=300, help="held-out rows of each kind, read at every checkpoint")
    parser.add_argument("--warmup", type=int, default=150, help="steps in which the learning rate rises")
    parser.add_argument("--workers", type=int, default=0, help="processes that make rows; 0: the training process itself")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    torch.manual_seed(args.seed)
    model, tokenizer = build(args.start, args.data, args.layers)
    formatter = Formatter.load(args.start or Path(), tokenizer.get_vocab())
    if args.words:
        formatter = Formatter.load(args.words, tokenizer.get_vocab())
        model = with_words(model, np.load(args.words / "vectors.npy"))
    torch.nn.Module.to(model, DEVICE).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = args.dropout
    sampler = RowSampler(args.data, formatter, Random(args.seed), args.limit, args.asked, args.wrong, args.few)
    dev = sampler.dev(192, args.dev)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), **{k: str(v) for k, v in vars(args).items()}}), flush=True)
    new = ("word_embeddings", "token_type")
    loop = Loop(
        model, args.lr, args.minutes, slow=lambda name: name.startswith("encoder.") and not any(part in name for part in new),
        slow_lr=args.body_lr, warmup=args.warmup, run=args.run, every=args.every,
    )
    lengths = [(int(a), float(b)) for a, b in (x.split(":") for x in args.lengths.split(","))]
    first, last = (float(x) for x in args.made.split(","))

    def plan(done: float) -> tuple[int, float, int]:
        size = next((tokens for tokens, until in lengths if done < until), lengths[-1][0])
        return size, first + (last - first) * done, args.batch * lengths[0][0] // size

    def keep() -> None:
        loop.keep()
        save(model, tokenizer, formatter, args.out)
        save(model, tokenizer, formatter, args.run / "at" / f"{loop.spent:03.0f}")  # for train.average
        loop.print(dev={name: exact_matches(model, rows, formatter, 192) for name, rows in dev.items()})

    stream = Stream(sampler, plan, loop.progress, args.seed + loop.step)
    for batch in DataLoader(stream, batch_size=None, num_workers=args.workers, pin_memory=DEVICE == "cuda"):
        with autocast():
            out = model(**{name: value.to(DEVICE, non_blocking=True) for name, value in batch.items()})
        if loop.update(out.loss, len(batch["starts"]), start=out.start_loss, end=out.end_loss):
            keep()
        if not loop.tick():
            break
    keep()


if __name__ == "__main__":
    main()
