"""What may never be trained on, and finding it in other text: the gold, the benchmarks, the documents that they ask about.

All texts are compared :func:`normalised`. A text is taken to copy protected material where it shares ``RUN`` characters in a row
with a benchmark's context or a seed document, or holds the whole evidence of a gold item.
"""

from __future__ import annotations

import collections
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import zstandard

from index.load import load_documents
from index.text import fold

ROOT = Path(__file__).resolve().parent.parent
GOLD, SEEDS = ROOT / "eval" / "gold", ROOT / "seeds"
# A clause may be shared by chance, 30 characters are a sentence. Only anchors of 15 characters, one every 16, are remembered of
# the protected texts; 30 = 15 + 16 - 1, so each run of 30 still has a whole anchor in it, and none is missed.
RUN, ANCHOR, STEP = 30, 15, 16
LONG_QUESTION = 12  # a shorter one may recur by chance on another passage ("他是哪国人？")
# Set phrases of official language, met in the news beside the seeds without any copying (train/LOG.md); normalised.
_SET_PHRASES = re.compile(
    "(?:坚持)?以?习近平新时代中国特色社会主义思想为指导(?:全面贯彻党的[一二三四五六七八九十大和届中全会]{2,30}精神)?(?:坚持)?"
    "|为?实现第二个百年奋斗目标实现中华民族伟大复兴的中国梦(?:而不懈奋斗)?"
)
_POWERS = [np.uint64(pow(0x9E3779B97F4A7C15, k, 1 << 64)) for k in range(ANCHOR)]
_SPREAD, _BITS = np.uint64(0xD6E8FEB86659FD93), 24
_BATCH = 500_000  # characters hashed at once: some 30 MB of arrays


def lines(path: Path) -> Iterator[str]:
    """Lines of a zstd-compressed UTF-8 file, without their newline; empty ones left out."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: --data must name the folder with train/, pairs/ and text/")
    with path.open("rb") as raw:
        reader = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8", newline="\n")
        for line in reader:
            if line := line.rstrip("\n"):
                yield line


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Code point → code point of its normalised character, 0 where it is left out."""
    return np.array([ord(c) if c.isalnum() else 0 for c in fold("".join(map(chr, range(0x110000))))], np.uint32)


def _codes(text: str) -> np.ndarray:
    """``(len(text),)`` uint32; 0 where the character is left out."""
    return _table()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")]


def _text(codes: np.ndarray) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def normalised(text: str) -> str:
    """What two texts share when they differ in script, width, case, space or punctuation alone."""
    codes = _codes(text)
    return _text(codes[codes > 0])


def _hashes(codes: np.ndarray) -> np.ndarray:
    """A polynomial hash modulo 2**64 of every ``ANCHOR`` codes in a row, put together from those of 8, 4, 2 and 1."""
    one = codes.astype(np.uint64)
    two = one[:-1] * _POWERS[1] + one[1:]
    four = two[:-2] * _POWERS[2] + two[2:]
    eight = four[:-4] * _POWERS[4] + four[4:]
    n = max(0, len(codes) - ANCHOR + 1)
    return eight[:n] * _POWERS[7] + four[8 : 8 + n] * _POWERS[3] + two[12 : 12 + n] * _POWERS[1] + one[14 : 14 + n]


@dataclass(frozen=True)
class Passage:
    """A protected text, normalised; ``least`` characters of it in a row are a leak. ``source`` is its file, with the id in it."""

    source: str
    text: str
    least: int


@dataclass(frozen=True)
class Copy:
    """What a text shares with protected material: the longest run, normalised, and where that is from."""

    source: str
    run: str


