import types

import numpy as np
import pytest
import torch

from distill.cache import Cache
from distill.codecs import Kept, sequence
from distill.kinds import Frames, NBest, Occupancy
from distill.lesson import Hypotheses, Lesson
from distill.teachers import Derived, Live, Wanted
from shards.augment import Augment
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from train.beam import prefix_beam

T, C = 12, 37
CODEC = sequence.Codec(T, C, Kept("sequence", bytes=90))
ALL = torch.ones(4, dtype=torch.bool)


def answers(seed=0):
    return (4 * torch.randn(4, T, C, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


def lesson(**more):
    return Lesson(types.SimpleNamespace(), answers(), **more)


def best(n=3):
    found = prefix_beam(answers(), n)
    return Hypotheses(*(torch.from_numpy(part) for part in (found.symbols, found.lengths, found.log_probs)))


def test_frames_are_what_the_codec_makes_of_valid_rows():
    kind, valid = Frames(CODEC), torch.tensor([True, False, True, True])
    arrays, lost = kind.encode(lesson(), valid)
    assert lost.samples == 3
    assert torch.equal(kind.decode(arrays), CODEC.decode(CODEC.encode(answers()[valid])[0]))


def test_readings_come_back_as_they_were():
    kind = NBest(3, T, C)
    arrays, lost = kind.encode(lesson(nbest=best()), ALL)
    back, given = kind.decode(arrays), best()
    assert lost is None
    assert torch.equal(back.lengths, given.lengths)
    width = given.symbols.shape[-1]
    assert torch.equal(back.symbols[..., :width], given.symbols)
    assert (back.symbols[..., width:] == 0).all()
    assert torch.allclose(back.log_probs, given.log_probs, rtol=1e-3)


def test_a_reading_that_there_is_not_stays_none():
    given = best()
    lengths, log_probs = given.lengths.clone(), given.log_probs.clone()
    lengths[1, 2], log_probs[1, 2] = -1, -torch.inf
    kind = NBest(3, T, C)
    back = kind.decode(kind.encode(lesson(nbest=Hypotheses(given.symbols, lengths, log_probs)), ALL)[0])
    assert back.lengths[1].tolist()[2] == -1
    assert back.log_probs.isinf().nonzero().tolist() == [[1, 2]]


def test_symbols_of_large_charsets_take_two_bytes():
    assert [a.dtype for a in NBest(5, 24, 256).arrays] == ["<f2", "<i2", "|u1"]
    assert sum(a.bytes for a in NBest(5, 24, 256).arrays) == 5 * (2 + 2 + 24)
    kind = NBest(1, T, 5990)
    given = Hypotheses(torch.full((4, 1, 2), 5989), torch.full((4, 1), 2), torch.zeros(4, 1))
    assert kind.decode(kind.encode(lesson(nbest=given), ALL)[0]).symbols[..., :2].eq(5989).all()


def test_an_alignment_that_there_is_not_comes_back_as_zeros():
    kind, given = Occupancy(CODEC), answers(1).exp()
    given[2] = 0
    arrays, lost = kind.encode(lesson(occupancy=given), ALL)
    back = kind.decode(arrays)
    assert lost.samples == 3
    assert (back[2] == 0).all()
    assert back[[0, 1, 3]].sum(-1).numpy() == pytest.approx(1, abs=1e-5)
    assert torch.equal(back[[0, 1, 3]].argmax(-1), given[[0, 1, 3]].argmax(-1))


def test_a_batch_without_a_single_alignment_or_valid_row_is_no_fault():
    none = torch.zeros(4, dtype=torch.bool)
    arrays, lost = Occupancy(CODEC).encode(lesson(occupancy=torch.zeros(4, T, C)), ALL)
    assert (arrays["occupancy.records"] == 0).all()
    assert lost.steps == 0
    for kind in (Frames(CODEC), NBest(3, T, C), Occupancy(CODEC)):
        arrays, _ = kind.encode(lesson(nbest=best(), occupancy=answers().exp()), none)
        assert {len(values) for values in arrays.values()} == {0}


def test_a_cache_gives_back_every_kind_that_the_teacher_answered(rich, words, teacher):
    opened, live = Cache(rich), Derived(Live(teacher))
    live.want(Wanted(frozenset({"frames", "nbest", "occupancy"}), ("rnn1", "rnn2", "sequence")))
    shards, task = Shards([words], "train"), live.teacher.loaded.task
    card = opened.card
    loader = Loader(shards, Plan(shards.uids, 32), task.image, task.encode, Augment(card.augment), card.views)
    batch = next(iter(loader.batches(1)))
    now, uids = live(batch), batch.uids[batch.valid].numpy()
    valid = batch.valid
    frames = opened.read("frames", uids, 1)
    assert torch.equal(frames.argmax(-1), now.log_probs[valid].argmax(-1))
    kept, found = opened.read("nbest", uids, 1), now.nbest
    assert torch.equal(kept.lengths, found.lengths[valid])
    assert torch.equal(kept.symbols[..., : found.symbols.shape[-1]], found.symbols[valid])
    assert torch.allclose(kept.log_probs, found.log_probs[valid], rtol=2e-3, atol=2e-3)
    aligned = opened.read("occupancy", uids, 1)
    assert torch.equal(aligned.argmax(-1), now.occupancy[valid].argmax(-1))
    for name, near in (("rnn1", 0.8), ("rnn2", 0.01), ("sequence", 1e-3)):
        error = (opened.features(name, uids, 1) - now.features[name][valid]).abs().mean()
        assert error < near * max(1.0, float(now.features[name].abs().mean())), name
    assert np.isfinite(opened.lost["occupancy"].kl)
    assert set(opened.kinds) == {
        "frames", "nbest", "occupancy", "feature.rnn1", "feature.rnn2", "feature.sequence"
    }  # fmt: skip
