"""The copy model on tiny shapes: exact search, gradients, disk."""


import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from index.thesaurus import Thesaurus
from qa import copy_model
from qa.copy_model import ALIKE, CopyModel, is_question
from qa.packed import SCALES, rounded, unrounded
from qa.reading import (
    BIGRAM,
    CHARACTER,
    OTHER,
    OTHER_QUESTION,
    OTHER_TITLE,
    PLAIN,
    QUESTION,
    QUESTION_LIMIT,
    QUESTION_TYPES,
    TITLE,
    TITLE_TYPES,
    TRIGRAM,
    TURN_MATCHES,
    TURN_TYPES,
    TYPES,
    Formatter,
    fitted,
    match_types,
    with_turn,
)

CHARACTERS = "甲乙丙丁戊己庚辛多少个0123456789,。"
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, **{c: i + 5 for i, c in enumerate(CHARACTERS)}}


def test_formatting_marks_matches_and_keeps_offsets():
    ids, types, _, offset = Formatter(VOCABULARY).encode("甲乙丙多少", "题", "丁甲乙丙戊甲乙己甲", 32)
    assert [ids[offset + i] for i in range(9)] == [VOCABULARY[c] for c in "丁甲乙丙戊甲乙己甲"]
    assert list(types[offset : offset + 9]) == [PLAIN, TRIGRAM, TRIGRAM, TRIGRAM, PLAIN, BIGRAM, BIGRAM, PLAIN, CHARACTER]
    assert types[0] == QUESTION and types[offset - 1] == TITLE and ids[offset + 9] == VOCABULARY["[SEP]"]


def test_formatting_marks_what_of_the_question_is_told_of():
    """甲乙丙 stands in the passage, 庚辛 in the title, 戊 nowhere."""
    _, types, _, offset = Formatter(VOCABULARY).encode("甲乙丙庚辛戊", "丁庚辛", "己甲乙丙己", 32)
    _, _, two, three = QUESTION_TYPES
    assert list(types[:8]) == [QUESTION, three, three, three, two, two, QUESTION, QUESTION]
    assert list(types[8:12]) == [TITLE, TITLE_TYPES[2], TITLE_TYPES[2], TITLE] and types[offset] == PLAIN
    assert is_question(torch.from_numpy(types)).tolist() == [True] * 8 + [False] * 24


def test_formatting_marks_the_turn_before_apart():
    """丁己 is asked now; 甲乙丙 stood in the turn before, and 丁 in both."""
    ids, types, _, offset = Formatter(VOCABULARY).encode(with_turn("丁己", "甲乙丙丁", "戊"), "", "庚甲乙丙丁己辛戊", 32)
    assert [ids[1 + i] for i in range(8)] == [VOCABULARY.get(c, 1) for c in "甲乙丙丁戊。丁己"]
    three, one, two = TURN_TYPES[3], TURN_TYPES[1], QUESTION_TYPES[2]
    assert list(types[:10]) == [QUESTION, three, three, three, three, one, TURN_TYPES[0], two, two, QUESTION]
    assert list(types[offset : offset + 8]) == [PLAIN, *[TURN_MATCHES[3]] * 3, BIGRAM, BIGRAM, PLAIN, TURN_MATCHES[1]]
    assert is_question(torch.from_numpy(types)).nonzero()[:, 0].tolist() == [0, 7, 8, 9]


def test_common_characters_alone_do_not_match():
    assert match_types("的是多少", "的是甲") == [BIGRAM, BIGRAM, PLAIN]
    assert match_types("有多少甲", "有乙甲") == [PLAIN, PLAIN, CHARACTER]


def test_generate_agrees_with_scoring_every_span(tiny):
    """The fast search against the slow and obvious one: the loss of each span and of "no answer"."""
    rows = [("甲多少", "", "乙丙1234。"), ("甲多少", "题", "戊己567")]
    batch, offsets = Formatter(VOCABULARY).batch(rows, 32)
    out = tiny.generate(**batch, num_beams=100, num_return_sequences=100)
    scored = {(r, s, e): v for r, s, e, v in zip(out.rows.tolist(), out.starts.tolist(), out.ends.tolist(), out.sequences_scores.tolist(), strict=True)}
    total = {0: float(out.none[0].exp()), 1: float(out.none[1].exp())}
    for r, (_, _, passage) in enumerate(rows):
        for s in range(len(passage)):
            for e in range(s + 1, min(len(passage), s + 8) + 1):
                one = {k: v[r : r + 1] for k, v in batch.items()}
                loss = tiny(**one, starts=torch.tensor([offsets[r] + s]), lengths=torch.tensor([e - s])).loss
                assert scored[(r, offsets[r] + s, offsets[r] + e)] == pytest.approx(-loss.item(), abs=1e-4)
                total[r] += (-loss).exp().item()
    assert max(total.values()) <= 1 + 1e-4  # a distribution: longer spans hold the rest
    assert list(out.sequences_scores) == sorted(out.sequences_scores, reverse=True)
    s, e = int(out.starts[0]), int(out.ends[0])
    assert out.sequences[0, : e - s].tolist() == batch["input_ids"][int(out.rows[0]), s:e].tolist()


