import pytest

from index.store import PassageStore
from qa.retriever import Retriever


@pytest.fixture
def store(tmp_path, embedder):
    for name, text in {"a": "南昌综保区进出口总额突破210亿元。", "b": "赣州经开区孵化面积101万平方米。", "c": "全南县签约项目32个。"}.items():
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    return PassageStore.build(tmp_path, embedder)


@pytest.mark.parametrize("dense", [0.0, 0.35, 1.0])
def test_ranks_scores_and_order(store, embedder, dense):
    hits = Retriever(store, embedder, dense).search("全南县签约了多少项目")
    assert hits[0].passage.doc_id == "c.txt"
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_nothing_in_common_gives_no_lexical_hit(store, embedder):
    assert Retriever(store, embedder, 0.0).search("😀") == ()
    assert len(Retriever(store, embedder, 0.35).search("孵化", k=2)) == 2


@pytest.mark.parametrize("dense", [0.0, 0.35, 1.0])
def test_a_pool_gives_what_scoring_every_passage_gives(tmp_path, embedder, dense, monkeypatch):
    for i in range(40):
        (tmp_path / f"{i}.txt").write_text(f"第{i}区签约项目{i * 7 % 40}个，面积{i * i}亩。", "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    whole = Retriever(store, embedder, dense).search("第7区签约项目几个", 5)
    monkeypatch.setattr("qa.retriever.POOL", 12)
    pooled = Retriever(store, embedder, dense).search("第7区签约项目几个", 5)
    assert [h.passage.id for h in pooled] == [h.passage.id for h in whole]
    assert [h.score for h in pooled] == pytest.approx([h.score for h in whole], abs=1e-5)


def test_share_is_checked(store, embedder):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Retriever(store, embedder, 1.5)
