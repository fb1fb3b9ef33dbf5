"""Files → cleaned documents. A file that cannot be read is reported, never guessed at, never fatal for the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from index.clean import clean
from index.types import Document

SUFFIXES = (".txt", ".md", ".markdown", ".text")
MAX_BYTES = 20 * 1024 * 1024


class LoadError(ValueError):
    """A file or folder that gives no document; the message says why and what to do."""


def decode(data: bytes) -> str:
    """Text of ``data``: UTF-8 (its bad bytes, where they are few, as U+FFFD), UTF-16 with a mark, GB18030 or Big5.

    Raises LoadError where the bytes are no text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise LoadError("not a text file") from None
    if b"\x00" in data[:65536]:
        raise LoadError("not a text file (it holds NUL bytes)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        damaged = data.decode("utf-8-sig", "replace")
    # A few bad bytes in UTF-8 (a cut file, a bad sector) cost a few characters; other encodings make nonsense of most.
    if 0 < 20 * damaged.count("\ufffd") <= sum(not c.isascii() for c in damaged):
        return damaged
    # Big5 bytes often decode as GB18030 too: take the reading with more everyday characters.
    readings = []
    for encoding in ("gb18030", "big5"):
        try:
            readings.append(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    best = max(readings, key=_everyday, default="")
    if not best or _everyday(best) < 0.05:
        raise LoadError("not a text file, or in an encoding other than UTF-8, UTF-16, GB18030 and Big5: save it as UTF-8")
    return best


def _everyday(text: str) -> float:
    """The share of ``text`` that the commonest characters of Chinese and plain ASCII text make up."""
    common = set("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严"
                 "這國時來們對會發動產後學經電現實體當點從業開還氣與關數變條結問無軍題黨員總設長頭資邊統見農幾區強東導壓爭濟階術極聯認權證轉單帶場車務萬達積議聲報類離華確張馬節話話際連斷難")
    sample = text[:4000]
    return sum(c in common or (c.isascii() and (c.isalnum() or c in " \n,.")) for c in sample) / max(1, len(sample))


def load_file(path: Path, doc_id: str) -> Document:
    """The cleaned document. Raises LoadError where there is no text to be had."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise LoadError(f"larger than {MAX_BYTES // 2**20} MiB: split it")
    cleaned = clean(decode(path.read_bytes()))
    if not cleaned.text.strip():
        raise LoadError("holds no text")
    meta = {"date": cleaned.date} if cleaned.date else {}
    title = _whole(cleaned.title) or readable(path.stem)
    return Document(doc_id, title, cleaned.text, readable(str(path.resolve())), meta, cleaned.headings, cleaned.runs)


def readable(name: str) -> str:
    """A file's name as text: names in GBK, as old archives leave them, reach Python as bytes in disguise."""
    raw = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "replace")


def _whole(text: str) -> str:
    """``text`` with halves of characters (front matter may write them as escapes) joined, or replaced where alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def document_id(path: Path, folder: Path) -> str:
    """The id of the document in ``path``: its path within ``folder``, with ``/`` between parts."""
    return readable(path.relative_to(folder).as_posix())


def find_files(folder: Path) -> list[Path]:
    """The readable kinds of files under ``folder``, sorted; hidden ones and links that lead out of it left aside."""
    if not folder.exists():
        raise LoadError(f"there is no folder {folder}: check the path")
    if not folder.is_dir():
        raise LoadError(f"{folder} is a file: name the folder it is in")
    root = folder.resolve()
    files = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file() and path.resolve().is_relative_to(root):
            files.append(path)
    return files


def folder_hashes(folder: Path) -> dict[str, str]:
    """What tells a file's content from another's, for every readable kind of file under ``folder``, by document id: its SHA-256, or its size
    where it is too large to be loaded, or why it cannot be read."""
    found = {}
    for path in find_files(folder):
        try:
            size = path.stat().st_size
            found[document_id(path, folder)] = hashlib.sha256(path.read_bytes()).hexdigest() if size <= MAX_BYTES else f"{size} bytes"
        except OSError as error:
            found[document_id(path, folder)] = type(error).__name__
    return found


def load_documents(folder: Path, skipped: Callable[[str, str], None] = lambda name, why: None) -> list[Document]:
    """Every document under ``folder``, sorted by id.

    ``skipped(name, why)`` hears of each file that gave none. Raises LoadError where no document is left.
    """
    loaded = []
    for path in find_files(folder):
        name = document_id(path, folder)
        try:
            loaded.append(load_file(path, name))
        except (LoadError, OSError) as error:
            skipped(name, str(error))
    if not loaded:
        raise LoadError(f"no document in {folder}: put {', '.join(SUFFIXES)} files with text there")
    return loaded
