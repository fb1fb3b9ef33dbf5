"""How fast on this machine: embedding and reading side by side with a BERT of bge-small-zh's shape that is made on the spot.

Absolute times drift from machine to machine and from hour to hour; the ratios, measured in turns within one run, do not.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from index.embed import MODELS, Embedder
from index.store import searchable
from qa.assistant import READ, Assistant

# BAAI/bge-small-zh-v1.5 as its config.json has it: 24 million parameters.
PEER: dict[str, Any] = {
    "vocab_size": 21128, "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048, "max_position_embeddings": 512,
}


def peer_embedder(folder: Path) -> Embedder:
    """An embedder of the peer's shape with random weights, written to ``folder``; one token a character, by our tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    body = folder / "body"
    BertModel(BertConfig(**PEER), add_pooling_layer=False).save_pretrained(body)
    AutoTokenizer.from_pretrained(MODELS / "answerer").save_pretrained(body)
    model = SentenceTransformer(modules=[Transformer(str(body), max_seq_length=384), Pooling(PEER["hidden_size"], "cls"), Normalize()], device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return Embedder(folder / "model")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def most_memory() -> int | None:
    """The most bytes that this process has taken so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(assistant: Assistant, questions: Sequence[str], rounds: int = 3, passages: int = 96) -> dict[str, Any]:
    """Embed ``passages`` of the assistant's documents by its embedder and by the peer in turns, ``rounds`` times; read the five passages found
    for each of ``questions``, and let the peer embed them right after.

    ``rates`` are passages a second, ``ratio`` ours to the peer's round by round; times are in seconds, ``index_bytes`` of a thousand passages,
    ``memory_bytes`` the most that this process had taken before the peer came, models and index included.
    """
    memory = most_memory()
    store, embedder, answerer = assistant.store, assistant.retriever.embedder, assistant.answerer
    chosen = (store.passages * (passages // len(store.passages) + 1))[:passages]
    texts = [searchable(p) for p in chosen]
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    reading, embedding, searching = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        peer = peer_embedder(Path(folder))
        for one in (embedder, peer):
            one.encode(texts[:16])
        for _ in range(rounds):
            for name, one in (("ours", embedder), ("peer", peer)):
                rates[name].append(len(texts) / timed(partial(one.encode, texts)))
        answerer.answer(questions[0], assistant.retriever.search(questions[0])[:READ])
        for question in questions:
            began = time.perf_counter()
            hits = assistant.retriever.search(question)[:READ]
            searching.append(time.perf_counter() - began)
            reading.append(timed(partial(answerer.answer, question, hits)))
            embedding.append(timed(partial(peer.encode, [hit.passage.text for hit in hits])))
        store.save(Path(folder) / "index")
        size = sum(path.stat().st_size for path in (Path(folder) / "index").rglob("*") if path.is_file())
    return {
        "passages": passages, "characters": statistics.mean(map(len, texts)), "rates": rates,
        "ratio": [a / b for a, b in zip(rates["ours"], rates["peer"], strict=True)], "questions": len(questions), "search": searching,
        "read": reading, "read_ratio": [a / b for a, b in zip(reading, embedding, strict=True)],
        "index_bytes": 1000 * size / len(store.passages), "memory_bytes": memory,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The measurements as text."""

    def spread(values: Sequence[float], form: str = ".2f") -> str:
        return f"{statistics.median(values):{form}} ({min(values):{form}} – {max(values):{form}})"

    read = [seconds * 1000 for seconds in found["read"]]
    return [
        f"{found['passages']} passages of {found['characters']:.0f} characters embedded, in turns with a BERT of bge-small-zh's shape; median (least – most):",
        f"  passages a second {spread(found['rates']['ours'], '.1f')}, the peer's {spread(found['rates']['peer'], '.1f')}; ratio {spread(found['ratio'])}",
        f"{found['questions']} questions: search {statistics.median(found['search']) * 1000:.0f} ms, reading five passages {spread(read, '.0f')} ms",
        f"  reading takes {statistics.median(found['read_ratio']):.2f} of the time in which the peer embeds the same passages",
        f"index: {found['index_bytes'] / 1e6:.2f} MB a thousand passages" + (
            f"; memory before the peer came {found['memory_bytes'] / 1e6:.0f} MB" if found["memory_bytes"] else ""
        ),
    ]
