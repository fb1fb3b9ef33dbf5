"""Texts → unit float32 vectors, by any sentence-transformers model. Nothing is fetched unless the user allows it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from index.text import fold

MODELS = Path(__file__).resolve().parent.parent / "models"
DEFAULT = MODELS / "embedder"


class ModelError(RuntimeError):
    """A model that cannot be loaded; the message says what to do."""


def allow_network() -> bool:
    """Whether models may be fetched by name: only where JUDIAN_ONLINE=1 is set."""
    return os.environ.get("JUDIAN_ONLINE") == "1"


def go_offline() -> None:
    """Keep the model libraries off the network. Call before they are imported."""
    if not allow_network():
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def model_error(kind: str, name: str, error: Exception) -> ModelError:
    """The one sentence that every failed model load ends in."""
    hint = "" if allow_network() else ", or set JUDIAN_ONLINE=1 to fetch it by name from a model hub"
    return ModelError(f"the {kind} {name!r} cannot be loaded: name a folder with its files{hint} ({str(error).splitlines()[0]})")


def quiet() -> None:
    """Silence the model libraries' progress bars and notices; errors are still raised."""
    import transformers
    from transformers.utils import logging

    transformers.logging.set_verbosity_error()
    logging.disable_progress_bar()


def fingerprint(folder: Path) -> str:
    """SHA-256 over the weights in ``folder``, "" where there are none."""
    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest() if files else ""


class Embedder:
    """``encode`` gives unit vectors of passages, ``encode_question`` that of a question; ``name`` tells two embedders apart, ``dim`` is the
    vectors' length. A ``light`` one, as the shipped, embeds hundreds of sentences while a question waits.

    ``model`` is a local folder or, with JUDIAN_ONLINE=1, a hub name. Raises ModelError.
    """

    def __init__(self, model: str | Path | None = None):
        go_offline()
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize

        from index.static import CharacterPairs

        quiet()
        path = str(model or DEFAULT)
        try:
            self.light = CharacterPairs.is_in(path)
            if self.light:  # put together here: by its name alone the library would not trust code outside of its own
                self._model = SentenceTransformer(modules=[CharacterPairs.load(path), Normalize()], device="cpu")
            else:
                self._model = SentenceTransformer(path, device="cpu", model_kwargs={"dtype": "float32"}, local_files_only=not allow_network())
        except Exception as error:  # the libraries raise many kinds
            raise model_error("embedder", path, error) from error
        self._model.eval()
        self.dim = int(self._model.get_embedding_dimension() or 0)
        local = Path(path)
        self.name = f"{local.name if local.is_dir() else path}:{fingerprint(local)[:12] if local.is_dir() else 'hub'}"
        if prompts := {task: text for task, text in self._model.prompts.items() if text}:  # passages are embedded with them
            self.name += f":{hashlib.sha256(json.dumps(prompts, sort_keys=True).encode()).hexdigest()[:6]}"

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        """``(len(texts), dim)`` float32, each row of length 1. ``progress(n)`` hears after every batch."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        batch = 256 if self.light else 16  # a light one folds by itself
        # Longest first, so that a batch holds texts of one length and little padding.
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for at in range(0, len(order), batch):
            rows = order[at : at + batch]
            chosen = [texts[i] if self.light else fold(texts[i]) for i in rows]
            vectors[rows] = self._model.encode_document(chosen, batch_size=batch, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False)
            if progress:
                progress(len(rows))
        return vectors

    def encode_question(self, question: str) -> np.ndarray:
        """``(dim,)`` float32 of length 1: as :meth:`encode`, but with the prompt that a model may have for questions."""
        return self._model.encode_query(question if self.light else fold(question), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False)

    def encode_spans(self, rows: Sequence[tuple[str, str, Sequence[tuple[int, int]]]]) -> np.ndarray:
        """``(all spans, dim)`` unit vectors of the spans of each ``(lead, text, spans)``, the lead in front of each. Light embedders only."""
        import torch

        with torch.no_grad():
            return self._model[0].spans(rows).numpy()  # type: ignore[operator]
