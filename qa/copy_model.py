"""A seq2seq reader that can only quote: an encoder–decoder with a copy head.

The encoder reads ``[CLS] question [SEP] title [SEP] passage [SEP]`` in characters.
The decoder writes the answer one character at a time; its first step points at any
passage position (or at "no answer"), every later step either copies the next source
character or ends. So whatever it generates is a contiguous span of its input, with
a proper probability over all spans and "no answer". For a question of yes or no it
points at the sentence that decides, and says which of the two it shows.

Sources: pointer networks (Vinyals et al. 2015), CopyNet (Gu et al. 2016); the "no
answer" option after Clark & Gardner (2018); exact-match features after DrQA (Chen et
al. 2017). The encoder starts from all-MiniLM-L6-v2 (Wang et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSeq2SeqLM, BertConfig, BertModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME
from transformers.utils.generic import ModelOutput

from qa.packed import SCALES, PackedDecoder, unrounded
from qa.reading import OTHER_QUESTION, QUESTION, QUESTION_TYPES, TURN_TYPES, TYPES

ALIKE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.99)  # cosines that part the levels of likeness to the question's words

NEAR = 16  # characters that every answer is read for; longer ones are read on where they are likely
UNLIKELY = 9.0  # how far below the likeliest beginning, as a logarithm, nothing is looked for


class CopyConfig(PreTrainedConfig):
    """Shapes of a :class:`CopyModel`. ``match_types`` is the number of ``token_type_ids``; ``words`` the number of
    two-character words with fixed vectors of ``word_size`` (:mod:`train.words`), 0 for a model without them; ``verdict`` whether
    it says yes or no; ``followups`` whether it has read follow-ups with the turn before in front."""

    model_type = "judian-copy"
    is_encoder_decoder = True
    vocab_size: int = 7360
    hidden_size: int = 384
    encoder_layers: int = 6
    decoder_layers: int = 1
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    match_types: int = TYPES
    words: int = 0
    word_size: int = 96
    verdict: bool = False
    followups: bool = False
    max_answer: int = 64
    pad_token_id: int = 0
    bos_token_id: int = 2
    eos_token_id: int = 3
    decoder_start_token_id: int = 2

    def bert(self, layers: int, **more) -> BertConfig:
        config = BertConfig(
            vocab_size=self.vocab_size, hidden_size=self.hidden_size, num_hidden_layers=layers, num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size, max_position_embeddings=self.max_position_embeddings, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, pad_token_id=self.pad_token_id, **more,
        )
        # On a CPU, at these lengths, eager attention trains 1.4 times as fast as sdpa; what is served has its own (qa/packed.py).
        config._attn_implementation = "sdpa" if torch.cuda.is_available() else "eager"
        return config


def is_question(token_type_ids: Tensor) -> Tensor:
    """Which tokens are the question's (or the special ones around it), not those of the turn before it, as a bool tensor of the same shape."""
    matched = (token_type_ids >= int(QUESTION_TYPES[1])) & (token_type_ids <= int(QUESTION_TYPES[-1]))
    return matched | (token_type_ids == QUESTION) | (token_type_ids == OTHER_QUESTION)


def is_turn(token_type_ids: Tensor) -> Tensor:
    """Which tokens are those of the turn before, as a bool tensor of the same shape."""
    return (token_type_ids >= int(TURN_TYPES[0])) & (token_type_ids <= int(TURN_TYPES[-1]))


@dataclass(frozen=True)
class SpanOutput:
    """The ``k`` best spans, best first. Shapes ``(k,)`` but ``sequences`` ``(k, length)``, padded.

    ``rows`` says which input a span comes from, ``starts``/``ends`` its token positions there,
    ``sequences_scores`` its log-probability; ``none`` ``(rows,)`` is the log-probability of "no
    answer" in each input. ``yes`` ``(k,)`` are the odds, as a logarithm, that what stands there says yes to the question
    (0 for a model that does not say).
    """

    sequences: Tensor
    sequences_scores: Tensor
    rows: Tensor
    starts: Tensor
    ends: Tensor
    none: Tensor
    yes: Tensor


