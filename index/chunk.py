"""Document → passages, cut with langchain-text-splitters at Chinese sentence ends, never across a heading."""

from __future__ import annotations

from math import ceil

from langchain_text_splitters import RecursiveCharacterTextSplitter

from index.types import Document, Heading, Passage

_CLOSERS = "[”’」』）)】》〕\"']*"
# Paragraphs first, then sentences, then clauses; single characters only where nothing else fits.
_SEPARATORS = ["\n", f"[。！？!?]+{_CLOSERS}", "[；;]", "[，,：:]", "、", ""]
_STUB = 40


def chunk_document(document: Document, size: int = 320) -> list[Passage]:
    """Passages of at most about ``size`` characters (a merged tail may add an eighth), in order.

    ``document.text[p.start:p.end] == p.text`` for each; together they hold every sentence.
    On a page of several articles a passage's title is its article's.
    """
    if size < 50:
        raise ValueError(f"a passage of {size} characters is too short: 50 at least")
    passages = []
    for start, end, title, path in _sections(document):
        for a, b in _pieces(document.text, start, end, size):
            passages.append(Passage(f"{document.id}#{a}-{b}", document.id, title, " > ".join(path), document.text[a:b], a, b))
    return passages


def _sections(document: Document) -> list[tuple[int, int, str, tuple[str, ...]]]:
    """``(start, end, title, heading path)`` of each section; one without words of its own opens the next."""
    articles = [h for h in document.headings if h.level == 1]
    page = len(articles) > 1
    sections = []
    begin = 0
    stack: list[Heading] = []
    marks = [*document.headings, None]
    title: str = document.title

    def close(end: int) -> None:
        nonlocal begin
        body = document.text[begin:end].strip()
        bare = (stack and len(body) <= len(stack[-1].title) + 2) or 0 < len(body) < _STUB // 2
        if bare and end < len(document.text):
            return  # nothing but a heading, or a stub: it opens the next section
        path = tuple(h.title for h in stack if not (page and h.level == 1) and h.title != title)
        sections.append((begin, end, title, path))
        begin = end

    for mark in marks:
        end = mark.start if mark else len(document.text)
        if end > begin:
            close(end)
        if mark:
            while stack and stack[-1].level >= mark.level:
                stack.pop()
            stack.append(mark)
            if page and mark.level == 1:
                title = mark.title
    return sections


def _pieces(text: str, start: int, end: int, size: int) -> list[tuple[int, int]]:
    section = text[start:end]
    length = len(section.strip())
    if length == 0:
        return []
    if length <= size * 9 // 8:
        a = start + len(section) - len(section.lstrip())
        return [(a, a + length)]
    # Even pieces: a section of 500 characters gives two of 250, not 320 + 180.
    even = ceil(length / ceil(length / size))
    splitter = RecursiveCharacterTextSplitter(
        separators=_SEPARATORS, is_separator_regex=True, keep_separator="end", chunk_size=min(size * 9 // 8, even + even // 5),
        chunk_overlap=0, add_start_index=True, strip_whitespace=True,
    )
    spans: list[tuple[int, int]] = []
    for piece in splitter.create_documents([section]):
        a = start + piece.metadata["start_index"]
        b = a + len(piece.page_content)
        if spans and (b - a < _STUB or spans[-1][1] - spans[-1][0] < _STUB) and b - spans[-1][0] <= size * 9 // 8:
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    return spans
