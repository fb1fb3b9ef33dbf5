import os

import pytest

from index.load import LoadError, decode, find_files, folder_hashes, load_documents

TEXT = "南昌综保区进出口总额突破210亿元，同比增长109%。这是一个测试文件。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_encodings(encoding):
    assert decode(TEXT.encode(encoding)) == TEXT


def test_big5_is_not_taken_for_gb18030():
    text = "這是臺灣的新聞，經濟部說明今年的出口總額大幅成長，我們會繼續努力發展。"
    assert decode(text.encode("big5")) == text


def test_a_few_bad_bytes_cost_a_few_characters():
    assert decode((TEXT * 5).encode()[:-2]) == (TEXT * 5)[:-1] + "\ufffd"
    table = ("项目 2021 数量 100\n" * 20).encode()
    assert decode(table[:-20] + b"\xe9" + table[-20:]).count("项目") >= 19


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03" * 50, bytes(range(128, 256)) * 20, b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"])
def test_binary_is_refused(data):
    with pytest.raises(LoadError, match="not a text file"):
        decode(data)


def test_one_bad_file_does_not_lose_the_others(tmp_path):
    (tmp_path / "good.txt").write_text(TEXT, "utf-8")
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / ".hidden.txt").write_text(TEXT, "utf-8")
    sub = tmp_path / "子目录"
    sub.mkdir()
    (sub / "b.md").write_text("# 标题一二三\n" + TEXT, "utf-8")
    skipped = {}
    documents = load_documents(tmp_path, skipped.__setitem__)
    assert [d.id for d in documents] == ["good.txt", "子目录/b.md"]
    assert set(skipped) == {"picture.txt", "empty.txt"} and "no text" in skipped["empty.txt"]


def test_missing_empty_and_file_for_folder(tmp_path):
    with pytest.raises(LoadError, match="there is no folder"):
        load_documents(tmp_path / "nope")
    with pytest.raises(LoadError, match="no document"):
        load_documents(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT, "utf-8")
    with pytest.raises(LoadError, match="is a file"):
        load_documents(tmp_path / "a.txt")


def test_links_do_not_lead_out(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text(TEXT, "utf-8")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "link.txt").symlink_to(outside)
    (docs / "in.txt").write_text(TEXT, "utf-8")
    assert [p.name for p in find_files(docs)] == ["in.txt"]


def test_names_in_gbk_are_read(tmp_path):
    """As an archive from an old Windows leaves them."""
    with open(os.path.join(os.fsencode(tmp_path), "关于规范的通知.txt".encode("gbk")), "w", encoding="utf-8") as file:
        file.write(TEXT)
    [document] = load_documents(tmp_path)
    assert document.id == "关于规范的通知.txt" and document.title == "关于规范的通知" and list(folder_hashes(tmp_path)) == [document.id]
    assert (document.title + document.path).encode("utf-8")


def test_halves_of_characters_in_a_title_do_no_harm(tmp_path):
    (tmp_path / "a.md").write_text('---\ntitle: "\\ud83d\\ude00 \\ud83d 甲"\n---\n' + TEXT, "utf-8")
    [document] = load_documents(tmp_path)
    assert document.title.startswith("😀") and document.title.encode("utf-8")


def test_a_file_that_cannot_be_read_is_no_end(tmp_path, monkeypatch):
    (tmp_path / "good.txt").write_text(TEXT, "utf-8")
    (tmp_path / "locked.txt").write_text(TEXT, "utf-8")
    read = type(tmp_path).read_bytes
    monkeypatch.setattr(type(tmp_path), "read_bytes", lambda path: (_ for _ in ()).throw(PermissionError("locked")) if path.name == "locked.txt" else read(path))
    skipped = {}
    assert [d.id for d in load_documents(tmp_path, skipped.__setitem__)] == ["good.txt"] and "locked.txt" in skipped
    assert folder_hashes(tmp_path)["locked.txt"] == "PermissionError"