def test_short_answers_are_scored_alike_when_long_ones_are_read_apart(tiny, monkeypatch):
    """``tiny`` reads answers of up to eight characters: in two goes, of which the second is never, sometimes or always taken."""
    batch, _ = Formatter(VOCABULARY).batch([("甲多少", "", "乙丙1234。戊己庚辛"), ("甲多少", "题", "戊己567")], 32)

    def scores(near: int, unlikely: float) -> dict[tuple[int, int, int], float]:
        monkeypatch.setattr(copy_model, "NEAR", near)
        monkeypatch.setattr(copy_model, "UNLIKELY", unlikely)
        out = tiny.generate(**batch, num_beams=100, num_return_sequences=1000)
        return {(r, s, e): v for r, s, e, v in zip(out.rows.tolist(), out.starts.tolist(), out.ends.tolist(), out.sequences_scores.tolist(), strict=True)}

    whole, apart, cut = scores(16, 9), scores(3, 99), scores(3, -99)
    assert whole == pytest.approx(apart, abs=1e-4) and whole.keys() == cut.keys()
    assert all(cut[key] == pytest.approx(whole[key], abs=1e-4) if key[2] - key[1] <= 3 else key[2] - key[1] == 4 or cut[key] < -20 for key in whole)
    assert any(key[2] - key[1] > 4 for key in whole)


def test_generate_never_leaves_the_passage(tiny):
    batch, offsets = Formatter(VOCABULARY).batch([("12345", "678", "甲乙")], 32)
    out = tiny.generate(**batch, num_beams=50, num_return_sequences=50)
    assert len(out.starts) == 3  # 甲, 乙, 甲乙
    assert all(offsets[0] <= s < e <= offsets[0] + 2 for s, e in zip(out.starts.tolist(), out.ends.tolist(), strict=True))


def test_an_older_model_begins_by_saying_what_it_said(tiny):
    from train.answerer import with_marks

    tiny.config.match_types = 12
    old = CopyModel(tiny.config).eval()
    batch, _ = Formatter(VOCABULARY).batch([("甲乙多少", "丙", "甲乙1234"), (with_turn("甲乙多少", "丙丁"), "丙", "甲乙1234丁")], 32)
    new = with_marks(old).eval()
    assert new.config.match_types == TYPES
    as_before = batch["token_type_ids"].clone()
    for mine, theirs in zip((*TURN_MATCHES[1:], *TURN_TYPES), (CHARACTER, BIGRAM, TRIGRAM, *QUESTION_TYPES), strict=True):
        as_before[as_before == int(mine)] = int(theirs)
    assert not torch.equal(as_before, batch["token_type_ids"])
    torch.testing.assert_close(
        new.encode(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]), old.encode(batch["input_ids"], batch["attention_mask"], as_before)
    )


def test_other_words_are_marked_where_the_word_itself_is_missing():
    formatter = Formatter(VOCABULARY, (), Thesaurus({"甲乙": {"丙丁": (0.3, 0.001), "庚": (0.3, 0.001)}, "戊": {"己辛": (0.5, 0.001), "辛辛": (0.001, 0.001)}}, {}))
    _, types, _, offset = formatter.encode("甲乙戊", "己辛", "丙丁庚辛辛", 32)
    assert list(types[1:4]) == [OTHER_QUESTION] * 3 and list(types[5:7]) == [OTHER_TITLE] * 2
    assert list(types[offset : offset + 5]) == [OTHER, OTHER, PLAIN, PLAIN, PLAIN]  # one character, or too rare a use, says nothing
    assert is_question(torch.from_numpy(types)).nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4]
    _, types, _, offset = formatter.encode("甲乙戊", "", "甲乙丙丁", 32)
    assert list(types[offset : offset + 4]) == [BIGRAM, BIGRAM, PLAIN, PLAIN]


def test_the_mean_of_two_models_is_theirs(tiny):
    from train.average import mean

    other = CopyModel(tiny.config)
    first, second = tiny.state_dict()["key.weight"].clone(), other.state_dict()["key.weight"].clone()
    assert torch.allclose(mean([tiny, other], [3, 1]).state_dict()["key.weight"], 0.75 * first + 0.25 * second)
    tiny.config.match_types = 12
    with pytest.raises(ValueError, match="not of one shape"):
        mean([other, CopyModel(tiny.config)], [1, 1])


