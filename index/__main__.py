"""python -m index FOLDER: build an index, or update one."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from index.embed import Embedder, ModelError
from index.load import LoadError
from index.progress import progress_bar
from index.store import StoreError, default_place, open_or_build


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m index", description="Index the documents of a folder, or bring its index up to date.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="where the index goes (default: a place of its own under .judian/)")
    parser.add_argument("--embedder", help="a sentence-transformers model: a folder, or a hub name with JUDIAN_ONLINE=1")
    args = parser.parse_args()
    began = time.perf_counter()
    try:
        out = args.out or default_place(args.folder)
        store = open_or_build(
            args.folder, out, Embedder(args.embedder), progress_bar(str(args.folder)), lambda name, why: print(f"skipped {name}: {why}", file=sys.stderr),
            replace=True,
        )
    except (LoadError, StoreError, ModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(store.documents)} documents, {len(store.passages)} passages, in {out} ({time.perf_counter() - began:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
