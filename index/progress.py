"""A progress bar for building an index, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable


def progress_bar(label: str) -> Callable[[int, int], None]:
    """A ``progress(done, total)`` that draws a bar, or nothing at all where there is nothing left to do at its first call."""
    from tqdm import tqdm

    bar: tqdm | None = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            if done == total:
                return
            bar = tqdm(total=total, unit="passage", desc=label, file=sys.stderr)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return progress
