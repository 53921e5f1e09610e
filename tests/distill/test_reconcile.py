"""Another charset and other steps: what is read stays, or is not trusted; what is absurd is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes
from distill.reconcile import (
    Reconciled,
    class_map,
    fold,
    fold_hypotheses,
    for_task,
    readings,
    reconciled,
)
from distill.teachers import Live
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Batch
from shards.sample import Record, Word
from train.charset import Charset

THEIRS = Charset("aAbBç \u3000１")
MINE = Charset("abcç", "lower")


def spelled(*texts, steps=12, charset=THEIRS, sure=30.0):
    """Log-probabilities of paths that spell these, a blank after every letter."""
    paths = [[c for letter in charset.encode(text) for c in (letter, 0)] for text in texts]
    best = torch.tensor([[*path, *[0] * (steps - len(path))] for path in paths])
    out = torch.randn(*best.shape, charset.size, generator=torch.Generator().manual_seed(0))
    return out.scatter_add_(2, best[..., None], torch.full((*best.shape, 1), sure)).log_softmax(-1)


def batch_of(*labels):
    n = len(labels)
    records = [Record((Word(label),), (10, 5), "") for label in labels]
    return Batch(
        0, 0, np.zeros(n, np.int64), torch.arange(n), torch.ones(n, dtype=torch.bool),
        torch.zeros(n, 1, 8, 16), torch.full((n,), 16), np.zeros((n, 2, 3)), records, None, float(n),
    )  # fmt: skip


def saying(log_probs, **more):
    return lambda batch: Lesson(batch, log_probs, **more)


def test_classes_go_to_what_their_character_becomes():
    assert class_map(THEIRS, MINE).tolist() == [0, 1, 1, 2, 2, 4, -1, -1, -1]
    assert class_map(Charset("c\u0327"[0] + "ab"), MINE).tolist() == [0, 3, 1, 2]
    assert class_map(MINE, MINE).tolist() == [0, 1, 2, 3, 4]


@given(st.integers(0, 99), st.floats(0, 12))
@settings(max_examples=60, deadline=None)
def test_folded_rows_are_distributions_that_add_up_what_falls_together(seed, sure):
    log_probs = (
        torch.randn(2, 6, THEIRS.size, generator=torch.Generator().manual_seed(seed)) * sure
    ).log_softmax(-1)
    got, p = fold(log_probs, class_map(THEIRS, MINE), MINE.size).exp(), log_probs.exp()
    assert torch.allclose(got.sum(-1), torch.ones(2, 6), atol=1e-5)
    kept = p[..., :6].sum(-1)
    real = kept > 1e-3
    assert torch.allclose(got[..., 1][real], ((p[..., 1] + p[..., 2]) / kept)[real], atol=1e-5)
    assert (got[..., 3] < 1e-5)[real].all()  # c: the teacher lacks it


def test_the_same_classes_are_left_as_they_are():
    log_probs = spelled("ab")
    assert fold(log_probs, torch.arange(THEIRS.size), THEIRS.size) is log_probs
    teacher = saying(log_probs)
    teacher.shapes = Shapes(12, THEIRS.size)
    assert reconciled(teacher, THEIRS, THEIRS) is teacher
    assert reconciled(teacher, THEIRS, THEIRS, 12) is teacher
    assert isinstance(reconciled(teacher, THEIRS, THEIRS, 13), Reconciled)
    assert reconciled(teacher, THEIRS, MINE, 13).shapes == Shapes(13, MINE.size)


def test_a_row_of_dropped_classes_reads_nothing():
    log_probs = torch.full((1, 1, THEIRS.size), -torch.inf)
    log_probs[..., 6] = 0
    assert fold(log_probs, class_map(THEIRS, MINE), MINE.size).argmax(-1).item() == 0


def test_only_answers_that_keep_their_reading_and_know_their_label_are_trusted():
    texts = ["Ab", "aç", "a b", "１", "ab", "abab", ""]
    labels = ["ab", "aç", "ab", "b", "ac", "abab", ""]
    teacher = Reconciled(saying(spelled(*texts)), THEIRS, MINE, frames=3)
    lesson = teacher(batch_of(*labels))
    assert lesson.log_probs.shape == (7, 3, 5)
    assert lesson.trust.tolist() == [True, True, False, False, False, False, True]
    assert teacher.counts == {"answers": 7, "characters": 2, "label": 1, "steps": 1}
    assert readings(lesson.log_probs, MINE)[:2] == ["ab", "aç"]


def test_letters_that_become_equal_neighbours_are_not_trusted():
    path = torch.tensor([[2, 1, 0]])  # "Aa" without a blank between
    log_probs = torch.zeros(1, 3, THEIRS.size).scatter_(2, path[..., None], 20.0).log_softmax(-1)
    lesson = Reconciled(saying(log_probs), THEIRS, MINE)(batch_of("aa"))
    assert lesson.trust.tolist() == [False]


def test_what_a_teacher_did_not_trust_itself_stays_so():
    teacher = saying(spelled("ab", "ab"), trust=torch.tensor([False, True]))
    assert Reconciled(teacher, THEIRS, MINE)(batch_of("ab", "ab")).trust.tolist() == [False, True]


@given(st.lists(st.text("aAbB", max_size=6), min_size=1, max_size=5), st.integers(4, 30))
@settings(max_examples=60, deadline=None)
def test_trusted_answers_read_what_the_teacher_read(texts, frames):
    lesson = Reconciled(saying(spelled(*texts)), THEIRS, MINE, frames)(batch_of(*texts))
    got = readings(lesson.log_probs, MINE)
    for text, reading, trusted in zip(texts, got, lesson.trust.tolist(), strict=True):
        assert trusted == (reading == text.lower())
    assert torch.allclose(lesson.log_probs.exp().sum(-1), torch.ones(len(texts), frames), atol=1e-4)


def test_occupancies_go_the_way_of_the_answers():
    log_probs = spelled("ab", steps=6)
    lesson = Reconciled(saying(log_probs, occupancy=log_probs.exp()), THEIRS, MINE, 12)(batch_of("ab"))
    assert lesson.occupancy.shape == (1, 12, 5)
    assert torch.equal(lesson.occupancy.argmax(-1), lesson.log_probs.argmax(-1))
    assert torch.allclose(lesson.occupancy.sum(-1), torch.ones(1, 12), atol=1e-5)


def test_hypotheses_are_respelled_merged_and_ordered():
    symbols = torch.tensor([[[1, 3, 0], [7, 0, 0], [2, 4, 0], [5, 0, 0], [0, 0, 0]]])
    nbest = Hypotheses(
        symbols, torch.tensor([[2, 1, 2, 1, -1]]), torch.tensor([[0.3, 0.25, 0.2, 0.4, 0.0]]).log()
    )
    got = fold_hypotheses(nbest, class_map(THEIRS, MINE))
    assert got.symbols[0, :2].tolist() == [[1, 2, 0], [4, 0, 0]]
    assert got.lengths.tolist() == [[2, 1, -1, -1, -1]]
    assert got.log_probs[0, :2].exp().tolist() == pytest.approx([0.5, 0.4])


def test_a_teacher_of_another_alphabet_is_refused():
    with pytest.raises(BadSettings, match="knows 1 of the student's 4 characters"):
        Reconciled(saying(None), Charset("axyz"), MINE)


def test_thousands_of_classes_are_folded_quickly():
    from time import monotonic

    many = Charset(
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        + "".join(map(chr, range(0x4E00, 0x4E00 + 6560)))
    )
    log_probs = torch.randn(64, 40, many.size).log_softmax(-1)
    mapping, begun = class_map(many, Charset.named("36")), monotonic()
    got = fold(log_probs, mapping, 37)
    assert monotonic() - begun < 1
    assert torch.allclose(got.exp().sum(-1), torch.ones(64, 40), atol=1e-4)


def test_a_live_teacher_of_another_image_and_charset_answers_for_the_student(make_teacher, tmp_path):
    image = ImageSpec(48, 160, "rgb", "keep")
    live = Live(make_teacher(tmp_path / "m", image=image, charset="94"))
    own = SimpleNamespace(image=ImageSpec(), charset=Charset.named("36"))
    lesson = for_task(live, own, frames=24)(batch := _pictures(own.image))
    assert lesson.log_probs.shape == (3, 24, 37)
    assert lesson.batch.images is batch.images
    assert lesson.trust.shape == (3,)
    same = SimpleNamespace(image=image, charset=live.loaded.task.charset)
    assert for_task(live, same, frames=live.loaded.model.frames) is live
    small = SimpleNamespace(image=image, charset=Charset.named("36"))
    assert for_task(live, small)(_pictures(image)).log_probs.shape == (3, 39, 37)


def _pictures(image):
    batch = batch_of("ab", "c", "d")
    batch.images = torch.randn(3, image.depth, image.height, image.width)
    return batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_what_the_cpu_gives():
    texts = ["Ab", "aç", "abab"]
    log_probs, batch = spelled(*texts), batch_of(*texts)
    here = Reconciled(saying(log_probs), THEIRS, MINE, 3)(batch)
    batch.images, batch.valid = batch.images.cuda(), batch.valid.cuda()
    there = Reconciled(saying(log_probs.cuda()), THEIRS, MINE, 3)(batch)
    assert there.log_probs.is_cuda
    assert there.trust.is_cuda
    assert torch.allclose(there.log_probs.cpu(), here.log_probs, atol=1e-4)
    assert torch.equal(there.trust.cpu(), here.trust)
