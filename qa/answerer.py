"""Question + hits → spans of the passages, by a seq2seq model. Never searches.

The shipped model (``models/answerer``) scores whole spans; any other transformers
seq2seq model generates under :class:`qa.grounding.SpanGrounding`. Both only quote; one that is let write freely is held to
what the passages say afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from index.embed import MODELS, allow_network, fingerprint, go_offline, model_error, quiet
from index.text import sentences
from index.types import Hit
from qa.citations import aligned

DEFAULT = MODELS / "answerer"
WINDOW = 384  # tokens of question, title and passage together: what the shipped model was trained on


@dataclass(frozen=True)
class Window:
    """A stretch of a hit's passage that is read at once; ``start``/``end`` are offsets in the document."""

    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        passage = self.hit.passage
        return passage.text[self.start - passage.start : self.end - passage.start]


@dataclass(frozen=True)
class Span:
    """An answer: offsets in the document of ``hit``; log-probabilities of the span, and of "no answer" in its window.

    ``said`` is what a model that writes freely wrote, "" for one that quotes; where no part of the passage says it, the span is empty.
    ``yes`` are the log-odds that what stands there says yes to the question, for a model that judges; of use where the question asks that.
    """

    hit: Hit
    start: int
    end: int
    score: float
    none: float
    said: str = ""
    yes: float = 0.0

    @property
    def odds(self) -> float:
        """The log-odds against "no answer"; for a model that has none, the score."""
        return self.score - self.none if math.isfinite(self.none) else self.score


