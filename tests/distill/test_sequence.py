"""The records of codec=sequence: what they keep of any answer, what they cost, and of a real teacher's."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.codecs import Kept, sequence
from distill.lost import Lost, lost
from distill.ranking import ranked
from shards.errors import BadSettings, GateFailed

KINDS = ["random", "peaky", "flat", "tied", "huge", "excluded", "tiny_blank", "certain"]
SHAPES = [(24, 37), (7, 2), (1, 37), (5, 300), (3, 5990), (25, 37)]


def answers(kind, n, frames, classes, seed=0):
    """Log-probabilities [N,T,C]."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, frames, classes, generator=draw)
    best = torch.randint(0, classes, (n, frames, 1), generator=draw)
    blank = torch.rand(n, frames, 1, generator=draw) < 0.6
    best = torch.where(blank, 0, best)
    if kind == "peaky":
        logits.scatter_add_(-1, best, torch.full(best.shape, 9.0))
    elif kind == "flat":
        logits.mul_(1e-3)
    elif kind == "tied":
        logits = logits.round().clamp(-1, 1)
    elif kind == "huge":
        logits.mul_(1e5)
    elif kind == "excluded":
        logits[torch.rand(logits.shape, generator=draw) < 0.5] = -torch.inf
        logits.scatter_(-1, best, 1.0)
    elif kind == "tiny_blank":
        logits[..., 0] = -50
    elif kind == "certain":
        logits = torch.full_like(logits, -torch.inf).scatter(-1, best, 0.0)
    return logits.log_softmax(-1)


def codec(frames, classes, pairs=0, prior=""):
    """With room for so many pairs; 0: one and a quarter of a step."""
    small = sequence.Codec(frames, classes, Kept("sequence", bytes=10**6))
    size = small.size(pairs or frames + -(-frames // 4))
    return sequence.Codec(frames, classes, Kept("sequence", bytes=size, prior=prior))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(SHAPES), st.integers(0, 99), st.booleans())
def test_any_answer_keeps_its_best_classes_in_rows_that_sum_to_one(kind, shape, seed, measured):
    log_probs = answers(kind, 3, *shape, seed)
    made = codec(*shape, prior=sequence.prior(log_probs) if measured else "")
    arrays, found = made.encode(log_probs)
    records, decoded = arrays["records"], made.decode(arrays)
    assert (records.dtype, records.shape) == (np.uint8, (3, made.bytes))
    assert (records[:, 0] > 0).all()
    assert torch.isfinite(decoded).all()
    assert decoded.double().exp().sum(-1).numpy() == pytest.approx(1, abs=2e-5)
    assert (decoded.numpy().argmax(-1) == log_probs.numpy().argmax(-1)).all()
    assert found.changed == 0
    assert found.nats == pytest.approx(lost(log_probs, decoded).nats)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(SHAPES), st.integers(0, 99))
def test_what_was_decoded_is_encoded_to_the_same_again(kind, shape, seed):
    made = codec(*shape)
    once = made.decode(made.encode(answers(kind, 2, *shape, seed))[0])
    arrays, found = made.encode(once)
    assert found.kl < 2e-3  # the shares are on their marks already
    assert (made.decode(arrays) - once).exp().sub(1).abs().mul(once.exp()).max() < 0.06


@pytest.mark.parametrize("kind", ["random", "peaky", "flat", "excluded"])
@pytest.mark.parametrize("classes", [2, 37, 300])
def test_larger_records_lose_no_more(kind, classes):
    log_probs = answers(kind, 16, 9, classes)
    sizes = sorted({min(pairs, 9 * min(15, classes - 1)) for pairs in (9, 12, 20, 40, 135)})
    kl = [codec(9, classes, pairs).encode(log_probs)[1].kl for pairs in sizes]
    assert all(b <= a + 1e-4 for a, b in pairwise(kl)), kl


