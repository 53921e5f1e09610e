import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distill.codec import codec, kl
from shards.errors import BadSettings

L, C = 5, 9
LOGITS = hnp.arrays(
    np.float32, (3, L, C), elements=st.floats(-1e5, 1e5, width=32) | st.floats(-1, 1, width=32) | st.just(0.0)
)
CODECS = [("dense", 0), ("topk", 1), ("topk", 2), ("topk", 4), ("topk", C)]


@pytest.mark.parametrize(("name", "k"), CODECS)
@settings(max_examples=60, deadline=None)
@given(logits=LOGITS)
def test_decoded_steps_sum_to_one_and_keep_the_best_class(name, k, logits):
    log_probs = torch.from_numpy(logits).log_softmax(-1)
    made = codec(name, L, C, k)
    arrays = made.encode(log_probs)
    decoded = made.decode(arrays)
    assert decoded.shape == log_probs.shape
    assert decoded.dtype == torch.float32
    assert torch.isfinite(decoded).all()
    assert decoded.exp().sum(-1).numpy() == pytest.approx(1, abs=1e-5)
    best = log_probs.argmax(-1) if name == "dense" else log_probs.topk(k).indices[..., 0]
    assert torch.equal(decoded.argmax(-1), best)
    assert torch.isfinite(kl(log_probs, decoded)).all()


@pytest.mark.parametrize(("name", "k"), CODECS)
def test_arrays_have_the_stated_shapes_types_and_bytes(name, k):
    made = codec(name, L, C, k)
    arrays = made.encode(torch.randn(4, L, C).log_softmax(-1))
    assert {a.name: (np.dtype(a.dtype), (4, *a.shape)) for a in made.arrays} == {
        n: (v.dtype, v.shape) for n, v in arrays.items()
    }
    assert sum(a.bytes for a in made.arrays) * 4 == sum(v.nbytes for v in arrays.values())


def test_sizes_are_those_of_the_reference():
    assert sum(a.bytes for a in codec("dense", 26, 37, 0).arrays) == 1924
    assert sum(a.bytes for a in codec("topk", 26, 37, 4).arrays) == 312
    assert codec("topk", 26, 5990, 4).arrays[1].dtype == "<u2"


def test_more_classes_lose_less_and_all_of_them_only_the_rounding():
    log_probs = (3 * torch.randn(50, L, C, generator=torch.Generator().manual_seed(0))).log_softmax(-1)
    lost = []
    for name, k in [("topk", 1), ("topk", 4), ("topk", 8), ("dense", 0)]:
        made = codec(name, L, C, k)
        lost.append(float(kl(log_probs, made.decode(made.encode(log_probs))).mean()))
    assert lost[0] > lost[1] > lost[2]
    assert lost[2] < 1e-3
    assert 0 <= lost[3] < 1e-5


def test_the_rest_of_the_mass_is_spread_evenly():
    made = codec("topk", 1, 5, 1)
    log_probs = torch.tensor([[[0.6, 0.1, 0.1, 0.1, 0.1]]]).log()
    assert made.decode(made.encode(log_probs))[0, 0].exp().tolist() == pytest.approx(
        [0.6, 0.1, 0.1, 0.1, 0.1], abs=1e-3
    )


def test_kl_is_a_mean_over_steps_in_nats():
    p = torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]).clamp(min=1e-30).log()
    q = torch.tensor([[[0.25, 0.75], [1.0, 1e-30]]]).log()
    assert float(kl(p, q)) == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2, abs=1e-6)


@pytest.mark.parametrize(("name", "k", "classes"), [("topk", 0, 9), ("topk", 10, 9), ("zip", 1, 9)])
def test_what_cannot_be_is_refused(name, k, classes):
    with pytest.raises(BadSettings, match=r"k: |codec: no 'zip'"):
        codec(name, L, classes, k)
