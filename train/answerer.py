"""Train the answerer: the copy model on in-place questions first, on people's questions more and more.

    python -m train.answerer --data DATA --out models/answerer --minutes 100 --start models/embedder

Writes a checkpoint every few minutes (``--run FOLDER``); the same command with the
same folder goes on from it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, BertModel

from index.text import sentences
from qa.copy_model import CopyConfig, CopyModel
from qa.reading import PAIRS, Formatter
from train import data as sets
from train.body import character_tokenizer, chinese_body
from train.leaks import refuse_leaks
from train.questions import make

# How often each reading set is drawn: its size, weighed by how near it is to offices' questions.
WEIGHTS = {
    "cmrc2018.train": 0.30, "cmrc2018.trial": 0.05, "drcd.dev": 0.15, "counterterror_news.train": 0.14, "squad11_zh_mt.dev": 0.10,
    "squad2_zh_mt.dev": 0.11, "webqa.test": 0.05, "cjrc.dev": 0.06, "dureader_qg.dev": 0.02, "ncp_policy.train": 0.02,
}
TEXT_WEIGHTS = {"xwlb_cctv_2012_2026": 0.42, "crud_rag_docs": 0.40, "gov_work_reports_1954_2026": 0.09, "laws_regulations": 0.09}


@dataclass(frozen=True)
class Row:
    """One training row. ``starts`` lists where the answer may begin in ``passage``; empty means "no answer"."""

    question: str
    title: str
    passage: str
    answer: str
    starts: tuple[int, ...]


def occurrences(text: str, part: str, limit: int = 8) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0 and len(found) < limit:
        found.append(at)
        at = text.find(part, at + 1)
    return found


_YEAR = re.compile(r"(?:19|20)\d\d(?=年)")
_NAME = re.compile(r"[\u4e00-\u9fa5]{2}(?=省|市|县|区|州|国|镇|大学|公司|集团|医院|综保区|经开区|高新区)")
_OPPOSITES = ("进口 出口", "增长 下降", "最高 最低", "上半年 下半年", "今年 去年", "男 女", "增加 减少", "第一 第二", "开工 竣工", "城镇 农村", "首次 末次",
              "最大 最小", "投资 贷款", "收入 支出", "省级 市级", "国家级 省级", "上午 下午", "春季 秋季", "东部 西部", "成立 撤销", "学生 老师", "利润 亏损")


def near_miss(question: str, passage: str, elsewhere: str, rng: Random) -> str:
    """``question`` with its year, a name or a word of contrast changed to one that ``passage`` lacks; empty where there is none to change."""
    changes = [(m.span(), str(int(m.group()) + rng.choice((-3, -2, -1, 1, 2)))) for m in _YEAR.finditer(question)]
    if names := _NAME.findall(elsewhere):
        changes += [(m.span(), rng.choice(names)) for m in _NAME.finditer(question)]
    for a, b in (pair.split() for pair in _OPPOSITES):
        for old, new in ((a, b), (b, a)):
            if (at := question.find(old)) >= 0:
                changes.append(((at, at + len(old)), new))
    changes = [(span, new) for span, new in changes if new not in passage and question[span[0] : span[1]] != new]
    if not changes:
        return ""
    (start, end), new = rng.choice(changes)
    return question[:start] + new + question[end:]


def is_dev(context: str) -> bool:
    """One context in 25 is never trained on."""
    return sum(map(ord, context[:60])) % 25 == 0


class RowSampler:
    """Endless training rows for windows of ``size`` tokens, and fixed development rows."""

    def __init__(self, data: Path, formatter: Formatter, rng: Random, limit: int | None = None):
        self.rng, self.formatter = rng, formatter
        examples = [x for x in sets.reading(data) if len(x.answer) <= 60 and len(x.question) >= 4]
        self.real: dict[str, list[sets.Example]] = {}
        for x in examples:
            if not is_dev(x.context):
                self.real.setdefault(x.source, []).append(x)
        self.real_dev = [x for x in examples if is_dev(x.context) and x.source in ("cmrc2018.train", "drcd.dev", "counterterror_news.train")]
        self.texts, self.texts_dev = {}, []
        for name in TEXT_WEIGHTS:
            rows = sets.articles(data, name)[:limit]
            self.texts[name] = [a for a in rows if not is_dev(a[1])]
            if name.startswith(("xwlb", "crud")):
                self.texts_dev += [a for a in rows if is_dev(a[1])]
        shortest = Random(0)
        shortest.shuffle(self.real_dev)
        shortest.shuffle(self.texts_dev)

    def _window(self, text: str, start: int, end: int, room: int) -> tuple[str, int]:
        """A window of ``text`` of at most ``room`` characters that holds ``[start, end)``, and where it begins."""
        if self.rng.random() < 0.25:
            room = min(room, max(60, end - start + 20, self.rng.randint(60, max(61, room))))
        low, high = max(0, end - room), min(start, max(0, len(text) - room))
        at = self.rng.randint(min(low, high), max(low, high))
        return text[at : at + room], at

    def real_row(self, x: sets.Example, size: int) -> Row:
        title = x.title if self.rng.random() < 0.6 else ""
        room = self.formatter.room(x.question, title, size)
        if x.start < 0:
            at = self.rng.randint(0, max(0, len(x.context) - room))
            return Row(x.question, title, x.context[at : at + room], "", ())
        end = x.start + len(x.answer)
        if self.rng.random() < 0.09:  # a window of the same text without the answer
            sides = [s for s in (x.context[: x.start], x.context[end:]) if len(s) > 50]
            side = self.rng.choice(sides)[:room] if sides else ""
            if side and x.answer not in side:
                return Row(x.question, title, side, "", ())
        passage, at = self._window(x.context, x.start, end, room)
        others = (o for o in occurrences(passage, x.answer) if o != x.start - at and len(x.answer) > 1)
        return Row(x.question, title, passage, x.answer, (x.start - at, *others))

    def made_row(self, article: tuple[str, str], other: tuple[str, str], size: int) -> Row | None:
        rng = self.rng
        title, body = article
        shift = rng.randint(0, max(0, len(body) - 3000))
        body = body[shift : shift + 3000]
        spans = [(s, e) for s, e in sentences(body) if e - s > 10]
        if not spans:
            return None
        # Of two sentences rather the one with more figures: which of them is asked for is the hard part.
        s, e = max(rng.choices(spans, k=rng.choice((1, 2, 3))), key=lambda span: sum(c.isdigit() for c in body[span[0] : span[1]]))
        made = make(body[s:e], title, rng)
        if not made or made[2] - made[1] > 60:
            return None
        question, start, end = made[0], s + made[1], s + made[2]
        answer = body[start:end]
        title = title if rng.random() < 0.6 else ""
        room = self.formatter.room(question, title, size)
        draw = rng.random()
        if draw > 0.94:
            passage, _ = self._window(body, start, end, room)
            return Row(missed, title, passage, "", ()) if (missed := near_miss(question, passage + title, other[1], rng)) else None
        if draw < 0.05 and len(spans) > 4:  # elsewhere in the same article
            text = body[e:][:room] if len(body) - e > s else body[max(0, s - room) : s]
            return Row(question, title, text, "", ()) if len(text) > 40 and answer not in text else None
        if draw < 0.09:  # another article
            return Row(question, title, other[1][:room], "", ()) if answer not in other[1][:room] else None
        if draw < 0.24 and end - start < room // 2:  # two articles in one window, as on a newspaper page
            passage, at = self._window(body, start, end, room // 2)
            extra = other[1][: room - len(passage)]
            if rng.random() < 0.5:
                return Row(question, title, passage + extra, answer, (start - at,))
            return Row(question, title, extra + passage, answer, (start - at + len(extra),))
        passage, at = self._window(body, start, end, room)
        return Row(question, title, passage, answer, (start - at,))

    def row(self, size: int, made: float) -> Row:
        """One row; ``made`` is the chance that its question is made in place."""
        rng = self.rng
        while True:
            if rng.random() < made:
                name = rng.choices(list(TEXT_WEIGHTS), list(TEXT_WEIGHTS.values()))[0]
                row = self.made_row(rng.choice(self.texts[name]), rng.choice(self.texts[name]), size)
            else:
                source = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
                row = self.real_row(rng.choice(self.real[source]), size)
            if row:
                return self._slip(row)

    def batches(self, size: int, made: float, count: int, many: int = 12) -> list[tuple[int, list[Row]]]:
        """``many`` batches in random order, each of rows alike in length, with the width in tokens that holds its longest."""
        rows = sorted((self.row(size, made) for _ in range(count * many)), key=self._length)
        groups = [rows[at : at + count] for at in range(0, len(rows), count)]
        self.rng.shuffle(groups)
        return [(min(size, -(-self._length(group[-1]) // 16) * 16), group) for group in groups]

    def _length(self, row: Row) -> int:
        return self.formatter.length(row.question, row.title, row.passage)

    def _slip(self, row: Row) -> Row:
        """One question in 25 gets a wrong character, as typing does."""
        q = row.question
        if self.rng.random() < 0.04 and len(q) > 8:
            at = self.rng.randrange(len(q) - 3)
            q = q[:at] + self.rng.choice(row.passage or q) + q[at + 1 :]
            return Row(q, row.title, row.passage, row.answer, row.starts)
        return row

    def dev(self, size: int, count: int) -> dict[str, list[Row]]:
        kept, self.rng = self.rng, Random(1)
        real = [self.real_row(x, size) for x in self.real_dev[:count]]
        made: list[Row] = []
        while len(made) < count:
            if row := self.made_row(self.rng.choice(self.texts_dev), self.rng.choice(self.texts_dev), size):
                made.append(row)
        self.rng = kept
        return {"real": real, "made": made}


def tensors(rows: list[Row], formatter: Formatter, size: int) -> dict[str, Any]:
    """The keyword arguments of :meth:`CopyModel.forward`."""
    batch, offsets = formatter.batch([(r.question, r.title, r.passage) for r in rows], size)
    starts = torch.tensor([o + r.starts[0] if r.starts else 0 for r, o in zip(rows, offsets, strict=True)])
    lengths = torch.tensor([len(r.answer) if r.starts else 0 for r in rows])
    also = torch.zeros_like(batch["copyable"])
    for i, (r, o) in enumerate(zip(rows, offsets, strict=True)):
        also[i, [o + s for s in r.starts if o + s < size]] = True
    return {**batch, "starts": starts, "lengths": lengths, "also": also & batch["copyable"]}


def exact_matches(model: CopyModel, rows: list[Row], formatter: Formatter, size: int) -> dict[str, float]:
    """Share of answerable rows answered exactly, and of unanswerable rows left unanswered."""
    model.eval()
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row in rows:
        batch, offsets = formatter.batch([(row.question, row.title, row.passage)], size)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model.generate(**batch, num_return_sequences=1)
        silent = out.none[0] > out.sequences_scores[0]
        said = row.passage[int(out.starts[0]) - offsets[0] : int(out.ends[0]) - offsets[0]]
        right[bool(row.starts)].append(bool(silent) if not row.starts else sets.normalised(said) == sets.normalised(row.answer))
    model.train()
    return {name: round(float(np.mean(right[key])), 3) for key, name in ((True, "exact"), (False, "silent")) if right[key]}


def with_words(model: CopyModel, table: np.ndarray) -> CopyModel:
    """``model`` with the word vectors ``(n, size)``; it says what it said before, until it learns to use them."""
    model.config.words, model.config.word_size = table.shape
    new = CopyModel(model.config)
    new.load_state_dict(model.state_dict(), strict=False)
    new.words[1:] = torch.from_numpy(np.clip(np.round(table / np.abs(table).max(1, keepdims=True) * 127), -127, 127)).to(torch.int8)
    torch.nn.init.zeros_(new.word.weight)
    torch.nn.init.zeros_(new.alike.weight)
    return new


def build(start: Path | None, data: Path, layers: int) -> tuple[CopyModel, Any]:
    """A copy model: the one in ``start``, or a fresh one on the body of ``start`` (an embedder of ours) or on MiniLM's."""
    if start and json.loads((start / "config.json").read_text("utf-8"))["model_type"] == CopyConfig.model_type:
        model = CopyModel.from_pretrained(start, dtype=torch.float32, attn_implementation="eager")
        return model, AutoTokenizer.from_pretrained(start)
    if start:
        tokenizer = AutoTokenizer.from_pretrained(start)
        body = BertModel.from_pretrained(start, add_pooling_layer=False, dtype=torch.float32)
    else:
        tokenizer = character_tokenizer(sets.character_vocabulary(data, 7400))
        body = chinese_body(tokenizer, layers)
    config = CopyConfig(vocab_size=body.config.vocab_size, encoder_layers=body.config.num_hidden_layers)
    config._attn_implementation = "eager"  # trains 1.3x faster than sdpa on a CPU
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
    """Write the shipped form: float16 safetensors, config, tokenizer, the pairs that have vectors."""
    out.mkdir(parents=True, exist_ok=True)
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    model.save_pretrained(out, state_dict=state)
    tokenizer.save_pretrained(out)
    if formatter.pairs:
        (out / PAIRS).write_text("\n".join(formatter.pairs) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/answerer"))
    parser.add_argument("--run", type=Path, default=Path("runs/answerer"), help="checkpoints; an existing one is resumed")
    parser.add_argument("--start", type=Path, default=None, help="an embedder folder whose body to start from")
    parser.add_argument("--words", type=Path, default=None, help="the folder of train.words' vectors, for a model that has none yet")
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lengths", default="192:0.6,288:1", help="tokens a row, each until that share of the time")
    parser.add_argument("--made", default="0.65,0.25", help="share of in-place questions, at the start and at the end")
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--body-lr", type=float, default=0.35, help="the body's share of the learning rate")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--limit", type=int, default=None, help="articles read of each text file")
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--dev", type=int, default=300, help="held-out rows of each kind, read at every checkpoint")
    parser.add_argument("--warmup", type=int, default=150, help="steps in which the learning rate rises")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    refuse_leaks(args.data)
    torch.manual_seed(args.seed)
    model, tokenizer = build(args.start, args.data, args.layers)
    formatter = Formatter.load(args.start or Path(), tokenizer.get_vocab())
    if args.words:
        formatter = Formatter.load(args.words, tokenizer.get_vocab())
        model = with_words(model, np.load(args.words / "vectors.npy"))
    sampler = RowSampler(args.data, formatter, Random(args.seed), args.limit)
    dev = sampler.dev(192, args.dev)
    body = [p for n, p in model.named_parameters() if n.startswith("encoder.") and "word_embeddings" not in n and "token_type" not in n]
    ids = {id(p) for p in body}
    new = [p for p in model.parameters() if id(p) not in ids]
    optimiser = torch.optim.AdamW(
        [{"params": new, "share": 1.0}, {"params": body, "share": args.body_lr}], lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), **{k: str(v) for k, v in vars(args).items()}}), flush=True)
    step, seen, spent = 0, 0, 0.0
    checkpoint = args.run / "checkpoint.pt"
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step, seen, spent = kept["step"], kept["seen"], kept["spent"]
        sampler.rng.seed(args.seed + step)
    lengths = [(int(a), float(b)) for a, b in (x.split(":") for x in args.lengths.split(","))]
    made_first, made_last = (float(x) for x in args.made.split(","))
    began, saved = time.time() - spent * 60, spent
    running: list[list[float]] = []
    batches: list[tuple[int, list[Row]]] = []
    model.train()

    def keep() -> None:
        args.run.mkdir(parents=True, exist_ok=True)
        part = checkpoint.with_suffix(".part")
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "seen": seen, "spent": (time.time() - began) / 60}, part)
        part.rename(checkpoint)
        save(model, tokenizer, formatter, args.out)
        scores = {name: exact_matches(model, rows, formatter, 192) for name, rows in dev.items()}
        print(json.dumps({"step": step, "rows": seen, "minutes": round((time.time() - began) / 60, 1), "dev": scores}), flush=True)

    while (done := (time.time() - began) / 60 / args.minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = args.lr * group["share"] * min(1, (step + 1) / args.warmup) * max(0.02, 1 - done)
        size = next(tokens for tokens, until in lengths if done < until)
        count = args.batch * lengths[0][0] // size
        if not batches:
            batches = sampler.batches(size, made_first + (made_last - made_first) * done, count)
        width, rows = batches.pop()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(**tensors(rows, formatter, width))
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        step, seen = step + 1, seen + len(rows)
        running = [*running, [out.loss.item(), out.start_loss.item(), out.end_loss.item()]][-50:]
        if step % 25 == 0 or step < 10:
            loss, start, end = (round(float(x), 3) for x in np.mean(running, 0))
            row = {"step": step, "rows": seen, "minutes": round((time.time() - began) / 60, 2), "loss": loss, "start": start, "end": end}
            print(json.dumps(row), flush=True)
        if (time.time() - began) / 60 - saved > args.every:
            saved = (time.time() - began) / 60
            keep()
    keep()


if __name__ == "__main__":
    main()