class CopyModel(PreTrainedModel):
    config_class = CopyConfig
    config: CopyConfig
    words: Tensor
    base_model_prefix = "model"
    main_input_name = "input_ids"

    def __init__(self, config: CopyConfig):
        super().__init__(config)
        d = config.hidden_size
        self.encoder = BertModel(config.bert(config.encoder_layers, type_vocab_size=config.match_types), add_pooling_layer=False)
        # The decoder reads encoder states, not token ids: its own word table would stay unused.
        decoder = config.bert(config.decoder_layers, type_vocab_size=1, is_decoder=True, add_cross_attention=True)
        decoder.vocab_size = 1
        self.decoder = BertModel(decoder, add_pooling_layer=False)
        if config.words:
            # int8, row 0 for "no word": directions are all that is used of them.
            self.register_buffer("words", torch.zeros(config.words + 1, config.word_size, dtype=torch.int8))
            self.word = nn.Linear(2 * config.word_size, d, bias=False)
            self.alike, self.met = nn.Embedding(len(ALIKE) + 2, d), nn.Embedding(len(ALIKE) + 2, d)
        self.begin = nn.Parameter(torch.zeros(d))
        self.previous = nn.Linear(d, d)
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)
        self.none, self.go_on = nn.Linear(d, 1), nn.Linear(d, 1)
        if config.verdict:
            self.judge = nn.Sequential(nn.Linear(2 * d, d), nn.GELU(), nn.Linear(d, 1))
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> CopyModel:
        """As of any transformers model; and from a folder with weights as :func:`qa.packed.rounded` keeps them, in float32."""
        path = Path(str(pretrained_model_name_or_path)) / SAFE_WEIGHTS_NAME
        names: list[str] = []
        if path.is_file():
            with safe_open(path, "pt") as kept:
                names = list(kept.keys())
        if not any(name.endswith(SCALES) for name in names):
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = cls(kwargs.get("config") or cls.config_class.from_pretrained(path.parent))
        model.load_state_dict(unrounded(load_file(path)))
        return model.eval()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.data.fill_(1.0)
            module.bias.data.zero_()

    def encode(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, words: Tensor | None = None) -> Tensor:
        """Source states ``(batch, source, hidden)``. ``words`` ``(batch, source)`` numbers the word that begins at each character, 0 for none."""
        inputs = self.encoder.embeddings.word_embeddings(input_ids)
        if self.config.words and words is not None:
            inputs = inputs + self.word_features(words, token_type_ids)
        return self.encoder(inputs_embeds=inputs, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    def word_features(self, words: Tensor, token_type_ids: Tensor) -> Tensor:
        """What each character's two words mean, and how near the nearer one comes to any word of the question (DrQA's soft match); for
        the question's own characters, to any word of title and passage: what nothing comes near to is not told of here."""
        vectors = F.normalize(self.words[words].to(self.word.weight.dtype), dim=-1)
        pair = torch.cat([vectors, F.pad(vectors, (0, 0, 1, 0))[:, :-1]], -1)
        known, question = words > 0, is_question(token_type_ids)
        asked = slice(0, int(question.any(0).nonzero().max()) + 1)  # questions stand first, or behind the turn before
        near = vectors @ vectors[:, asked].transpose(1, 2)
        told = near.masked_fill(~(known & question)[:, None, asked], -1).amax(-1)
        met = near.masked_fill(~(known & ~question & ~is_turn(token_type_ids))[:, :, None], -1).amax(1)
        features = self.word(pair) + self.alike(self._level(told, known) * ~question)
        features[:, asked] += self.met(self._level(met, known[:, asked]) * question[:, asked])
        return features

    @staticmethod
    def _level(near: Tensor, known: Tensor) -> Tensor:
        """The level, from 1, of the nearer of a character's two words, by cosines ``near`` ``(batch, n)``; 0 where neither is known."""
        near = near.masked_fill(~known, -2)
        near = torch.maximum(near, F.pad(near, (1, 0), value=-2)[:, :-1])
        return (torch.bucketize(near.float(), torch.tensor(ALIKE, device=near.device)) + 1).masked_fill(near < -1.5, 0)

    def decode(self, hidden: Tensor, attention_mask: Tensor, starts: Tensor, steps: int, rows: Tensor | None = None) -> Tensor:
        """Decoder states ``(n, 1 + steps, hidden)``: the first decides where to begin, number ``t`` whether the answer goes on
        after its ``t``-th character, for answers that begin at ``starts`` ``(n,)`` of source ``rows`` ``(n,)``, or of one row each."""
        begin = self.begin.to(hidden.dtype).expand(len(starts), 1, -1)
        if steps:
            at = (starts[:, None] + torch.arange(steps, device=starts.device)).clamp(max=hidden.shape[1] - 1)
            # The gradient of gather is the faster one.
            copied = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[2])) if rows is None else hidden[rows[:, None], at]
            begin = torch.cat([begin, self.previous(copied).to(begin.dtype)], 1)
        if isinstance(self.decoder, PackedDecoder):
            return self.decoder(begin, hidden, attention_mask, torch.arange(len(hidden)) if rows is None else rows)
        if rows is not None:
            hidden, attention_mask = hidden[rows], attention_mask[rows]
        return self.decoder(
            inputs_embeds=begin, encoder_hidden_states=hidden, encoder_attention_mask=attention_mask, use_cache=False
        ).last_hidden_state

    def start_logits(self, first: Tensor, hidden: Tensor, copyable: Tensor) -> Tensor:
        """``(batch, source + 1)`` float32, the last column "no answer"; positions outside ``copyable`` get -1e4."""
        asked = self.query(first)
        # q·(Kh + b) = (qK)·h + q·b: the source is not multiplied by a matrix. bfloat16 sums are too coarse.
        scores = (F.linear(asked, self.key.weight.t()).float()[:, None] * hidden.float()).sum(-1) + (asked.float() * self.key.bias).sum(-1, keepdim=True)
        scores = scores / hidden.shape[2] ** 0.5
        return torch.cat([scores.masked_fill(~copyable, -1e4), self.none(first).float()], -1)

    def verdicts(self, first: Tensor, begun: Tensor) -> Tensor:
        """``(n,)`` float32 log-odds of yes, of the first decoder states and the source states ``(n, hidden)`` at which a proof begins."""
        return self.judge(torch.cat([first, begun], -1))[:, 0].float()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, copyable: Tensor, starts: Tensor, lengths: Tensor,
        also: Tensor | None = None, words: Tensor | None = None, yes: Tensor | None = None, **_: object,
    ) -> ModelOutput:
        """The training loss: the answer's negative log-likelihood, averaged over the batch.

        ``copyable`` ``(batch, source)`` bool marks the passage; ``starts``, ``lengths`` ``(batch,)`` the answer,
        with length 0 for "no answer"; ``also`` ``(batch, source)`` bool further places where the same text stands. ``yes``
        ``(batch,)`` is 1 or 0 for a question of yes or no, whose answer is then only begun, and -1 for others.
        """
        answered = lengths > 0
        steps = max(int(lengths.max()), 1)
        hidden = self.encode(input_ids, attention_mask, token_type_ids, words)
        states = self.decode(hidden, attention_mask, starts, self.config.max_answer if self.training else steps)
        logits = self.start_logits(states[:, 0], hidden, copyable)
        right = torch.zeros_like(logits, dtype=torch.bool)
        right[torch.arange(len(starts)), torch.where(answered, starts, input_ids.shape[1])] = True
        if also is not None:
            right[:, :-1] |= also & answered[:, None]
        start = -logits.log_softmax(-1).masked_fill(~right, -1e4).logsumexp(-1)
        go_on = self.go_on(states[:, 1:])[..., 0].float()
        step = torch.arange(go_on.shape[1], device=go_on.device)[None]
        ends = F.binary_cross_entropy_with_logits(go_on, (step < lengths[:, None] - 1).float(), reduction="none")
        end = (ends * (step < lengths[:, None])).sum(-1)
        verdict = torch.zeros_like(start)
        if yes is not None and self.config.verdict:
            odds = self.verdicts(states[:, 0], hidden[torch.arange(len(starts), device=starts.device), starts.clamp(max=hidden.shape[1] - 1)])
            verdict = F.binary_cross_entropy_with_logits(odds, yes.clamp(min=0).float(), reduction="none") * (yes >= 0)
            end = end * (yes < 0)
        loss = (start + end + verdict).mean()
        return ModelOutput(loss=loss, start_loss=start.mean().detach(), end_loss=end.sum().detach() / answered.sum().clamp(min=1))

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, copyable: Tensor, words: Tensor | None = None,
        num_beams: int = 8, num_return_sequences: int = 4, max_new_tokens: int | None = None, **_: object,
    ) -> SpanOutput:
        """The most probable spans over all inputs together (several passages for one question).

        ``num_beams`` beginnings are kept; every end of each is scored, so the search is exact but for them.
        """
        steps = min(max_new_tokens or self.config.max_answer, self.config.max_answer)
        hidden = self.encode(input_ids, attention_mask, token_type_ids, words)
        first = self.decode(hidden, attention_mask, torch.zeros(len(hidden), dtype=torch.long, device=hidden.device), 0)[:, 0]
        begin = self.start_logits(first, hidden, copyable).log_softmax(-1)
        width = input_ids.shape[1]
        best = begin[:, :-1].flatten().topk(min(num_beams, int(copyable.sum())))
        rows, starts = best.indices // width, best.indices % width
        go_on = self._continuing(hidden, attention_mask, best.values, starts, steps, rows)
        at = starts[:, None] + torch.arange(steps, device=starts.device)
        inside = (at < width) & copyable[rows].gather(1, at.clamp(max=width - 1))
        scores = best.values[:, None] + F.logsigmoid(-go_on) + F.pad(F.logsigmoid(go_on).cumsum(-1)[:, :-1], (1, 0))
        top = scores.masked_fill(~inside, -1e9).flatten().topk(min(num_return_sequences, int(inside.sum())))
        beam, last = top.indices // steps, top.indices % steps
        rows, starts = rows[beam], starts[beam]
        ends = starts + last + 1
        yes = self.verdicts(first[rows], hidden[rows, starts]) if self.config.verdict else torch.zeros(len(rows), device=hidden.device)
        sequences = torch.full((len(rows), int((ends - starts).max())), self.config.pad_token_id, device=input_ids.device)
        for i, (row, start, end) in enumerate(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)):
            sequences[i, : end - start] = input_ids[row, start:end]
        return SpanOutput(sequences=sequences, sequences_scores=top.values, rows=rows, starts=starts, ends=ends, none=begin[:, -1], yes=yes)

    def _continuing(self, hidden: Tensor, attention_mask: Tensor, begun: Tensor, starts: Tensor, steps: int, rows: Tensor) -> Tensor:
        """``(n, steps)`` logits of going on after each character. Only beginnings whose answer may be long, by the log-probability ``begun``
        of beginning there and of going on so far, are read to the end; the others end for certain."""
        near = min(NEAR, steps)
        found = torch.full((len(starts), steps), -30.0, device=hidden.device)
        found[:, :near] = self.go_on(self.decode(hidden, attention_mask, starts, near, rows)[:, 1:])[..., 0].float()
        alive = begun + F.logsigmoid(found[:, :near]).sum(-1)
        far = (alive > begun.max() - UNLIKELY).nonzero()[:, 0]
        if near < steps and len(far):
            found[far] = self.go_on(self.decode(hidden, attention_mask, starts[far], steps, rows[far])[:, 1:])[..., 0].float()
        return found


AutoConfig.register("judian-copy", CopyConfig, exist_ok=True)
AutoModelForSeq2SeqLM.register(CopyConfig, CopyModel, exist_ok=True)
