"""Reading without padding and in int8 against the model as it was trained."""

import copy

import pytest
import torch

from qa.copy_model import CopyModel
from qa.packed import Int8Linear, PackedDecoder, native_int8, pack
from qa.reading import Formatter
from tests.test_copy_model import VOCABULARY

ROWS = [("甲多少", "", "乙丙1234。"), ("甲多少", "题", "戊己567,丁甲乙丙戊甲乙己甲。"), ("丁几个", "题", "丁89个")]


def both(tiny: CopyModel, int8: bool):
    packed = copy.deepcopy(tiny)
    pack(packed.encoder, int8)
    packed.decoder = PackedDecoder(packed.decoder, int8)
    batch, _ = Formatter(VOCABULARY).batch(ROWS, 32)
    return batch, tiny.generate(**batch, num_beams=60, num_return_sequences=60), packed.generate(**batch, num_beams=60, num_return_sequences=60)


def test_without_padding_nothing_changes(tiny):
    batch, plain, packed = both(tiny, int8=False)
    assert torch.equal(plain.starts, packed.starts) and torch.equal(plain.ends, packed.ends) and torch.equal(plain.rows, packed.rows)
    assert torch.allclose(plain.sequences_scores, packed.sequences_scores, atol=1e-4) and torch.allclose(plain.none, packed.none, atol=1e-4)
    hidden = tiny.encode(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    pack(tiny.encoder, int8=False)
    again = tiny.encode(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    kept = batch["attention_mask"].bool()
    assert torch.allclose(hidden[kept], again[kept], atol=1e-5) and not again[~kept].any()


@pytest.mark.skipif(not native_int8(), reason="this CPU multiplies in float32")
def test_int8_stays_near(tiny):
    _, plain, packed = both(tiny, int8=True)
    score = {(r, s, e): v for r, s, e, v in zip(*(x.tolist() for x in (plain.rows, plain.starts, plain.ends, plain.sequences_scores)), strict=True)}
    again = {(r, s, e): v for r, s, e, v in zip(*(x.tolist() for x in (packed.rows, packed.starts, packed.ends, packed.sequences_scores)), strict=True)}
    shared = score.keys() & again.keys()
    assert len(shared) >= 50 and max(abs(score[key] - again[key]) for key in shared) < 0.2
    assert any(score[key] != again[key] for key in shared)  # it does round
    weight, x = torch.randn(8, 16), torch.randn(5, 16)
    exact = x @ weight.T + 1
    assert (Int8Linear(weight, torch.ones(8))(x) - exact).norm() / exact.norm() < 0.02
