"""The index on disk and in memory: FAISS vectors, BM25, passages, documents and the manifest that binds them.

Written to a temporary folder beside its place, the manifest last, then renamed; plain
files throughout, no pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import faiss
import numpy as np

from index.chunk import chunk_document
from index.embed import Embedder
from index.lexical import LexicalIndex, synonyms_digest
from index.load import folder_hashes, load_documents, readable
from index.types import Document, Heading, Manifest, Passage

VERSION = 2
CHUNK_SIZE = 320


class StoreError(RuntimeError):
    """An index that cannot be used as it is; the message says what to run."""


def searchable(passage: Passage) -> str:
    """What both searches read of a passage: title and heading path count too."""
    return "\n".join(part for part in (passage.title, passage.heading, passage.text) if part)


class PassageStore:
    """Passages with their vectors and BM25 index. Row ``i`` of both is ``passages[i]``."""

    def __init__(self, documents: list[Document], passages: list[Passage], vectors: np.ndarray, lexical: LexicalIndex, manifest: Manifest):
        self.documents = {d.id: d for d in documents}
        self.passages, self.vectors, self.lexical, self.manifest = passages, vectors, lexical, manifest
        self._faiss = faiss.IndexFlatIP(vectors.shape[1])
        self._faiss.add(vectors)

    def dense(self, vector: np.ndarray, k: int) -> list[tuple[int, float]]:
        """``(row, cosine)`` of the ``k`` nearest passages to a unit vector ``(dim,)``, best first."""
        scores, rows = self._faiss.search(vector[None].astype(np.float32), min(k, len(self.passages)))
        return [(int(r), float(s)) for r, s in zip(rows[0], scores[0], strict=True) if r >= 0]

    @classmethod
    def of(
        cls, embedder: Embedder, documents: list[Document], passages: list[Passage], vectors: np.ndarray,
        kept: Mapping[str, str] | None = None, skipped: Mapping[str, str] | None = None,
    ) -> PassageStore:
        """A store of what has been cut and embedded: ``vectors`` ``(passages, dim)``; ``kept`` and ``skipped`` as in :class:`Manifest`."""
        manifest = Manifest(VERSION, embedder.name, embedder.dim, CHUNK_SIZE, 0, kept or {}, len(passages), {}, skipped or {}, synonyms_digest())
        return cls(documents, passages, vectors, LexicalIndex.build([searchable(p) for p in passages]), manifest)

    @classmethod
    def build(
        cls, folder: Path, embedder: Embedder, old: PassageStore | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None, skipped: Callable[[str, str], None] = lambda name, why: None,
    ) -> PassageStore:
        """Index every document under ``folder``. Vectors of passages that ``old`` holds unchanged are taken over.

        ``progress(done, total)`` counts passages. Raises LoadError where there is no document.
        """
        hashes = folder_hashes(folder)
        documents = load_documents(folder, skipped)
        passages = [p for d in documents for p in chunk_document(d, CHUNK_SIZE)]
        texts = [searchable(p) for p in passages]
        known: dict[str, np.ndarray] = {}
        if old is not None and old.manifest.embedder == embedder.name:
            known = {searchable(p): old.vectors[i] for i, p in enumerate(old.passages)}
        vectors = np.zeros((len(passages), embedder.dim), np.float32)
        fresh = [i for i, t in enumerate(texts) if t not in known]
        for i, text in enumerate(texts):
            if text in known:
                vectors[i] = known[text]
        done = len(texts) - len(fresh)
        progress(done, len(texts))

        def advance(n: int) -> None:
            nonlocal done
            done += n
            progress(done, len(texts))

        if fresh:
            vectors[fresh] = embedder.encode([texts[i] for i in fresh], advance)
        kept = {d.id: hashes.pop(d.id, "") for d in documents}  # a file that came since counts as changed
        return cls.of(embedder, documents, passages, vectors, kept, hashes)

    def is_current(self, folder: Path) -> bool:
        """Whether the files under ``folder`` are still those that were indexed, and the synonyms too."""
        return self.manifest.synonyms == synonyms_digest() and folder_hashes(folder) == {**self.manifest.documents, **self.manifest.skipped}

    def save(self, out: Path) -> None:
        """Write the index to ``out``, replacing an older one whole or not at all."""
        out.parent.mkdir(parents=True, exist_ok=True)
        if _holds_other_files(out):
            raise StoreError(f"{out} holds other files than an index: name an empty or new folder")
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            faiss.write_index(self._faiss, str(staging / "vectors.faiss"))
            self.lexical.save(staging / "lexical")
            _write_lines(staging / "passages.jsonl", [asdict(p) for p in self.passages])
            _write_lines(staging / "documents.jsonl", [asdict(d) for d in self.documents.values()])
            self.manifest = Manifest(**{**asdict(self.manifest), "checksums": _checksums(staging)})
            (staging / "manifest.json").write_text(json.dumps(asdict(self.manifest), ensure_ascii=False, indent=1), "utf-8")
            _take_place(staging, out)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise

    @classmethod
    def open(cls, folder: Path, embedder_name: str | None = None) -> PassageStore:
        """Read an index. Raises StoreError where it is missing, damaged, of another version, or of another embedder."""
        again = f"run: python -m index DOCUMENTS --out {folder}"
        try:
            manifest = Manifest(**json.loads((folder / "manifest.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            raise StoreError(f"there is no readable index in {folder}: {again}") from None
        if manifest.version != VERSION:
            raise StoreError(f"the index in {folder} is of version {manifest.version}, this program writes {VERSION}: {again}")
        if embedder_name and manifest.embedder != embedder_name:
            raise StoreError(f"the index in {folder} was built with {manifest.embedder}, but {embedder_name} is loaded: {again}")
        if _checksums(folder) != dict(manifest.checksums):
            raise StoreError(f"the index in {folder} is damaged: {again}")
        vectors = faiss.read_index(str(folder / "vectors.faiss"))
        documents = [
            Document(**{**row, "headings": tuple(Heading(**h) for h in row["headings"]), "runs": tuple((a, b) for a, b in row["runs"])})
            for row in _read_lines(folder / "documents.jsonl")
        ]
        passages = [Passage(**row) for row in _read_lines(folder / "passages.jsonl")]
        return cls(documents, passages, vectors.reconstruct_n(0, vectors.ntotal), LexicalIndex.open(folder / "lexical", len(passages)), manifest)


def _holds_other_files(out: Path, looks: int = 4) -> bool:
    """Whether ``out`` is a folder with files but no index. Looked at more than once: another process may be replacing an index there."""
    for _ in range(looks):
        try:
            if not os.listdir(out) or (out / "manifest.json").exists():
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.01)
    return True


def _take_place(staging: Path, out: Path, tries: int = 20) -> None:
    """Move ``staging`` to ``out`` and remove what was there. Where other processes do so at the same time, the last one stays."""
    aside: list[Path] = []
    try:
        for left in reversed(range(tries)):
            with contextlib.suppress(FileNotFoundError):
                aside.append(out.rename(staging.with_name(f"{staging.name}-old{left}")))
            try:
                staging.rename(out)
                return
            except OSError:
                if not left:
                    if aside and not out.exists():
                        aside.pop().rename(out)  # what was there is still good
                    raise
                time.sleep(0.01 * random.random())
    finally:
        for old in aside:
            shutil.rmtree(old, ignore_errors=True)


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _read_lines(path: Path) -> list[dict]:
    # Not splitlines(): document text may hold U+2028 and the like.
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def default_place(folder: Path) -> Path:
    """Where the index of ``folder`` lives unless told otherwise: ``.judian/`` beside the program, or in $JUDIAN_HOME."""
    home = Path(os.environ.get("JUDIAN_HOME") or Path(__file__).resolve().parent.parent / ".judian")
    full = folder.resolve()
    return home / "index" / f"{readable(full.name)}-{hashlib.sha256(os.fsencode(full)).hexdigest()[:8]}"


def open_or_build(
    folder: Path, out: Path, embedder: Embedder, progress: Callable[[int, int], None] = lambda done, total: None,
    skipped: Callable[[str, str], None] = lambda name, why: None, replace: bool = False,
) -> PassageStore:
    """The index in ``out`` if it is the folder's as it stands; otherwise build or update it there.

    An index of another embedder or version, or a damaged one, is rebuilt in the default place or with ``replace``, and refused
    elsewhere (StoreError).
    """
    old = None
    if (out / "manifest.json").exists():
        try:
            old = PassageStore.open(out, embedder.name)
        except StoreError:
            if not replace and out != default_place(folder):
                raise
        if old and old.is_current(folder):
            return old
    store = PassageStore.build(folder, embedder, old, progress, skipped)
    store.save(out)
    return store
