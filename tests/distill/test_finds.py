"""Several teachers that find words, as one: mean probabilities, whole boxes, the one that labels bear out."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.answers import cells
from distill.ensemble import Ensemble
from distill.finds import Finds
from distill.lesson import Lesson
from distill.methods import Shapes
from shards.errors import BadSettings
from shards.loader import Batch
from tests.distill.worlds import GRIDS, SCENES, WHOLE, N
from train.models import Output

TASK = SCENES.sides.task
FINDS = Finds(TASK, GRIDS)


class Finder:
    """Answers these terms to every batch."""

    def __init__(self, terms: Tensor, known: Tensor | None = None, **features: Tensor) -> None:
        self.terms, self.known, self.features = terms, known, features
        self.shapes = Shapes(*terms.shape[1:], grids=GRIDS)

    def __call__(self, batch: Any) -> Lesson:
        return Lesson(batch, torch.empty(0), self.features, cells=self.terms, trust=self.known)


def asked(mode: str, *teachers: Finder, scores: tuple[float, ...] = ()) -> Lesson:
    """The ensemble's answer to the world's samples."""
    found = SCENES.lesson(SCENES.logits(1)).batch
    batch = Batch(
        0, 0, found.view, found.uids, found.valid, found.images, torch.full((N,), 96), np.zeros((N, 2, 3)),
        [SCENES.record(i) for i in WHOLE], found.targets, float(N),
    )  # fmt: skip
    return Ensemble(teachers, mode, scores, FINDS)(batch)


def test_the_mean_of_equal_teachers_is_the_teacher():
    terms = SCENES.logits(1)
    assert torch.allclose(asked("mean", *[Finder(terms)] * 3).cells, terms, atol=1e-4)


def test_the_mean_is_of_probabilities_and_every_box_is_that_of_the_surest_teacher_of_its_cell():
    one, other = SCENES.logits(1), SCENES.logits(2)
    found = asked("mean", Finder(one), Finder(other)).cells
    expected = (one[..., 0].sigmoid() + other[..., 0].sigmoid()) / 2
    assert torch.allclose(found[..., 0].sigmoid(), expected, atol=1e-6)
    surer = (one[..., 0] >= other[..., 0])[..., None]
    assert torch.equal(found[..., 1:], torch.where(surer, one, other)[..., 1:])


def test_certain_teachers_have_a_finite_mean():
    one, other = SCENES.logits(1).fill_(1e4), SCENES.logits(1).fill_(-1e4)
    assert torch.allclose(
        asked("mean", Finder(one), Finder(other)).cells[..., 0].sigmoid(), torch.tensor(0.5)
    )
    assert torch.isfinite(asked("mean", Finder(one), Finder(one)).cells).all()


@pytest.mark.parametrize("mode", ["mean", "per_sample"])
def test_who_does_not_know_has_no_say(mode):
    one, other = SCENES.logits(1), SCENES.logits(2)
    known = torch.tensor([True, True, False, False, True, False])
    told = asked(mode, Finder(one, known), Finder(other, ~known & (torch.arange(N) < 5)))
    alone = torch.where(known[:, None, None], one, other)
    assert torch.allclose(told.cells[:5], alone[:5], atol=1e-4)
    assert told.trust.tolist() == [True] * 5 + [False]
    assert torch.isfinite(told.cells).all()


def test_each_sample_has_the_teacher_that_its_label_bears_out():
    one, other = SCENES.logits(1), SCENES.logits(2)
    targets = TASK.encode([SCENES.record(i) for i in WHOLE])
    losses = torch.stack([TASK.loss(Output(terms, GRIDS), targets)["task"] for terms in (one, other)])
    right = losses.argmin(0)
    assert len(right.unique()) == 2
    features = [{"own": torch.full((N, 2), float(k))} for k in (0, 1)]
    told = asked("per_sample", Finder(one, **features[0]), Finder(other, **features[1]))
    assert torch.equal(told.cells, torch.where((right == 0)[:, None, None], one, other))
    assert torch.equal(told.features["own"][:, 0], right.float())


def test_equal_teachers_are_told_apart_by_score_and_features_of_a_mean_are_the_bests():
    terms, features = SCENES.logits(1), [{"own": torch.full((N, 2), float(k))} for k in (0, 1)]
    for mode in ("mean", "best", "per_sample"):
        both = [Finder(terms, **one) for one in features]
        assert asked(mode, *both, scores=(0.5, 0.6)).features["own"].unique().tolist() == [1.0]
        assert asked(mode, *both).features["own"].unique().tolist() == [0.0]


def test_teachers_of_unlike_cells_are_refused():
    both = [Finder(SCENES.logits(1)), Finder(SCENES.logits(2))]
    assert cells.together(both, "mean", [], TASK).shapes.grids == GRIDS
    both[1].shapes = replace(both[1].shapes, grids=((12, 8), (4, 6), (2, 3)))
    with pytest.raises(BadSettings, match=r"answer 126 cells \(8x12 and .*, 126 cells \(12x8 and"):
        cells.together(both, "mean", [], TASK)