@pytest.mark.parametrize("kind", ["random", "peaky", "flat", "tied", "excluded", "tiny_blank"])
@pytest.mark.parametrize("classes", [37, 300])
def test_the_size_that_a_refusal_names_really_does(kind, classes):
    log_probs = answers(kind, 32, 12, classes)
    made = codec(12, classes, 13)
    found = made.encode(log_probs)[1]
    for share in (0.9, 0.5, 0.2):
        limit = found.kl * share
        told = made.remedy([found, found], limit)
        if told == "take codec=dense":
            assert classes == 300 or kind in ("flat", "tied") or share < 0.5  # no few classes tell them
            continue
        size = int(told.split()[0].removeprefix("bytes="))
        assert told == f"bytes={size} would do (now {made.bytes}), in another out="
        larger = sequence.Codec(12, classes, Kept("sequence", bytes=size))
        assert larger.encode(log_probs)[1].kl <= limit
        assert size > made.bytes


def test_a_record_that_cannot_hold_the_best_classes_names_the_size_that_can():
    log_probs = answers("tiny_blank", 4, 10, 37)
    with pytest.raises(GateFailed, match=r"10 steps .* the record holds 4; bytes=35 holds them"):
        codec(10, 37, 4).encode(log_probs)
    assert codec(10, 37, 10).bytes == 35
    assert codec(10, 37, 10).encode(log_probs)[1].changed == 0


def test_the_prior_is_measured_of_what_is_left_and_saves_nats():
    skewed = torch.linspace(0, -8, 37)
    log_probs = (answers("random", 64, 8, 37) + skewed.roll(3)).log_softmax(-1)
    prior = sequence.prior(log_probs)
    assert len(bytes.fromhex(prior)) == 36
    assert codec(8, 37, 8, prior).encode(log_probs)[1].kl < 0.7 * codec(8, 37, 8).encode(log_probs)[1].kl
    with pytest.raises(BadSettings, match=r"prior: of 36 classes, the teacher has 299 and the blank"):
        codec(8, 300, 8, prior)


@pytest.mark.parametrize(
    ("size", "classes", "message"),
    [(0, 37, "38"), (37, 37, "38"), (38, 300, "39"), (96, 1, "2 to 65536"), (96, 1 << 17, "2 to 65536")],
)
def test_what_cannot_be_is_refused_and_the_least_size_is_named(size, classes, message):
    with pytest.raises(BadSettings, match=message):
        sequence.Codec(24, classes, Kept("sequence", bytes=size))


def test_the_size_of_a_record_is_what_was_asked_for():
    silent = torch.full((2, 24, 37), -torch.inf)
    silent[..., 0] = 0.0
    for size in (38, 61, 96, 5000):
        made = sequence.Codec(24, 37, Kept("sequence", bytes=size))
        assert made.arrays[0].bytes == size
        assert made.encode(silent)[0]["records"].shape == (2, size)


def test_pieces_of_a_batch_add_up_to_the_whole(monkeypatch):
    log_probs, made = answers("peaky", 20, 24, 37), codec(24, 37)
    whole, found = made.encode(log_probs)
    monkeypatch.setattr(sequence, "PIECE", 3 * 24 * 37)
    parts, lost_in_parts = made.encode(log_probs)
    assert (parts["records"] == whole["records"]).all()
    assert lost_in_parts.nats == pytest.approx(found.nats)
    assert lost_in_parts.prices == pytest.approx(found.prices)
    total = Lost()
    for sample in log_probs.split(1):
        total.add(made.encode(sample)[1])
    assert total.nats == pytest.approx(found.nats)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.sampled_from([2, 36, 1025, 1100, 5989]), st.sampled_from([1, 3, 15]))
def test_classes_are_ranked_as_a_stable_sort_ranks_them(seed, classes, k):
    draw = np.random.default_rng(seed)
    values = -draw.integers(0, draw.choice([1, 3, 10_000]), (4, classes)).astype(np.float32) / 7
    values[0, draw.integers(classes)] = -np.inf
    k = min(k, classes)
    assert (ranked(values, k) == (-values).argsort(-1, kind="stable")[:, :k]).all()
