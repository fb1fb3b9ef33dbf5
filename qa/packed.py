"""How the shipped answerer serves on a CPU: rows end to end without padding, int8 products and bfloat16 attention where the CPU has them.

Padding is a quarter of what five passages of a real index fill, and matrix products are two thirds of the time. The weights are rounded
with one scale an output, the inputs with one scale a product, as they come (dynamic quantisation; Q8BERT, Zafrir et al. 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output

# What multiplies bfloat16 and int8 is made anew for every shape that it has not met (a millisecond), so rows of nearly one length share one.
ROUND = 16
SCALES = ".scales"  # after the name of a matrix kept in int8: one number a row


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` as it is shipped: matrices in int8 with a scale a row, the rest (and those of few rows) in float16. A CPU
    that multiplies int8 rounds most of them so anyway."""
    found = {}
    for name, value in state.items():
        value = value.detach().cpu()
        if value.is_floating_point() and value.ndim == 2 and len(value) > 16:
            scales = (value.float().abs().amax(1) / 127).clamp(min=1e-8)
            found[name], found[name + SCALES] = (value.float() / scales[:, None]).round().to(torch.int8), scales
        else:
            found[name] = (value.half() if value.is_floating_point() else value).contiguous()
    return found


def unrounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What :func:`rounded` kept, in float32 again; tensors without scales as they are."""
    scales = {name: value for name, value in state.items() if name.endswith(SCALES)}
    return {
        name: value.float() * scales[name + SCALES][:, None] if name + SCALES in scales else value.float() if value.is_floating_point() else value
        for name, value in state.items() if name not in scales
    }


def native_int8() -> bool:
    """Whether this CPU multiplies int8 without overflow (VNNI) and torch has the products for it, which newer ones may not."""
    vnni = getattr(torch.cpu, "_is_vnni_supported", lambda: False)()
    return bool(vnni) and hasattr(torch, "quantize_per_channel") and torch.backends.quantized.engine in ("x86", "fbgemm", "onednn")


def native_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 (AVX-512 BF16), which takes a third of the time of float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


class Int8Linear(nn.Module):
    """A linear layer with int8 weights; float32 in and out."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        scales = (weight.abs().amax(1) / 127).clamp(min=1e-8).double()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)  # deprecated, but nothing as fast stands in for it yet
            rounded = torch.quantize_per_channel(weight, scales, torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8)
        self.packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, x: Tensor) -> Tensor:
        # The last argument would give up a bit of the inputs, which CPUs without VNNI need.
        return torch.ops.quantized.linear_dynamic(x, self.packed, False)


def joined(linears: Sequence[nn.Linear], scales: Sequence[float], int8: bool) -> nn.Module:
    """One linear layer for several with the same input, each multiplied by its scale."""
    with torch.no_grad():
        weight = torch.cat([one.weight * scale for one, scale in zip(linears, scales, strict=True)])
        bias = torch.cat([one.bias * scale for one, scale in zip(linears, scales, strict=True)])
        if int8:
            return Int8Linear(weight, bias)
        found = nn.Linear(weight.shape[1], weight.shape[0])
        found.weight.copy_(weight)
        found.bias.copy_(bias)
        return found