class Answerer(Protocol):
    name: str
    judges: bool  # whether its spans say yes or no
    follows: bool  # whether it is trained to read a follow-up with the turn before in front (qa.reading.with_turn)

    def answer(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        """The best spans over all hits, best first; empty where there is nothing to read."""
        ...


def reading_title(hit: Hit) -> str:
    """What the reader sees as the title: the innermost heading where there is one, else the document's title."""
    heading = hit.passage.heading.rsplit(" > ", 1)[-1]
    return heading or hit.passage.title


def windows(hit: Hit, room: int) -> list[Window]:
    """The passage of ``hit`` as one window, or as several of at most ``room`` characters cut at sentence ends.

    Neighbouring windows share a sentence where it is short, so that no answer loses what leads to it.
    """
    passage = hit.passage
    if len(passage.text) <= room:
        return [Window(hit, passage.start, passage.end)]
    spans = []
    for a, b in sentences(passage.text):
        spans += [(at, min(at + room, b)) for at in range(a, b, room)]
    found: list[Window] = []
    first = 0
    while first < len(spans):
        last = first
        while last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= room:
            last += 1
        found.append(Window(hit, passage.start + spans[first][0], passage.start + spans[last][1]))
        if last + 1 >= len(spans):
            break
        shared = last > first and spans[last][1] - spans[last][0] <= room // 3 and spans[last + 1][1] - spans[last][0] <= room
        first = last if shared else last + 1
    return found


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks: returning each large tensor to the system and faulting it in again takes longer than the search for the passages."""
    import ctypes
    import sys

    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:  # not in every C library
            mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
            mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD


class CopyAnswerer:
    """The shipped copy model (:mod:`qa.copy_model`), from a local folder, packed for reading (:mod:`qa.packed`). Raises ModelError."""

    def __init__(self, folder: str | Path = DEFAULT):
        go_offline()
        import torch
        from transformers import AutoTokenizer

        from qa.copy_model import CopyModel
        from qa.packed import PackedDecoder, native_int8, pack
        from qa.reading import TYPES, Formatter

        quiet()
        try:
            self._model = CopyModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
            if self._model.config.match_types != TYPES:
                raise ValueError(f"its weights know {self._model.config.match_types} types of tokens where {TYPES} are marked now: train anew")
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            raise model_error("answerer", str(folder), error) from error
        int8 = native_int8()
        pack(self._model.encoder, int8)
        self._model.decoder = PackedDecoder(self._model.decoder, int8)  # type: ignore[assignment]
        self._formatter = Formatter.load(Path(folder), tokenizer.get_vocab())
        self.judges, self.follows = self._model.config.verdict, self._model.config.followups
        keep_freed_memory()
        self.name = f"{Path(folder).name}:{fingerprint(Path(folder))[:12]}"

    def answer(self, question: str, hits: Sequence[Hit], spans: int = 24) -> list[Span]:
        """Up to ``spans`` spans over all hits together, best first."""
        pieces = [w for hit in hits for w in windows(hit, self._formatter.room(question, reading_title(hit), WINDOW))]
        if not pieces:
            return []
        batch, offsets = self._formatter.batch([(question, reading_title(w.hit), w.text) for w in pieces])
        out = self._model.generate(**batch, num_beams=12, num_return_sequences=spans)
        found = []
        columns = (out.rows, out.starts, out.ends, out.sequences_scores, out.yes)
        for row, start, end, score, yes in zip(*(column.tolist() for column in columns), strict=True):
            at = pieces[row].start - offsets[row]
            found.append(Span(pieces[row].hit, at + start, at + end, score, float(out.none[row]), yes=yes))
        return found


# Prompt formats of seq2seq models, by name. Randeng-T5-784M-QA's is the one on its model card.
TEMPLATES = {
    "plain": "问题：{question}\n文章：{passage}",
    "t5": "question: {question} context: {passage}",
    "randeng": "question:{question}knowledge:{passage}",
}


class Seq2SeqAnswerer:
    """Any transformers seq2seq model with a fast tokenizer. Raises ModelError.

    ``template`` names an entry of :data:`TEMPLATES`. ``grounded``: it quotes, under grounded beam search; otherwise it writes
    freely and what it wrote is looked for in the passage afterwards (:func:`qa.citations.aligned`). Such a model has no trained
    "no answer": ``Span.none`` is minus infinity.
    """

    judges = follows = False

    def __init__(self, model: str | Path, template: str = "t5", grounded: bool = True, beams: int = 3, max_new_tokens: int = 48, max_length: int = 512):
        go_offline()
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        quiet()
        if template not in TEMPLATES:
            raise ValueError(f"there is no template {template!r}: choose one of {', '.join(TEMPLATES)}")
        try:
            local = not allow_network()
            self._model = AutoModelForSeq2SeqLM.from_pretrained(model, dtype=torch.float32, local_files_only=local).eval()
            self._tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=local)
        except Exception as error:
            raise model_error("answerer", str(model), error) from error
        if not self._tokenizer.is_fast:
            raise model_error("answerer", str(model), ValueError("its tokenizer gives no character offsets"))
        self._template, self._grounded, self._beams, self._new, self._length = TEMPLATES[template], grounded, beams, max_new_tokens, max_length
        self.name = Path(str(model)).name

    def answer(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        """The best span of each hit, best first; empty spans, of what no passage says, last."""
        if not hits:
            return []
        texts = [hit.passage.text for hit in hits]
        inputs = self._tokenizer(
            [self._template.format(question=question, passage=t) for t in texts], return_tensors="pt", padding=True, truncation=True, max_length=self._length
        )
        found = []
        for hit, (span, said, score) in zip(hits, self._quotes(texts, inputs) if self._grounded else self._writes(texts, inputs), strict=True):
            if span or said:
                start, end = span or (0, 0)
                found.append(Span(hit, hit.passage.start + start, hit.passage.start + end, score, -math.inf, said))
        return sorted(found, key=lambda s: (s.end == s.start, -s.score))

    def _generate(self, inputs: Any, **more: Any) -> Any:
        return self._model.generate(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], num_beams=self._beams, do_sample=False, max_new_tokens=self._new,
            output_scores=True, return_dict_in_generate=True, **more,
        )

    def _quotes(self, texts: Sequence[str], inputs: Any) -> Iterator[tuple[tuple[int, int] | None, str, float]]:
        """The span of each text that the model copies, with its log-probability."""
        from transformers import LogitsProcessorList

        from qa.grounding import SpanGrounding, continuations

        sources = self._tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        end = self._model.config.eos_token_id or self._tokenizer.eos_token_id
        grounding = SpanGrounding(sources["input_ids"], end, self._beams, self._tokenizer.all_special_ids)
        out = self._generate(inputs, logits_processor=LogitsProcessorList([grounding]))
        for row, text in enumerate(texts):
            written = [t for t in out.sequences[row, 1:].tolist() if t not in grounding.banned]
            source, places = sources["input_ids"][row], sources["offset_mapping"][row]
            ends = continuations(source, written)
            start, stop = (places[ends[0] - len(written)][0], places[ends[0] - 1][1]) if written and ends else (0, 0)
            while start < stop and text[start].isspace():
                start += 1
            yield (start, stop) if start < stop else None, "", float(out.sequences_scores[row])

    def _writes(self, texts: Sequence[str], inputs: Any) -> Iterator[tuple[tuple[int, int] | None, str, float]]:
        """What the model writes for each text, and where the text says so, if it does."""
        out = self._generate(inputs)
        for row, text in enumerate(texts):
            said = str(self._tokenizer.decode(out.sequences[row], skip_special_tokens=True)).strip()
            yield aligned(said, text), said, float(out.sequences_scores[row])


def load_answerer(model: str | Path | None = None, template: str = "t5", grounded: bool = True) -> Answerer:
    """The shipped answerer, a folder with a copy model (both only quote), or any seq2seq model by folder or hub name."""
    path = Path(model or DEFAULT)
    config = path / "config.json"
    if not model or (config.is_file() and json.loads(config.read_text("utf-8")).get("model_type") == "judian-copy"):
        return CopyAnswerer(path)
    return Seq2SeqAnswerer(model, template, grounded)