def test_word_features_grade_likeness_to_the_question(tiny):
    """甲乙 is asked for; 丙丁 is a near synonym of it, 戊己 means something else."""
    from train.answerer import with_words

    formatter = Formatter(VOCABULARY, ["甲乙", "丙丁", "戊己"])
    table = np.array([[1.0, 0.0], [0.75, 0.66], [0.0, 1.0]], np.float32)
    worded = with_words(tiny, table).eval()
    batch, offsets = formatter.batch([("甲乙", "", "丙丁辛戊己辛甲乙")], 32)
    assert batch["words"][0, offsets[0] : offsets[0] + 8].tolist() == [2, 0, 0, 3, 0, 0, 1, 0]
    torch.testing.assert_close(  # until it has learnt to use them, it says what it said before
        worded.encode(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"], batch["words"]),
        tiny.encode(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]),
    )
    with torch.no_grad():
        worded.alike.weight[:] = torch.arange(len(worded.alike.weight))[:, None]
        levels = worded.word_features(batch["words"], batch["token_type_ids"])[0, offsets[0] : offsets[0] + 8, 0].tolist()
        near = 1 + sum(edge < 0.75 for edge in ALIKE)
        assert levels == [near, near, 0, 1, 1, 0, len(ALIKE) + 1, len(ALIKE) + 1]
        worded.alike.weight[:], worded.met.weight[:] = 0, torch.arange(len(worded.met.weight))[:, None]
        batch, _ = formatter.batch([("甲乙戊己", "", "丙丁辛辛")], 32)
        levels = worded.word_features(batch["words"], batch["token_type_ids"])[0, :, 0].tolist()
        less = 1 + sum(edge < 0.66 for edge in ALIKE)
        assert levels == [0, near, near, less, less] + [0] * 27  # 丙丁 is nearer to 甲乙 than to 戊己


def test_learns_to_copy_and_to_stay_silent(tiny):
    formatter = Formatter(VOCABULARY)
    rows = [("甲多少个", "", "乙12,甲34,丙56。"), ("乙多少个", "", "乙12,甲34,丙56。"), ("丁多少个", "", "乙12,甲34,丙56。")]
    batch, offsets = formatter.batch(rows, 32)
    starts, lengths = torch.tensor([offsets[0] + 5, offsets[1] + 1, 0]), torch.tensor([2, 2, 0])
    optimiser = torch.optim.Adam(tiny.parameters(), 3e-3)
    tiny.train()
    losses = []
    for _ in range(150):
        loss = tiny(**batch, starts=starts, lengths=lengths).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < losses[0]
    tiny.eval()
    for row, right in ((0, "34"), (1, "12")):
        out = tiny.generate(**{k: v[row : row + 1] for k, v in batch.items()}, num_return_sequences=1)
        assert rows[row][2][int(out.starts[0]) - offsets[row] : int(out.ends[0]) - offsets[row]] == right
    out = tiny.generate(**{k: v[2:] for k, v in batch.items()})
    assert out.none[0] > out.sequences_scores[0]


def test_loads_through_the_auto_classes(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    assert AutoConfig.from_pretrained(tmp_path).model_type == "judian-copy"
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    batch, _ = Formatter(VOCABULARY).batch([("甲多少", "", "乙丙1234。")], 32)
    assert torch.allclose(again.generate(**batch).sequences_scores, tiny.generate(**batch).sequences_scores, atol=1e-5)


def test_rounded_weights_take_a_byte_each_and_read_alike(tiny, tmp_path):
    kept = rounded(tiny.state_dict())
    table = "encoder.embeddings.word_embeddings.weight"
    assert kept[table].dtype == torch.int8 and kept["begin"].dtype == torch.float16
    again = unrounded(kept)
    assert set(again) == set(tiny.state_dict()) and (again[table] - tiny.state_dict()[table]).abs().max() <= kept[table + SCALES].max() / 2 + 1e-6
    tiny.config.save_pretrained(tmp_path)
    save_file(kept, tmp_path / "model.safetensors")
    batch, _ = Formatter(VOCABULARY).batch([("甲多少", "", "乙丙1234。")], 32)
    read = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).generate(**batch)
    assert torch.allclose(read.sequences_scores, tiny.generate(**batch).sequences_scores, atol=0.05)
    del kept[table]
    save_file(kept, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match="word_embeddings"):
        CopyModel.from_pretrained(tmp_path)


def test_of_a_long_question_the_end_is_read():
    asked = "全区2021年规上企业一共有多少家？"
    assert fitted(asked) == asked and fitted("我们想了解一些背景情况，" * 9 + "谢谢。" + asked) == asked
    assert len(fitted("长" * 200)) == QUESTION_LIMIT
