from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.chunk import chunk_document
from index.clean import clean
from index.load import load_documents
from index.types import Document

SEEDS = Path(__file__).resolve().parent.parent / "seeds"


def test_seed_passages_are_exact_whole_sentences_and_complete():
    for document in load_documents(SEEDS):
        passages = chunk_document(document)
        assert all(document.text[p.start : p.end] == p.text for p in passages)
        assert "".join("".join(p.text for p in passages).split()) == "".join(document.text.split())
        assert all(len(p.text) <= 360 for p in passages)
        inside = [p for p in passages if p.text[-1] not in "。！？?…”)）〕" and document.text[p.end : p.end + 1] not in ("", "\n")]
        assert all(p.text[-1] in "；;" and len(p.text) > 150 for p in inside)  # only sentences too long for a passage


def test_heading_path_and_article_title():
    documents = {d.id[:3]: chunk_document(d) for d in load_documents(SEEDS)}
    books = next(p for p in documents["004"] if "精品图书馆" in p.text)
    assert books.heading == "四、重点工作 > (六)营造舒适宜居的生活生态环境 > 25、提升城市旅游品质"
    cars = next(p for p in documents["001"] if "30.9万辆" in p.text)
    assert cars.title == "8月我国新能源汽车产销创新高" and cars.heading == ""
    tech = next(p for p in documents["001"] if "院士工作站" in p.text)
    assert tech.title.startswith("打造高水平") and tech.heading == "科技创新加快推进"


@given(st.text(alphabet="甲乙丙，。；\n 1", max_size=900), st.integers(50, 300))
def test_any_text_is_covered_exactly(text, size):
    c = clean(text)
    if not c.text:
        return
    document = Document("d", "题", c.text, "d", {}, c.headings, c.runs)
    passages = chunk_document(document, size)
    assert all(document.text[p.start : p.end] == p.text and p.text.strip() for p in passages)
    assert "".join("".join(p.text for p in passages).split()) == "".join(c.text.split())
    assert all(a.end <= b.start for a, b in pairwise(passages))


def test_size_is_bounded():
    with pytest.raises(ValueError, match="too short"):
        chunk_document(Document("d", "t", "甲。", "d"), 10)
