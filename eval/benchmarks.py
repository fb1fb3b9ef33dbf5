"""Benchmark files → examples: CMRC 2018, DRCD, SQuAD, DuReader_robust, XQuAD, CJRC, RGB and CRUD-RAG as they are published.

Every file is UTF-8 (a BOM is fine), JSON or JSON lines whatever its suffix, and may be zstd-compressed (``.zst``).
"""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.types import GoldError

PASSAGES = 5  # passages read for one RGB question, as published


@dataclass(frozen=True)
class Example:
    """One question with the contexts that are read for it, together.

    ``answers`` is empty where the contexts hold none (``answerable`` false). ``gold`` numbers the contexts (from 0) that the question
    was made for. ``parts`` (RGB alone): an answer is right if it holds one alternative of each part.
    """

    id: str
    title: str
    contexts: tuple[str, ...]
    question: str
    answers: tuple[str, ...]
    answerable: bool
    gold: tuple[int, ...] = (0,)
    parts: tuple[tuple[str, ...], ...] = ()


def load_benchmark(path: str | Path, format: str | None = None, noise: float | None = 0.0, seed: int = 0) -> list[Example]:
    """The examples of a file, in order. The format is told from the content, or forced: a name of :data:`FORMATS`.

    ``noise`` is RGB's: the share of noise among the five passages of a question, from 0 to 1, drawn and ordered with ``seed``;
    None takes all passages of each question. Raises GoldError, with the place in the file, OSError, or RuntimeError where
    zstandard is not installed.
    """
    path = Path(path)
    if noise is not None and not 0 <= noise <= 1:
        raise GoldError(f"a noise of {noise} is no share: choose one between 0 and 1")
    rows = _rows(path)
    kind = format or _recognised(path, rows)
    if kind not in FORMATS:
        raise GoldError(f"there is no format {kind!r}: choose one of {', '.join(FORMATS)}")
    if noise and kind != "rgb":
        raise GoldError(f"{path} is read as {kind}, and only RGB has passages to choose from: leave out --noise")
    found: list[Example] = []
    for place, row in rows:
        try:
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            found += _rgb(row, noise, seed) if kind == "rgb" else FORMATS[kind](row)
        except KeyError as error:
            raise GoldError(f"{path}{place}: {error} is missing, which {kind} has") from error
        except (TypeError, AttributeError) as error:
            raise GoldError(f"{path}{place}: not as {kind} has it ({error})") from error
        except ValueError as error:
            raise GoldError(f"{path}{place}: {error}") from error
    if not found:
        raise GoldError(f"{path} holds no question" + (" with passages of noise" if noise == 1 and rows else ""))
    seen: set[str] = set()
    for example in found:
        if example.id in seen:
            raise GoldError(f"{path}: the id {example.id!r} is there twice, so that its answers cannot be told apart")
        seen.add(example.id)
    return found


def _jsonl(row: dict[str, Any]) -> list[Example]:
    """Our own lines: ``{"id", "context", "question", "answers": […], "title", "answerable"}``, the last two may be left out.

    Answers may also be Hugging Face's ``{"text": […]}``.
    """
    answers = row["answers"]
    texts = _strings(answers["text"] if isinstance(answers, dict) else answers, "answers")
    return [_example(str(row["id"]), row.get("title"), [row["context"]], row["question"], texts, _flag(row.get("answerable", bool(texts)), "answerable"))]