def rooms(lengths: Sequence[int], most: int) -> list[int]:
    """Each length rounded up to ROUND, ``most`` at most."""
    return [min(-(-length // ROUND) * ROUND, most) for length in lengths]


def end_to_end(states: Tensor, places: Sequence[int]) -> Tensor:
    """``(sum(places), hidden)``: the first ``places[i]`` of each row of ``states`` ``(batch, source, hidden)``."""
    return torch.cat([row[:place] for row, place in zip(states, places, strict=True)])


def attend(query: Tensor, key: Tensor, value: Tensor, length: int | None = None) -> Tensor:
    """Attention ``(asking, heads, size)`` over ``(asked, heads, size)``, or the first ``length`` of these, the queries scaled already →
    ``(asking, heads * size)``."""
    weights = torch.bmm(query.transpose(0, 1), key.permute(1, 2, 0))
    if length is not None and length < len(key):
        weights[..., length:] = -torch.inf
    torch.softmax(weights, -1, out=weights)
    return torch.bmm(weights, value.transpose(0, 1)).transpose(0, 1).reshape(len(query), -1)


class PackedLayer(nn.Module):
    """One layer of the encoder, over rows that lie end to end."""

    def __init__(self, layer: Any, heads: int, int8: bool):
        super().__init__()
        inner, self.heads = layer.attention.self, heads
        self.narrow = torch.bfloat16 if int8 and native_bf16() else torch.float32
        self.shrink = (inner.query.out_features // heads) ** -0.5
        self.qkv = joined([inner.query, inner.key, inner.value], [self.shrink, 1, 1], int8)
        self.project, self.attention_norm = joined([layer.attention.output.dense], [1], int8), layer.attention.output.LayerNorm
        self.up, self.down = joined([layer.intermediate.dense], [1], int8), joined([layer.output.dense], [1], int8)
        self.output_norm = layer.output.LayerNorm

    def _heads(self, x: Tensor, parts: int) -> Tensor:
        """``(n, parts * hidden)`` → ``(n, parts, heads, size)``, narrowed for the attention."""
        return x.to(self.narrow).view(len(x), parts, self.heads, -1)

    def _onward(self, x: Tensor) -> Tensor:
        return self.output_norm(self.down(F.gelu(self.up(x))).add_(x))

    def forward(self, x: Tensor, lengths: list[int], places: list[int]) -> Tensor:
        """States ``(sum(places), hidden)`` in and out; of each row's ``places`` the first ``lengths`` are looked at."""
        rows = self._heads(self.qkv(x), 3).split(places)
        attended = torch.cat([attend(row[:, 0], row[:, 1], row[:, 2], length) for row, length in zip(rows, lengths, strict=True)])
        return self._onward(self.attention_norm(self.project(attended.float()).add_(x)))


class PackedDecoderLayer(PackedLayer):
    """One layer of the decoder: attention to what stands before, then to the source rows, which lie end to end."""

    def __init__(self, layer: Any, heads: int, int8: bool):
        super().__init__(layer, heads, int8)
        self.narrow = torch.float32  # few products of ever new shapes
        cross = layer.crossattention
        self.asks = joined([cross.self.query], [self.shrink], int8)
        self.holds = joined([cross.self.key, cross.self.value], [1, 1], int8)
        self.cross_project, self.cross_norm = joined([cross.output.dense], [1], int8), cross.output.LayerNorm

    def hold(self, source: Tensor, lengths: list[int], places: list[int]) -> list[Tensor]:
        """Keys and values of each source row, ``(length, 2, heads, size)``, of states ``(sum(places), hidden)``."""
        return [row[:length] for row, length in zip(self._heads(self.holds(source), 2).split(places), lengths, strict=True)]

    def forward(  # type: ignore[override]
        self, x: Tensor, held: Sequence[Tensor], readers: dict[int, list[int]]
    ) -> Tensor:
        """States ``(beams, steps, hidden)`` in and out; ``held`` are :meth:`hold`'s; ``readers`` the beams that read each source row."""
        beams, steps, width = x.shape
        flat = x.reshape(-1, width)
        query, key, value = self._heads(self.qkv(flat), 3).view(beams, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0).transpose(1, 2).reshape(flat.shape)
        flat = self.attention_norm(self.project(attended.float()).add_(flat))
        asking = self._heads(self.asks(flat), 1).view(beams, steps, self.heads, -1)
        found = torch.empty(beams, steps, width, dtype=self.narrow)
        for row, beams_of_row in readers.items():
            found[beams_of_row] = attend(asking[beams_of_row].flatten(0, 1), held[row][:, 0], held[row][:, 1]).view(len(beams_of_row), steps, width)
        flat = self.cross_norm(self.cross_project(found.reshape(flat.shape).float()).add_(flat))
        return self._onward(flat).view(beams, steps, width)


class PackedEncoder(nn.Module):
    """Stands in for a ``BertModel``'s layers: the same states, zero at the padding, without a gradient."""

    def __init__(self, model: BertModel, int8: bool):
        super().__init__()
        self.layers = nn.ModuleList(PackedLayer(layer, model.config.num_attention_heads, int8) for layer in model.encoder.layer)

    @torch.no_grad()
    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object) -> Output:
        """``hidden_states`` ``(batch, source, hidden)``, each row filled from its beginning; ``attention_mask`` ``(batch, 1, source, source)``,
        true or zero where it is looked at."""
        seen = torch.ones(hidden_states.shape[:2], dtype=torch.bool) if attention_mask is None else attention_mask[:, 0, 0]
        lengths = (seen if seen.dtype == torch.bool else seen == 0).sum(1).tolist()
        places = rooms(lengths, hidden_states.shape[1])
        x = end_to_end(hidden_states, places)
        for layer in self.layers:
            x = layer(x, lengths, places)
        states = torch.zeros_like(hidden_states)
        for row, found, length in zip(states, x.split(places), lengths, strict=True):
            row[:length] = found[:length]
        return Output(last_hidden_state=states)


class PackedDecoder(nn.Module):
    """Stands in for a decoding ``BertModel``: the same states, without a gradient. What is read of the source is computed once for all beams
    and, while the same source is read again, for all calls."""

    def __init__(self, model: BertModel, int8: bool):
        super().__init__()
        self.embeddings = model.embeddings
        self.layers = nn.ModuleList(PackedDecoderLayer(layer, model.config.num_attention_heads, int8) for layer in model.encoder.layer)
        self._held: tuple[Tensor | None, list[Any]] = (None, [])  # one tuple, so that threads never see half of it

    @torch.no_grad()
    def forward(self, begun: Tensor, hidden: Tensor, attention_mask: Tensor, rows: Tensor) -> Tensor:
        """``begun`` ``(beams, steps, hidden)`` reads ``hidden[rows]``; ``hidden`` and ``attention_mask`` are of the source, ``rows`` ``(beams,)``."""
        of, held = self._held
        if of is not hidden:
            lengths = (attention_mask > 0).sum(1).tolist()
            places = rooms(lengths, hidden.shape[1])
            source = end_to_end(hidden, places)
            held = [layer.hold(source, lengths, places) for layer in self.layers if isinstance(layer, PackedDecoderLayer)]
            self._held = hidden, held
        readers: dict[int, list[int]] = {}
        for beam, row in enumerate(rows.tolist()):
            readers.setdefault(row, []).append(beam)
        x = self.embeddings(inputs_embeds=begun)
        for layer, kept in zip(self.layers, held, strict=True):
            x = layer(x, kept, readers)
        return x


def pack(model: BertModel, int8: bool) -> None:
    """Make ``model``, a BERT encoder in float32, one for reading alone; from then on it cannot be trained or saved."""
    model.encoder = PackedEncoder(model, int8)  # type: ignore[assignment]