class Guard:
    """Knows the protected questions and passages, and finds them in other text."""

    def __init__(self, questions: Iterable[str], passages: Iterable[Passage]):
        self.questions = {q for q in questions if len(q) > LONG_QUESTION}
        self.passages = [p for p in dict.fromkeys(passages) if len(p.text) >= ANCHOR]
        places: collections.defaultdict[int, list[tuple[int, int]]] = collections.defaultdict(list)
        for number, passage in enumerate(self.passages):
            hashes = _hashes(_codes(passage.text))
            for at in [0] if passage.least == len(passage.text) else range(0, len(hashes), STEP):
                places[int(hashes[at])].append((number, at))
        self._places = dict(places)
        self._anchors = np.array(sorted(places), np.uint64)
        self._sieve = np.zeros(1 << _BITS, bool)  # lets one position in hundreds through to the exact look
        self._sieve[self._slots(self._anchors)] = True

    @staticmethod
    def _slots(hashes: np.ndarray) -> np.ndarray:
        return (hashes * _SPREAD) >> np.uint64(64 - _BITS)

    def asks(self, question: str) -> bool:
        """Whether ``question`` is a protected one, and too long to be so by chance."""
        return normalised(question) in self.questions

    def copies(self, texts: Sequence[str]) -> dict[int, Copy]:
        """The longest copy in each text that holds one, by the text's number."""
        found: dict[int, Copy] = {}
        begin = size = 0
        for number, text in enumerate(texts, 1):
            size += len(text)
            if size >= _BATCH or number == len(texts):
                self._batch(texts[begin:number], begin, found)
                begin, size = number, 0
        return found

    def _batch(self, texts: Sequence[str], first: int, found: dict[int, Copy]) -> None:
        codes = _codes("".join(texts))
        kept = np.concatenate([[0], np.cumsum(codes > 0)])
        bounds = kept[np.concatenate([[0], np.cumsum([len(t) for t in texts])])]  # where each text begins among the codes that stay
        codes = codes[codes > 0]
        hashes = _hashes(codes)
        maybe = np.flatnonzero(self._sieve[self._slots(hashes)])
        for at in maybe[np.isin(hashes[maybe], self._anchors)].tolist():
            number = int(np.searchsorted(bounds, at, "right")) - 1
            text, inside = _text(codes[bounds[number] : bounds[number + 1]]), at - int(bounds[number])
            for which, offset in self._places[int(hashes[at])]:
                passage = self.passages[which]
                run = _common(text, inside, passage.text, offset)
                if len(run) >= passage.least and len(run) > len(found[first + number].run if first + number in found else ""):
                    found[first + number] = Copy(passage.source, run)


def _common(a: str, i: int, b: str, j: int) -> str:
    """The longest run that ``a`` around ``i`` and ``b`` around ``j`` share; empty where it holds no whole anchor."""
    low = high = 0
    while low < min(i, j) and a[i - low - 1] == b[j - low - 1]:
        low += 1
    while high < min(len(a) - i, len(b) - j) and a[i + high] == b[j + high]:
        high += 1
    return a[i - low : i + high] if high >= ANCHOR else ""  # a hash may err, and a window may run over the text's end


@lru_cache(maxsize=4)
def guard(data: Path | None, gold: Path | None = GOLD, seeds: Path | None = SEEDS) -> Guard:
    """The guard of every benchmark in ``data``/bench, every gold file and every seed document there is.

    Raises FileNotFoundError where ``gold`` is named and holds no gold, LoadError where ``seeds`` holds no document,
    ValueError for a line that is no gold item.
    """
    questions: list[str] = []
    passages: list[Passage] = []
    for path in sorted((data / "bench").glob("*.jsonl.zst")) if data else []:
        for row in map(json.loads, lines(path)):
            questions.append(normalised(row["question"]))
            context = normalised(row["context"])
            passages.append(Passage(path.name, context, min(RUN, len(context))))
    files = sorted(gold.glob("*.jsonl")) if gold else []
    if gold and not files:
        raise FileNotFoundError(f"{gold} holds no gold: --gold must name the folder with the gold files (*.jsonl)")
    for path in files:
        for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                asked = [row["question"], *(turn["question"] for turn in row.get("history", []))]
                evidence = normalised(row.get("evidence") or "")
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}:{number} is no gold item: correct it, or it cannot be kept out of the training ({error!r})") from error
            questions += map(normalised, asked)
            passages.append(Passage(f"{path.name} {row.get('id', '')}".strip(), evidence, len(evidence)))
    for document in load_documents(seeds) if seeds else []:
        for part in _SET_PHRASES.split(normalised(document.text)):
            passages.append(Passage(document.id, part, min(RUN, len(part))))
    return Guard(questions, _one_each(passages))


def _one_each(passages: list[Passage]) -> Iterable[Passage]:
    """One passage for each text: a context is asked about more than once."""
    return {p.text: p for p in reversed(passages)}.values()
