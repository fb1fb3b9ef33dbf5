import pytest

from index.store import PassageStore
from index.thesaurus import Thesaurus
from index.types import Document, Hit, Passage
from qa.retriever import TIES, Retriever, Scope, ScopeError, near_ties, settled


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


def found(**scores):
    return tuple(Hit(Passage(name, name, "", "", name, 0, 1), score, rank) for rank, (name, score) in enumerate(scores.items(), 1))


def test_near_ties():
    """Nearly as good as the best of the first eight; one alone is tied with nothing."""
    assert [h.passage.id for h in near_ties(found(a=1.0, b=0.79, c=0.8, d=0.9))] == ["a", "c", "d"]
    assert near_ties(found(a=1.0, b=0.5)) == near_ties(()) == ()
    assert len(near_ties(found(**dict.fromkeys("abcdefghij", 1.0)))) == TIES == 8


def test_the_readers_odds_settle_near_ties():
    hits = found(a=1.0, b=0.5, c=0.9, d=0.95)
    ranked = settled(hits, {"a": -8.0, "b": 8.0, "c": 8.0})
    assert [(h.passage.id, h.score, h.rank) for h in ranked] == [("c", 0.9, 1), ("a", 1.0, 2), ("d", 0.95, 3), ("b", 0.5, 4)]  # b is no near tie
    assert settled(hits, {"c": 8.0, "a": -100.0}) == settled(hits, {"c": 800.0})  # held to ±8, -8 where nothing was found
    assert settled(found(a=1.0, b=0.9), {"a": 1.0, "b": 2.0}) == found(a=1.0, b=0.9)  # search is far apart, the reader is not
    assert settled((), {}) == ()


def test_share_is_checked(store, embedder):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Retriever(store, embedder, 1.5)


@pytest.mark.parametrize("dense", [0.0, 0.35, 1.0])
def test_only_documents_in_scope_are_found(store, embedder, dense):
    retriever = Retriever(store, embedder, dense)
    assert {h.passage.doc_id for h in retriever.search("签约项目 孵化面积", scope=Scope(("b.*",)))} <= {"b.txt"}
    assert retriever.search("孵化面积", scope=Scope(("b.txt", "c.txt")))[0].passage.doc_id == "b.txt"
    with pytest.raises(ScopeError, match="没有符合条件的文档"):
        retriever.search("孵化面积", scope=Scope(("d*",)))


@pytest.mark.parametrize(("only", "since", "until", "held"), [
    ((), "", "", True), (("2021/*",), "", "", True), (("2021",), "", "", True), (("2021/",), "", "", True), (("202",), "", "", False),
    (("*.docx",), "", "", False), (("x", "*通知*"), "", "", True), (("2021/甲通知.md",), "", "", False), (("2021/关于[甲]*",), "", "", True),
    ((), "2021", "2021", True), ((), "2021-06", "", True), ((), "2021-06-30", "2021-06-30", True), ((), "2021-07", "", False), ((), "", "2021-05", False),
])
def test_scope(only, since, until, held):
    document = Document("2021/关于[甲]的通知.md", "题", "文", "", {"date": "2021-06-30"})
    assert Scope(only, since, until).holds(document) == held


def test_an_undated_document_is_in_no_span_of_time():
    assert not Scope(since="1900").holds(Document("a", "a", "a", "a")) and Scope().holds(Document("a", "a", "a", "a"))


@pytest.mark.parametrize("date", ["去年", "2021/06", "2021-6", "20210630"])
def test_a_date_that_cannot_be_read_is_refused(date):
    with pytest.raises(ValueError, match="2021-06-30"):
        Scope(until=date)


def test_one_document_does_not_crowd_out_the_rest(tmp_path, embedder):
    (tmp_path / "long.txt").write_text("\n\n".join(f"园区第{i}次会议部署招商引资工作，要求招商引资工作再加力。" + "会议还听取了其他汇报。" * 24 for i in range(6)), "utf-8")
    (tmp_path / "short.txt").write_text("招商引资工作由投资促进局负责，部署和督办由局长王某承担。" + "他常到各处走动，到处听取汇报。" * 12, "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    hits = Retriever(store, embedder, 0.0).search("招商引资工作部署", 7)
    by_score = [h.passage.doc_id for h in sorted(hits, key=lambda h: -h.score)]
    by_rank = [h.passage.doc_id for h in hits]
    assert [h.rank for h in hits] == list(range(1, 8)) and by_score[:3] == by_rank[:3] == ["long.txt"] * 3
    assert by_rank.index("short.txt") < 5 < by_score.index("short.txt")


@pytest.mark.parametrize("light", [False, True])
def test_a_passage_counts_by_its_best_sentences(tmp_path, embedder, light):
    """The words asked for stand together in one sentence there, and strewn over many, more often, elsewhere."""
    embedder.light = light
    (tmp_path / "strewn.txt").write_text("签约仪式上有人讲话。项目很多，项目也很大。年初签约，年末又签约。全南县下了雨。签约之后是项目，项目之后是签约。", "utf-8")
    (tmp_path / "near.txt").write_text("会议开了一天。" * 8 + "全南县签约项目32个。" + "会后大家回家去了。" * 8, "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    plain, again = (Retriever(store, embedder, 0.2, rerank, Thesaurus({}, {})).search("全南县签约项目") for rerank in (0, 30))
    assert [h.passage.doc_id for h in plain] == ["strewn.txt", "near.txt"] and [h.passage.doc_id for h in again] == ["near.txt", "strewn.txt"]
    assert all(0 <= h.score <= 1 for h in again) and Retriever(store, embedder, 0.2, 1, Thesaurus({}, {})).search("全南县签约项目")[0].passage.doc_id == "strewn.txt"


def test_a_title_counts_for_each_of_its_sentences(tmp_path, embedder):
    (tmp_path / "a.md").write_text("# 赣州经开区\n\n全区孵化器12家。\n", "utf-8")
    (tmp_path / "b.md").write_text("# 宜春经开区\n\n全区孵化器15家。\n", "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    assert Retriever(store, embedder, 0.0).search("赣州经开区有几家孵化器")[0].passage.doc_id == "a.md"


def test_a_score_weighs_words_and_vectors(tmp_path, embedder):
    (tmp_path / "a.txt").write_text("孵化面积一百万平方米。", "utf-8")
    (tmp_path / "b.txt").write_text("全区签约项目三十二个。", "utf-8")
    store = PassageStore.build(tmp_path, embedder)
    retriever = Retriever(store, embedder, 0.5, 0, Thesaurus({}, {}))
    for question in ("孵化面积", "孵飞机", "飞机"):  # all of its words are found, one character, none
        score = {h.passage.doc_id: h.score for h in retriever.search(question)}["a.txt"]
        cosine = float(store.vectors[0] @ embedder.encode([question])[0])
        assert score == pytest.approx(0.5 * float(store.lexical.scores(question)[0] > 0) + 0.5 * cosine, abs=1e-5)

