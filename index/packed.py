"""How our own BERT encoders serve on a CPU: rows end to end without padding, and int8 products where the CPU has them.

Padding is a quarter of what five passages of a real index fill, and matrix products are two thirds of the time. The weights are rounded
with one scale an output, the inputs with one scale a product, as they come (dynamic quantisation; Q8BERT, Zafrir et al. 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output


def native_int8() -> bool:
    """Whether this CPU multiplies int8 without overflow (VNNI) and torch has the products for it, which newer ones may not."""
    vnni = getattr(torch.cpu, "_is_vnni_supported", lambda: False)()
    return bool(vnni) and hasattr(torch, "quantize_per_channel") and torch.backends.quantized.engine in ("x86", "fbgemm", "onednn")


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


class PackedLayer(nn.Module):
    """One layer of the encoder, over rows that lie end to end."""

    def __init__(self, layer: Any, heads: int, int8: bool):
        super().__init__()
        inner, self.heads = layer.attention.self, heads
        shrink = (inner.query.out_features // heads) ** -0.5
        self.qkv = joined([inner.query, inner.key, inner.value], [shrink, 1, 1], int8)
        self.project = joined([layer.attention.output.dense], [1], int8)
        self.up, self.down = joined([layer.intermediate.dense], [1], int8), joined([layer.output.dense], [1], int8)
        self.attention_norm, self.output_norm = layer.attention.output.LayerNorm, layer.output.LayerNorm

    def _within(self, row: Tensor) -> Tensor:
        """Attention within one row; ``(length, 3 * hidden)`` → ``(length, hidden)``."""
        query, key, value = row.view(len(row), 3, self.heads, -1).permute(1, 2, 0, 3)
        weights = torch.bmm(query, key.transpose(1, 2)).softmax(-1)
        return torch.bmm(weights, value).transpose(0, 1).reshape(len(row), -1)

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """States ``(sum(lengths), hidden)`` in and out."""
        attended = torch.cat([self._within(row) for row in self.qkv(x).split(lengths)])
        x = self.attention_norm(x + self.project(attended))
        return self.output_norm(x + self.down(F.gelu(self.up(x))))


class PackedEncoder(nn.Module):
    """Stands in for a ``BertModel``'s layers: the same states, zero at the padding, without a gradient."""

    def __init__(self, model: BertModel, int8: bool):
        super().__init__()
        self.layers = nn.ModuleList(PackedLayer(layer, model.config.num_attention_heads, int8) for layer in model.encoder.layer)

    @torch.no_grad()
    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object) -> Output:
        """``hidden_states`` ``(batch, source, hidden)``; ``attention_mask`` ``(batch, 1, source, source)``, true or zero where it is looked at."""
        if attention_mask is None:
            kept = torch.ones(hidden_states.shape[:2], dtype=torch.bool)
        else:
            seen = attention_mask[:, 0, 0]
            kept = seen if seen.dtype == torch.bool else seen == 0
        x, lengths = hidden_states[kept], kept.sum(1).tolist()
        for layer in self.layers:
            x = layer(x, lengths)
        states = torch.zeros_like(hidden_states)
        states[kept] = x
        return Output(last_hidden_state=states)


def pack(model: BertModel, int8: bool) -> None:
    """Make ``model``, a BERT encoder in float32, one for reading alone; from then on it cannot be trained or saved."""
    model.encoder = PackedEncoder(model, int8)  # type: ignore[assignment]


def round_linears(model: nn.Module) -> None:
    """Round every linear layer of ``model`` to int8."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, joined([child], [1], int8=True))
