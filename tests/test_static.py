"""The shipped embedder's body: characters and pairs, their sums, and the way to disk and back."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from index.embed import DEFAULT, Embedder
from index.static import CharacterPairs, Vocabulary, bag

TOKENS = ("南", "昌", "州", "南昌", "昌南")


def model(dim=4):
    return CharacterPairs(TOKENS, torch.arange(len(TOKENS) * dim, dtype=torch.float32).view(-1, dim) / 7 - 1)


def test_ids_are_of_characters_and_of_the_pairs_that_begin_there():
    assert Vocabulary(TOKENS).ids("南昌，昌南").tolist() == [[0, 1, -1, 1, 0], [3, -1, -1, 4, -1]]
    assert Vocabulary(TOKENS).ids("").shape == (2, 0) and Vocabulary(TOKENS[:3]).ids("南昌").tolist() == [[0, 1], [-1, -1]]


@pytest.mark.parametrize("text", ["😀", "\ud800南", "𠀀昌", "\n\t", "南\x00昌", "x" * 50_000])
def test_any_text_has_ids(text):
    assert Vocabulary(TOKENS).ids(text).shape == (2, len(text))


@pytest.mark.parametrize("tokens", [("南昌", "南"), ("南", "南"), ("南", "南昌市"), ("",)])
def test_other_vocabularies_are_refused(tokens):
    with pytest.raises(ValueError, match="single characters, then pairs"):
        Vocabulary(tokens)


def test_a_text_is_the_sum_of_its_tokens_by_the_root_of_their_number():
    one = model()
    features = one.preprocess(["南昌南", "州", "😀"])
    rows = one.embedding.weight.detach()
    found = one(features)["sentence_embedding"].detach()
    assert torch.allclose(found[0], 2**0.5 * rows[0] + rows[1] + rows[3] + rows[4]) and torch.equal(found[1], rows[2]) and not found[2].any()
    tokens, weights = bag(np.array([[0, 0, -1], [3, -1, -1]], np.int32))
    assert tokens.tolist() == [0, 3] and weights.tolist() == [np.float32(2**0.5), 1]


def test_scripts_and_widths_meet():
    ids = Vocabulary(("经", "1", "a")).ids
    assert (ids("經１Ａ") == ids("经1a")).all()


def test_the_way_to_disk_keeps_the_directions(tmp_path):
    from sentence_transformers.base.modules import Normalize

    SentenceTransformer(modules=[model(), Normalize()], device="cpu").save(str(tmp_path / "m"), create_model_card=False)
    again, plain = Embedder(tmp_path / "m"), SentenceTransformer(str(tmp_path / "m"), device="cpu", trust_remote_code=True)
    texts = ["南昌州", "昌南", "南"]
    assert again.light and again.dim == 4 and np.allclose(again.encode(texts), plain.encode(texts), atol=1e-6)
    with torch.no_grad():
        exact = torch.nn.functional.normalize(model()(model().preprocess(texts))["sentence_embedding"], dim=-1).numpy()
    assert ((again.encode(texts) * exact).sum(1) > 0.9999).all()  # int8 rows


def test_spans_are_embedded_as_texts_are(tmp_path):
    one = model()
    rows = [("州", "南昌南，昌", [(0, 2), (3, 5), (4, 4)]), ("", "昌", [(0, 1)])]
    with torch.no_grad():
        found = one.spans(rows)
        alone = [one(one.preprocess([text]))["sentence_embedding"][0] for text in ("州", "昌")]
    assert found.shape == (4, 4) and torch.allclose(found[2], alone[0] / alone[0].norm()) and torch.allclose(found[3], alone[1] / alone[1].norm())
    weight = one.embedding.weight.detach()
    whole = weight[2] + weight[0] + weight[1] + weight[3]
    assert torch.allclose(found[0], whole / whole.norm(), atol=1e-6)  # the pair of the lead's end and the span's begin is none


def test_a_folder_of_another_kind_is_not_light(tmp_path):
    assert not CharacterPairs.is_in(tmp_path) and not CharacterPairs.is_in("some/hub-name")
    with pytest.raises(ValueError, match="4 vectors for 5 tokens"):
        CharacterPairs(TOKENS, torch.zeros(4, 2))


def test_a_models_prompt_for_questions_is_used(tmp_path):
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"无": 0, "问": 1, "文": 2, "甲": 3}, unk_token="无"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    plain = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=np.eye(4))], prompts={"query": "问", "document": "文"}, device="cpu")
    plain.save(str(tmp_path / "m"), create_model_card=False)
    embedder, half = Embedder(tmp_path / "m"), 0.5**0.5
    assert np.allclose(embedder.encode_question("甲"), [0, half, 0, half]) and np.allclose(embedder.encode(["甲"]), [[0, 0, half, half]])


def test_the_shipped_embedder_knows_what_is_near():
    embedder = Embedder(DEFAULT)
    assert embedder.light
    asked, same, other = embedder.encode(["海关总署发布了什么规定", "海关部门公布新规", "男篮决赛昨晚打响"])
    assert asked @ same > asked @ other + 0.1
    assert np.allclose(embedder.encode_question("海关总署发布了什么规定"), asked, atol=1e-6)
    texts = ["招商推介活动" * 30, "短", "南昌综保区2021年进出口总额突破210亿元。"]
    assert np.allclose(embedder.encode(texts), np.concatenate([embedder.encode([t]) for t in texts]), atol=1e-5)
