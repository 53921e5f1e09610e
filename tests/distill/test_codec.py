"""What every codec promises; the sizes and losses of dense and topk. For sequence see test_sequence.py."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distill.codecs import Kept, dense, topk
from distill.lost import lost
from shards import lookup
from shards.errors import BadSettings

L, C = 5, 9
LOGITS = hnp.arrays(
    np.float32, (3, L, C), elements=st.floats(-1e5, 1e5, width=32) | st.floats(-1, 1, width=32) | st.just(0.0)
)
CODECS = [("dense", 0), ("topk", 1), ("topk", 2), ("topk", 4), ("topk", C), ("sequence", 0)]


def codec(name, frames, classes, k):
    size = 60 if name == "sequence" else 0
    return lookup.find("distill.codecs", name).Codec(frames, classes, Kept(name, k, size))


@pytest.mark.parametrize(("name", "k"), CODECS)
@settings(max_examples=60, deadline=None)
@given(logits=LOGITS)
def test_decoded_steps_sum_to_one_and_keep_the_best_class(name, k, logits):
    log_probs = torch.from_numpy(logits).log_softmax(-1)
    made = codec(name, L, C, k)
    arrays, found = made.encode(log_probs)
    decoded = made.decode(arrays)
    assert decoded.shape == log_probs.shape
    assert decoded.dtype == torch.float32
    assert torch.isfinite(decoded).all()
    assert decoded.exp().sum(-1).numpy() == pytest.approx(1, abs=1e-5)
    assert torch.equal(decoded.argmax(-1), log_probs.argmax(-1))  # of equal ones the lower
    assert (found.samples, found.steps, found.changed) == (3, 3 * L, 0)
    assert np.isfinite(found.nats)
    assert found.nats == pytest.approx(lost(log_probs, decoded).nats)


@pytest.mark.parametrize(("name", "k"), CODECS)
def test_arrays_have_the_stated_shapes_types_and_bytes(name, k):
    made = codec(name, L, C, k)
    arrays, _ = made.encode(torch.randn(4, L, C).log_softmax(-1))
    assert {a.name: (np.dtype(a.dtype), (4, *a.shape)) for a in made.arrays} == {
        n: (v.dtype, v.shape) for n, v in arrays.items()
    }
    assert sum(a.bytes for a in made.arrays) * 4 == sum(v.nbytes for v in arrays.values())
    assert not made.arrays[0].absent(arrays[made.arrays[0].name]).any()


@pytest.mark.parametrize(("name", "k"), CODECS)
def test_no_sample_is_no_array_and_loses_nothing(name, k):
    made = codec(name, L, C, k)
    arrays, found = made.encode(torch.empty(0, L, C))
    assert {n: len(v) for n, v in arrays.items()} == dict.fromkeys([a.name for a in made.arrays], 0)
    assert made.decode(arrays).shape == (0, L, C)
    assert (found.samples, found.steps, found.nats) == (0, 0, 0.0)


def test_sizes_are_those_of_the_reference():
    assert sum(a.bytes for a in codec("dense", 26, 37, 0).arrays) == 1924
    assert sum(a.bytes for a in codec("topk", 26, 37, 4).arrays) == 312
    assert codec("topk", 26, 5990, 4).arrays[1].dtype == "<u2"


def test_more_classes_lose_less_and_all_of_them_only_the_rounding():
    log_probs = (3 * torch.randn(50, L, C, generator=torch.Generator().manual_seed(0))).log_softmax(-1)
    kl = [codec(*of).encode(log_probs)[1].kl for of in
          [("topk", L, C, 1), ("topk", L, C, 4), ("topk", L, C, 8), ("dense", L, C, 0)]]  # fmt: skip
    assert kl[0] > kl[1] > kl[2]
    assert kl[2] < 1e-3
    assert 0 <= kl[3] < 1e-5


def test_the_rest_of_the_mass_is_spread_evenly():
    made = codec("topk", 1, 5, 1)
    log_probs = torch.tensor([[[0.6, 0.1, 0.1, 0.1, 0.1]]]).log()
    decoded = made.decode(made.encode(log_probs)[0])
    assert decoded[0, 0].exp().tolist() == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1], abs=1e-3)


def test_each_says_what_would_do():
    found = [lost(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))]
    assert topk.Codec(L, C, Kept("topk", 2)).remedy(found, 0.1) == "raise k (now 2) or take codec=dense"
    assert "no larger" in dense.Codec(L, C, Kept("dense")).remedy(found, 0.1)


@pytest.mark.parametrize(("name", "k", "classes"), [("topk", 0, 9), ("topk", 10, 9), ("zip", 1, 9)])
def test_what_cannot_be_is_refused(name, k, classes):
    with pytest.raises(BadSettings, match=r"k: |no 'zip'|'zip'"):
        codec(name, L, classes, k)
