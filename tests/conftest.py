"""Fakes for unit tests, and the shipped models for the others. No test may reach the network."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Only this machine may be talked to, and no index is left in the checkout."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("JUDIAN_HOME", str(tmp_path / "judian"))


class FakeEmbedder:
    """Character counts hashed into 64 dimensions: deterministic, and alike texts are near."""

    dim, light = 64, False

    def __init__(self, name: str = "fake:1"):
        self.name, self.encoded = name, 0

    def encode(self, texts, progress=None, batch=16):
        self.encoded += len(texts)
        vectors = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for c in text:
                vectors[row, hashlib.md5(c.encode()).digest()[0] % self.dim] += 1
        if progress:
            progress(len(texts))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_question(self, question):
        return self.encode([question])[0]

    def encode_spans(self, rows):
        return self.encode([f"{lead}{text[a:b]}" for lead, text, spans in rows for a, b in spans])


@pytest.fixture
def embedder():
    return FakeEmbedder()


@pytest.fixture(scope="session")
def assistant(tmp_path_factory):
    """The real thing: shipped weights over the five seed documents."""
    from qa import Assistant

    return Assistant.open(ROOT / "seeds", index=tmp_path_factory.mktemp("index") / "seeds")


@pytest.fixture
def tiny():
    """A copy model of tiny shape with random weights."""
    import torch

    from qa.copy_model import CopyConfig, CopyModel

    torch.manual_seed(0)
    config = CopyConfig(vocab_size=64, hidden_size=32, encoder_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=128, max_answer=8)
    return CopyModel(config).eval()