def _squad(row: dict[str, Any]) -> list[Example]:
    """The nesting of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018): data → paragraphs → qas → answers → text.

    So are DRCD (Shao et al. 2018, DRCD_test.json), XQuAD (Artetxe et al. 2020, xquad.zh.json), CMRC 2018's squad-style files,
    DuReader_robust (Tang et al. 2021, dev.json: one article, mostly without titles) and CJRC (Duan et al. 2019: is_impossible is a string).
    """
    found = []
    for number, article in enumerate(_list(row["data"], "data"), 1):
        try:
            for paragraph in _list(article["paragraphs"], "paragraphs"):
                for qa in _list(paragraph["qas"], "qas"):
                    try:
                        found.append(_squad_question(qa, paragraph["context"], article.get("title")))
                    except ValueError as error:
                        raise ValueError(f"question {qa.get('id')!r}: {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"article {number}: 'paragraphs' of 'context' and 'qas' (id, question, answers) are expected ({error!r})") from error
        except ValueError as error:
            raise ValueError(f"article {number}, {error}") from error
    return found


def _squad_question(qa: dict[str, Any], context: Any, title: Any) -> Example:
    answers = list(dict.fromkeys(_strings([a["text"] for a in qa.get("answers") or []], "answers")))
    if not answers and "is_impossible" not in qa:
        raise ValueError("neither 'answers' nor 'is_impossible' is there: a test file without answers cannot be scored, name the dev file")
    answerable = not _flag(qa.get("is_impossible", False), "is_impossible")
    return _example(str(qa["id"]), title, [context], qa["question"], answers if answerable else [], answerable)


def _cmrc(row: dict[str, Any]) -> list[Example]:
    """CMRC 2018 (Cui et al. 2019, data/cmrc2018_dev.json): a list of ``{"context_text", "title", "qas": [{"query_id", "query_text", "answers"}]}``."""
    if "data" in row:
        return _squad(row)
    found = []
    for qa in _list(row["qas"], "qas"):
        texts = [str(a) if type(a) in (int, float) else a for a in _list(qa["answers"], "answers")]  # some are numbers in the official file
        answers = list(dict.fromkeys(_strings(texts, "answers")))
        found.append(_example(str(qa["query_id"]), row.get("title"), [row["context_text"]], qa["query_text"], answers, True))
    return found


def _rgb(row: dict[str, Any], noise: float | None = 0.0, seed: int = 0) -> list[Example]:
    """RGB (Chen et al. 2024, zh_refine.json and zh.json, zh_int.json, zh_fact.json): ``{"id", "query", "answer", "positive", "negative"}`` a line.

    ``answer`` is a text or a list of parts, each a text or a list of alternatives. Of five passages the share ``noise`` (rounded up) is
    negative, the first of each kind, topped up from the other kind where one runs out; with noise 1 all are, and nothing can be answered.
    zh_int has a list of positives for each part: one of each part comes first. zh_fact is read with its wrong passages (``positive_wrong``).
    """
    answer = row["answer"]
    parts = tuple(tuple(_strings(part if isinstance(part, list) else [part], "answer")) for part in (answer if isinstance(answer, list) else [answer]))
    if not parts or not all(parts) or not all(text.strip() for part in parts for text in part):
        raise ValueError("'answer' must be a text, or a list of texts and of lists of alternatives")
    nested = [p if isinstance(p, list) else [p] for p in _list(row["positive"] if noise is None else row.get("positive_wrong", row["positive"]), "positive")]
    by_part = any(isinstance(p, list) for p in row["positive"])
    deepest = max((len(p) for p in nested), default=0)
    right = [text for text in _strings([p[i] for i in range(deepest) for p in nested if i < len(p)], "positive") if text.strip()]
    wrong = [text for text in _strings(row["negative"], "negative") if text.strip()]
    if noise is not None:
        bad = math.ceil(round(PASSAGES * noise, 6))
        good = max(PASSAGES - bad, len(nested) if by_part else 0, PASSAGES - len(wrong)) if noise < 1 else 0
        right = right[:good]
        wrong = wrong[: PASSAGES - len(right)] if len(right) < PASSAGES else []
    drawn = [(text, True) for text in right] + [(text, False) for text in wrong]
    if not drawn:
        return []  # zh_fact has questions without a negative: at noise 1 nothing is left to read
    if noise is not None:
        random.Random(f"{seed}:{row['id']}").shuffle(drawn)
    gold = tuple(i for i, (_, positive) in enumerate(drawn) if positive)
    answerable = noise != 1
    answers = [text for part in parts for text in part] if answerable else []
    return [_example(str(row["id"]), "", [text for text, _ in drawn], row["query"], answers, answerable, gold, parts if answerable else ())]


def _crud(row: dict[str, Any]) -> list[Example]:
    """CRUD-RAG (Lyu et al. 2024, split_merged.json): its three question-answering lists of ``{"ID", "questions", "answers", "news1", …}``.

    The answers are written freely, not quoted: ROUGE-L and F1 against them have a ceiling well below 1 for a reader that quotes.
    """
    found = []
    for task in CRUD_TASKS:
        for number, item in enumerate(_list(row.get(task, []), task), 1):
            try:
                news = [item[name] for name in ("news1", "news2", "news3") if item.get(name)]
                if not news:
                    raise KeyError("news1")
                where = f"{task}-{item.get('ID', number)}"
                found.append(_example(where, "", news, item["questions"], _strings([item["answers"]], "answers"), True, tuple(range(len(news)))))
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{task}, item {number}: 'questions', 'answers' and 'news1' are expected ({error!r})") from error
            except ValueError as error:
                raise ValueError(f"{task}, item {number}: {error}") from error
    return found


CRUD_TASKS = ("questanswer_1doc", "questanswer_2docs", "questanswer_3docs")
FORMATS: dict[str, Callable[[dict[str, Any]], list[Example]]] = {
    "jsonl": _jsonl, "squad": _squad, "drcd": _squad, "dureader_robust": _squad, "xquad": _squad, "cjrc": _squad, "cmrc2018": _cmrc, "rgb": _rgb, "crud": _crud,
}


def _recognised(path: Path, rows: list[tuple[str, Any]]) -> str:
    """The format of a file by its first row's keys."""
    keys = set(rows[0][1]) if rows and isinstance(rows[0][1], dict) else set()
    signs = {"squad": {"data"}, "cmrc2018": {"context_text"}, "rgb": {"query", "positive"}, "jsonl": {"context", "question"}}
    for name, sign in signs.items():
        if sign <= keys:
            return name
    if keys & set(CRUD_TASKS):
        return "crud"
    if not rows:
        raise GoldError(f"{path} holds no question")
    seen = f"its first row has {', '.join(sorted(keys)[:8])}" if keys else "its first row is no object with keys"
    raise GoldError(
        f"{path} is in no format known ({seen}): expected are SQuAD's 'data', CMRC's 'context_text', RGB's 'query' and 'positive', "
        f"CRUD-RAG's 'questanswer_1doc', or lines with 'context' and 'question'"
    )


def _rows(path: Path) -> list[tuple[str, Any]]:
    """``(place, value)`` of each row: of each JSON line or list item, or the one object that the file is."""
    lines = list(read_lines(path))
    try:
        whole = json.loads("".join(lines)) if any(line.strip() for line in lines) else []
    except ValueError as error:
        found: list[tuple[str, Any]] = []
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    found.append((f":{number}", json.loads(line)))
            except ValueError as broken:
                problem = broken if found else error  # no line of its own is JSON: then it is one broken value
                place = number if found else getattr(error, "lineno", 1)
                raise GoldError(f"{path}:{place}: {problem}: JSON, or one JSON object a line, is expected") from broken
        return found
    if isinstance(whole, list):
        return [(f", item {number}", row) for number, row in enumerate(whole, 1)]
    nested = isinstance(whole, dict) and ("data" in whole or whole.keys() & set(CRUD_TASKS))
    return [("" if nested else ":1", whole)]


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file with their ends, unpacked where it ends in ``.zst``. Raises GoldError, OSError or RuntimeError."""
    with path.open("rb") as raw:
        stream: Any = raw
        broken: tuple[type[Exception], ...] = ()
        if path.suffix == ".zst":
            try:
                import zstandard
            except ImportError as error:
                raise RuntimeError(f"{path} is zstd-compressed: run pip install -r requirements-dev.txt, or unpack it first") from error
            stream, broken = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True), (zstandard.ZstdError,)
        try:
            yield from io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
        except broken as error:
            raise GoldError(f"{path} is not zstd-compressed, or damaged ({error})") from error
        except UnicodeDecodeError as error:
            raise GoldError(f"{path} is not UTF-8: save it as UTF-8 ({error})") from error


def _example(
    id: str, title: Any, contexts: list[Any], question: Any, answers: list[str], answerable: bool,
    gold: tuple[int, ...] = (0,), parts: tuple[tuple[str, ...], ...] = (),
) -> Example:
    """A checked example. Raises ValueError with what is wrong."""
    title = title or ""
    if not all(isinstance(value, str) for value in (title, question, *contexts)) or not all(c.strip() for c in contexts):
        raise ValueError("title, context and question must be strings, the context not empty")  # CMRC's trial set has an empty question
    if answerable and not any(a.strip() for a in answers):
        raise ValueError("an answerable question needs 'answers'")
    return Example(id, title, tuple(contexts), question, tuple(answers) if answerable else (), answerable, gold, parts)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name!r} must be a list")
    return value


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{name!r} must be a list of strings")
    return value


def _flag(value: Any, name: str) -> bool:
    """True or false, also as CJRC's strings."""
    found = {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, bool | str) else None
    if found is None:
        raise ValueError(f"{name!r} must be true or false")
    return found
