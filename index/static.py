"""The shipped embedder's body: a text is the sum of the vectors of its characters and of its pairs of neighbouring characters.

Static embeddings trained for retrieval (sentence-transformers' StaticEmbedding, Aarsen 2025; before it fastText, Bojanowski et al. 2017).
A Chinese word has mostly two characters, so that overlapping pairs stand for words without a segmenter, whose mistakes would differ
between question and text. Nothing is multiplied but one row a token: thousands of passages a second on one core.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import InputModule
from torch import Tensor, nn

from index.text import fold

VOCABULARY = "vocabulary.txt"
WEIGHTS = "model.safetensors"


class Vocabulary:
    """Single characters, then pairs of them; a token's place is its id. Raises ValueError where ``tokens`` are anything else."""

    def __init__(self, tokens: Sequence[str]):
        pairs = [t for t in tokens if len(t) == 2]
        characters = [t for t in tokens if len(t) == 1]
        if [*characters, *pairs] != list(tokens) or len(set(tokens)) != len(tokens):
            raise ValueError("a vocabulary holds single characters, then pairs, each once")
        self.tokens = tuple(tokens)
        self._characters = np.full(0x110000, -1, np.int32)
        self._characters[[ord(c) for c in characters]] = np.arange(len(characters))
        keys = np.array([ord(p[0]) << 21 | ord(p[1]) for p in pairs] or [-1], np.int64)
        order = np.argsort(keys)
        self._keys, self._places = keys[order], (order + len(characters)).astype(np.int32)

    def __len__(self) -> int:
        return len(self.tokens)

    def ids(self, text: str) -> np.ndarray:
        """``(2, len(text))`` int32 of folded ``text``: the id of each character and of the pair that begins there, -1 where there is none."""
        codes = np.frombuffer(fold(text).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
        found = np.full((2, len(codes)), -1, np.int32)
        found[0] = self._characters[codes]
        if len(codes) > 1:
            here = codes[:-1] << 21 | codes[1:]
            at = np.searchsorted(self._keys, here).clip(max=len(self._keys) - 1)
            found[1, :-1] = np.where(self._keys[at] == here, self._places[at], -1)
        return found


def cut(ids: np.ndarray, start: int, end: int) -> np.ndarray:
    """The ids of a part of the text; the pair that begins at its last character is not in it."""
    part = ids[:, start:end].copy()
    part[1, -1:] = -1
    return part


def bag(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct tokens of ``(2, n)`` ids and their weights, the square roots of how often they stand there: ``(k,)`` int64 and float32."""
    tokens, counts = np.unique(ids[ids >= 0], return_counts=True)
    return tokens.astype(np.int64), np.sqrt(counts).astype(np.float32)


def collate(bags: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """Bags end to end, as :meth:`CharacterPairs.forward` takes them."""
    sizes = np.array([len(tokens) for tokens, _ in bags])
    return {
        "input_ids": torch.from_numpy(np.concatenate([tokens for tokens, _ in bags])),
        "weights": torch.from_numpy(np.concatenate([weights for _, weights in bags])),
        "offsets": torch.from_numpy(np.cumsum(sizes) - sizes),
    }


class CharacterPairs(InputModule):
    """A sentence-transformers module over a :class:`Vocabulary`; on disk int8 rows, each with its scale.

    ``table`` is ``(len(tokens), dim)`` float32. A text without a known token has the zero vector. Raises ValueError where the shapes differ.
    """

    def __init__(self, tokens: Sequence[str], table: Tensor):
        super().__init__()
        self.vocabulary = Vocabulary(tokens)
        if len(table) != len(self.vocabulary):
            raise ValueError(f"{len(table)} vectors for {len(self.vocabulary)} tokens")
        self.embedding = nn.EmbeddingBag.from_pretrained(table.float(), freeze=False, mode="sum")
        self.dim = table.shape[1]

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        return collate([bag(self.vocabulary.ids((prompt or "") + text)) for text in inputs])

    def spans(self, rows: Sequence[tuple[str, str, Sequence[tuple[int, int]]]]) -> Tensor:
        """``(all spans, dim)`` unit vectors of the spans of each ``(lead, text, spans)``, the lead in front of each; a text's tokens are looked up once."""
        bags = []
        for lead, text, spans in rows:
            front, ids = self.vocabulary.ids(lead), self.vocabulary.ids(text)
            bags += [bag(np.concatenate([front, cut(ids, a, b)], 1)) for a, b in spans]
        return nn.functional.normalize(self.forward(collate(bags))["sentence_embedding"], dim=-1)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = self.embedding(features["input_ids"], features["offsets"], features["weights"])
        return features

    def get_embedding_dimension(self) -> int:
        return self.dim

    @property
    def max_seq_length(self) -> float:
        return float("inf")

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        folder, table = Path(output_path), self.embedding.weight.detach()
        scale = (table.abs().amax(1, keepdim=True) / 127).clamp(min=1e-8)
        save_file({"table": (table / scale).round().to(torch.int8), "scale": scale.squeeze(1)}, str(folder / WEIGHTS))
        (folder / VOCABULARY).write_text("\n".join(self.vocabulary.tokens) + "\n", "utf-8")

    @classmethod
    def is_in(cls, folder: str | Path) -> bool:
        """Whether ``folder`` holds a model of this kind."""
        path = Path(folder) / "modules.json"
        return path.is_file() and any(row["type"] == f"{cls.__module__}.{cls.__name__}" for row in json.loads(path.read_text("utf-8")))

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> CharacterPairs:
        folder = Path(model_name_or_path)
        kept = load_file(str(folder / WEIGHTS))
        return cls((folder / VOCABULARY).read_text("utf-8").split("\n")[:-1], kept["table"].float() * kept["scale"][:, None])
