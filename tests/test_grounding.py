"""Any seq2seq model quotes: a tiny T5 made on the spot, under grounded beam search."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from index.embed import ModelError
from index.types import Hit, Passage
from qa.answerer import CopyAnswerer, Seq2SeqAnswerer, load_answerer, windows
from qa.grounding import SpanGrounding, continuations


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=4))
def test_continuations_are_the_copies(source, written):
    for place in continuations(source, written):
        assert source[place - len(written) : place] == written


def test_processor_allows_only_continuations():
    processor = SpanGrounding([[5, 6, 7, 5, 8]], end=1, beams=1)
    scores = torch.zeros(1, 10)
    assert set(processor(torch.tensor([[0]]), scores)[0].isfinite().nonzero().flatten().tolist()) == {5, 6, 7, 8}
    assert set(processor(torch.tensor([[0, 5]]), scores)[0].isfinite().nonzero().flatten().tolist()) == {1, 6, 8}
    assert set(processor(torch.tensor([[0, 5, 8]]), scores)[0].isfinite().nonzero().flatten().tolist()) == {1}


TEXTS = ["南昌综保区进出口总额突破210亿元，同比增长109%。", "签约项目32个，注册企业60家。"]


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    characters = sorted(set("".join(TEXTS) + "question: context: 南昌多少？"))
    vocabulary = {t: i for i, t in enumerate(["<pad>", "</s>", "<unk>", *characters])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(1)
    config = T5Config(vocab_size=len(vocabulary), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def hits():
    return [Hit(Passage(f"d#{i}", "d", "题", "", t, 100 * i, 100 * i + len(t)), 1.0, i + 1) for i, t in enumerate(TEXTS)]


def test_a_t5_of_any_weights_only_quotes(tiny_t5):
    answerer = load_answerer(tiny_t5)
    assert isinstance(answerer, Seq2SeqAnswerer)
    spans = answerer.answer("南昌多少？", hits())
    assert len(spans) == 2
    for span in spans:
        passage = span.hit.passage
        assert passage.start <= span.start < span.end <= passage.end
    assert spans[0].score >= spans[1].score


def test_a_free_model_is_held_to_the_passages(tiny_t5, monkeypatch):
    answerer = load_answerer(tiny_t5, grounded=False)
    for span in answerer.answer("南昌多少？", hits()):  # untrained: whatever it writes, a span is a quote or empty
        passage = span.hit.passage
        assert passage.start <= span.start <= span.end <= passage.end and span.said
    for said, quote in (("109%", "109%"), ("110%", ""), ("60家", "60家")):
        monkeypatch.setattr(answerer._tokenizer, "decode", lambda *_, said=said, **__: said)
        first = answerer.answer("南昌多少？", hits())[0]
        at = first.hit.passage.start
        assert (first.hit.passage.text[first.start - at : first.end - at], first.said) == (quote, said)


def test_template_and_folder_are_checked(tiny_t5, tmp_path):
    with pytest.raises(ValueError, match="no template"):
        Seq2SeqAnswerer(tiny_t5, template="nope")
    with pytest.raises(ModelError, match="name a folder"):
        load_answerer(tmp_path / "nope")
    with pytest.raises(ModelError, match="name a folder"):
        CopyAnswerer(tmp_path)


@given(st.text(alphabet="甲乙，。；\n", min_size=1, max_size=400), st.integers(20, 120))
def test_windows_cover_the_passage(text, room):
    if not text.strip():
        return
    passage = Passage("d#0", "d", "题", "", text, 7, 7 + len(text))
    found = windows(Hit(passage, 1.0, 1), room)
    covered = set()
    for w in found:
        assert w.text == text[w.start - 7 : w.end - 7] and len(w.text) <= room
        covered |= set(range(w.start - 7, w.end - 7))
    assert all(i in covered for i, c in enumerate(text) if not c.isspace())
