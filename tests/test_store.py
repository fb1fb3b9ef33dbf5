import json

import numpy as np
import pytest

from index.load import LoadError
from index.store import PassageStore, StoreError, open_or_build
from tests.conftest import FakeEmbedder

A = "南昌综保区2021年进出口总额突破210亿元，同比增长109%。跨境电商交易额突破60亿元。"
B = "赣州经开区建成创新创业平台9个、孵化面积101万平方米，在孵企业2250家。"


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text(A, "utf-8")
    (docs / "b.txt").write_text(B, "utf-8")
    return docs


def test_round_trip(folder, tmp_path, embedder):
    store = PassageStore.build(folder, embedder)
    store.save(tmp_path / "out")
    again = PassageStore.open(tmp_path / "out", embedder.name)
    assert again.passages == store.passages and again.documents == store.documents and again.manifest == store.manifest
    assert np.allclose(again.vectors, store.vectors)
    assert all(again.documents[p.doc_id].text[p.start : p.end] == p.text for p in again.passages)
    assert {p.suffix for p in (tmp_path / "out").rglob("*") if p.is_file()} <= {".faiss", ".json", ".jsonl", ".npy"}


def test_another_embedder_is_refused_by_name(folder, tmp_path, embedder):
    PassageStore.build(folder, embedder).save(tmp_path / "out")
    with pytest.raises(StoreError, match=r"built with fake:1, but fake:2 is loaded: run: python -m index"):
        PassageStore.open(tmp_path / "out", "fake:2")


def test_damage_is_noticed(folder, tmp_path, embedder):
    PassageStore.build(folder, embedder).save(tmp_path / "out")
    path = tmp_path / "out" / "passages.jsonl"
    path.write_text(path.read_text("utf-8").replace("210亿", "310亿"), "utf-8")
    with pytest.raises(StoreError, match="damaged"):
        PassageStore.open(tmp_path / "out")


def test_other_version_and_missing(folder, tmp_path, embedder):
    with pytest.raises(StoreError, match="no readable index"):
        PassageStore.open(tmp_path / "nope")
    PassageStore.build(folder, embedder).save(tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "version": 99}), "utf-8")
    with pytest.raises(StoreError, match="version 99"):
        PassageStore.open(tmp_path / "out")


def test_update_embeds_only_what_changed(folder, tmp_path, embedder):
    out = tmp_path / "out"
    first = open_or_build(folder, out, embedder)
    assert embedder.encoded == len(first.passages)
    open_or_build(folder, out, embedder)
    assert embedder.encoded == len(first.passages)
    (folder / "b.txt").unlink()
    (folder / "c.txt").write_text(B.replace("9个", "10个"), "utf-8")
    (folder / "d.txt").write_bytes(b"\x00\x01")
    store = open_or_build(folder, out, embedder)
    assert embedder.encoded == len(first.passages) + 1
    assert set(store.manifest.documents) == {"a.txt", "c.txt"} and set(store.manifest.skipped) == {"d.txt"}
    open_or_build(folder, out, embedder)  # the skipped file alone starts no rebuild
    assert embedder.encoded == len(first.passages) + 1


def test_a_failed_build_leaves_the_old_index(folder, tmp_path, embedder):
    out = tmp_path / "out"
    open_or_build(folder, out, embedder)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(LoadError):
        open_or_build(folder, out, embedder)
    assert PassageStore.open(out).manifest.passages and not list(tmp_path.glob(".out-*"))


def test_other_files_are_not_overwritten(folder, tmp_path, embedder):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "letter.txt").write_text("x")
    with pytest.raises(StoreError, match="holds other files"):
        PassageStore.build(folder, embedder).save(out)
    assert (out / "letter.txt").read_text() == "x"


def test_chosen_place_of_another_embedder_is_refused_default_place_rebuilt(folder, tmp_path, embedder):
    from index.store import default_place

    out = tmp_path / "out"
    open_or_build(folder, out, embedder)
    with pytest.raises(StoreError):
        open_or_build(folder, out, FakeEmbedder("fake:2"))
    open_or_build(folder, default_place(folder), embedder)
    assert open_or_build(folder, default_place(folder), FakeEmbedder("fake:2")).manifest.embedder == "fake:2"


def test_the_command_that_an_error_names_rebuilds_the_index(folder, tmp_path, embedder):
    out = tmp_path / "out"
    open_or_build(folder, out, embedder)
    assert open_or_build(folder, out, FakeEmbedder("fake:2"), replace=True).manifest.embedder == "fake:2"
    assert not list(tmp_path.glob(".out-*"))


def test_new_synonyms_index_the_words_again(folder, tmp_path, embedder, monkeypatch):
    from index import lexical

    out = tmp_path / "out"
    before = open_or_build(folder, out, embedder)
    mine = tmp_path / "synonyms.txt"
    mine.write_text(lexical.SYNONYMS.read_text("utf-8") + "在孵企业 = 孵化企业\n", "utf-8")
    monkeypatch.setattr(lexical, "SYNONYMS", mine)
    assert not before.is_current(folder)
    encoded = embedder.encoded
    assert open_or_build(folder, out, embedder).is_current(folder) and embedder.encoded == encoded  # the vectors are taken over


def test_several_may_save_one_index_at_once(folder, tmp_path, embedder):
    from concurrent.futures import ThreadPoolExecutor

    place = tmp_path / "place" / "index"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: PassageStore.build(folder, embedder).save(place), range(24)))
    assert len(PassageStore.open(place, embedder.name).passages) == 2 and [p.name for p in place.parent.iterdir()] == ["index"]


def test_a_place_that_cannot_be_taken_keeps_what_it_held(folder, tmp_path, embedder, monkeypatch):
    from pathlib import Path

    place = tmp_path / "index"
    PassageStore.build(folder, embedder).save(place)
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, to: rename(self, to) if self == place or "-old" in self.name else (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        PassageStore.build(folder, embedder).save(place)
    assert PassageStore.open(place, embedder.name).passages
