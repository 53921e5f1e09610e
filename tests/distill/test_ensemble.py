"""Several teachers as one: identical ones change nothing, shifted spikes meet, disagreement is decided."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.ensemble import Ensemble
from distill.lesson import Hypotheses, Lesson
from shards.errors import BadSettings
from shards.loader import Batch
from train.decode import greedy
from train.tasks.recognise import Targets

CLASSES = 5


def answer(*paths, sure=6.0, seed=0):
    """Log-probabilities [N,L,C] whose best paths these are."""
    best = torch.tensor(paths)
    noise = torch.randn(*best.shape, CLASSES, generator=torch.Generator().manual_seed(seed))
    return noise.scatter_add_(2, best[..., None], torch.full((*best.shape, 1), sure)).log_softmax(-1)


def batch_of(labels, valid=None):
    """A batch with these labels as classes; None: no usable one."""
    spelled = [label or () for label in labels]
    targets = Targets(
        torch.tensor([c for label in spelled for c in label], dtype=torch.int64),
        torch.tensor([len(label) for label in spelled]),
        torch.tensor([label is not None for label in labels]),
    )
    n = len(labels)
    rows = torch.ones(n, dtype=torch.bool) if valid is None else torch.tensor(valid)
    return Batch(
        0, 0, np.zeros(n, np.int64), torch.arange(n), rows, torch.zeros(n, 1, 2, 2), torch.full((n,), 2),
        np.zeros((n, 2, 3)),
        [SimpleNamespace(words=(), size=(2, 2))] * n, targets, float(n),
    )  # fmt: skip


def saying(log_probs, **more):
    return lambda batch: Lesson(batch, log_probs, **more)


def read(lesson):
    return [reading.symbols for reading in greedy(lesson.log_probs)]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(2, 4)
)
@settings(max_examples=60, deadline=None)
def test_the_mean_of_identical_teachers_is_the_teacher(paths, k):
    told = answer(*paths)
    lesson = Ensemble([saying(told)] * k, "mean")(batch_of([None] * len(paths)))
    assert torch.allclose(lesson.log_probs, told, atol=1e-5)


def test_two_teachers_with_shifted_spikes_average_to_the_right_string():
    one = answer([0, 1, 0, 2, 0, 2, 0, 0], seed=1)
    other = answer([0, 0, 1, 0, 2, 0, 2, 0], seed=2)
    naive = torch.logaddexp(one, other)
    lesson = Ensemble([saying(one), saying(other)], "mean")(batch_of([None]))
    assert read(lesson) == [(1, 2, 2)]
    assert greedy(naive)[0].symbols != (1, 2, 2) or greedy(naive)[0].confidence < 0.3
    assert greedy(lesson.log_probs)[0].confidence > 0.5
    assert torch.allclose(lesson.log_probs.exp().sum(-1), torch.ones(1, 8), atol=1e-5)
    assert not torch.allclose(lesson.log_probs, one)  # it is a mean, not the first one's answer


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_the_mean_reads_what_its_members_read(word, data):
    def placed():
        blanks = data.draw(st.lists(st.integers(1, 3), min_size=len(word), max_size=len(word)))
        path = [c for letter, gap in zip(word, blanks, strict=True) for c in (letter, *[0] * gap)]
        start = data.draw(st.integers(0, 16 - len(path)))
        return [0] * start + path + [0] * (16 - start - len(path))

    teachers = [saying(answer(placed(), seed=k)) for k in range(3)]
    lesson = Ensemble(teachers, "mean")(batch_of([None]))
    assert read(lesson) == [tuple(word)]
    assert torch.allclose(lesson.log_probs.exp().sum(-1), torch.ones(1, 16), atol=1e-4)


def test_where_readings_differ_the_better_teacher_or_the_better_group_answers():
    a, b, c = answer([0, 1, 0, 2]), answer([0, 3, 0, 2]), answer([3, 0, 2, 0])
    assert torch.equal(Ensemble([saying(a), saying(b)], "mean", [0.7, 0.8])(batch_of([None])).log_probs, b)
    assert read(Ensemble([saying(a), saying(b)], "mean")(batch_of([None]))) == [(1, 2)]
    three = Ensemble([saying(a), saying(b), saying(c)], "mean", [0.9, 0.5, 0.5])
    assert read(three(batch_of([None]))) == [(3, 2)]


def test_the_best_teacher_alone_is_asked():
    def never(batch):
        raise AssertionError

    told = answer([1, 0])
    assert Ensemble([never, saying(told)], "best", [0.1, 0.2])(batch_of([None])).log_probs is told


def test_each_sample_has_the_teacher_with_the_fewest_errors():
    a = answer([1, 0, 2, 0], [1, 0, 2, 0], [1, 0, 2, 0], sure=4.0)
    b = answer([1, 0, 3, 0], [1, 0, 3, 0], [1, 0, 3, 0], sure=8.0)
    labels = [
        (1, 2),
        (1, 4),
        None,
    ]  # a is right; both are wrong once: the better one; no label: the surer one
    lesson = Ensemble([saying(a), saying(b)], "per_sample", [0.9, 0.8])(batch_of(labels))
    assert read(lesson) == [(1, 2), (1, 2), (1, 3)]
    assert lesson.trust.tolist() == [True] * 3


@pytest.mark.parametrize("mode", ["mean", "per_sample"])
def test_who_does_not_know_has_no_say(mode):
    a, b = answer([1, 0], [1, 0], [1, 0]), answer([2, 0], [2, 0], [2, 0])
    first = saying(a, trust=torch.tensor([False, True, False]))

    def second(batch):
        masked = batch_of([(1,)] * 3, [True, False, False])
        return Lesson(masked, b)

    lesson = Ensemble([first, second], mode, [0.9, 0.8])(batch_of([(1,)] * 3))
    assert read(lesson)[:2] == [(2,), (1,)]
    assert lesson.trust.tolist() == [True, True, False]
    assert lesson.batch.valid.tolist() == [True, True, True]


def test_all_that_a_teacher_says_of_a_sample_goes_with_its_answer():
    def told(path, value, hypotheses):
        symbols = torch.full((2, hypotheses, 1 + hypotheses), value)
        nbest = Hypotheses(symbols, torch.full((2, hypotheses), 1), torch.full((2, hypotheses), -0.5))
        features = {"own": torch.full((2, 3), float(value)), f"only{value}": torch.zeros(2)}
        log_probs = answer(path, path)
        return saying(log_probs, nbest=nbest, features=features, occupancy=log_probs.exp())

    lesson = Ensemble([told([1, 0], 1, 1), told([2, 0], 2, 2)], "per_sample")(batch_of([(1,), (2,)]))
    assert lesson.features["own"][:, 0].tolist() == [1, 2]
    assert set(lesson.features) == {"own"}
    assert lesson.nbest.lengths.tolist() == [[1, -1], [1, 1]]
    assert lesson.nbest.symbols[:, 0, 0].tolist() == [1, 2]
    assert lesson.occupancy.argmax(-1)[:, 0].tolist() == [1, 2]
    mean = Ensemble([told([1, 0], 1, 1), told([1, 0], 1, 1)], "mean")(batch_of([None, None]))
    assert torch.allclose(mean.occupancy, answer([1, 0], [1, 0]).exp(), atol=1e-5)


def test_what_cannot_be_one_is_refused():
    with pytest.raises(BadSettings, match="no 'means'; did you mean 'mean'"):
        Ensemble([saying(None)], "means")
    with pytest.raises(BadSettings, match="2 teachers and 1 scores"):
        Ensemble([saying(None)] * 2, "mean", [0.5])
    both = Ensemble([saying(answer([1, 0])), saying(answer([1, 0, 0]))], "mean")
    with pytest.raises(BadSettings, match="L = 2, C = 5, L = 3, C = 5; they must be reconciled"):
        both(batch_of([None]))
