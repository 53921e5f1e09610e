from dataclasses import replace

import pytest
import torch

from distill import cells
from distill.methods import Sides
from shards.errors import BadSettings
from tests.distill.worlds import CROPS, GRIDS, MAPS, SCENES, numbers, shapes
from train.ciou import ciou
from train.models import Output
from train.tasks import boxes


def test_levels_are_rows_of_cells_one_level_after_the_other():
    values = torch.arange(126.0)[None]
    found = cells.levels(values, GRIDS)
    assert [tuple(level.shape) for level in found] == [(1, 8, 12), (1, 4, 6), (1, 2, 3)]
    assert (found[0][0, 3, 5], found[1][0, 2, 1], found[2][0, 1, 2]) == (41, 109, 125)
    assert torch.equal(cells.text(torch.stack([values, -values], -1), GRIDS)[1], found[1])


def test_the_divergence_of_a_yes_is_the_cross_entropy_less_the_teachers_entropy():
    teacher, student = 3 * numbers(1, 50), 3 * numbers(2, 50)
    p, q = teacher.double().sigmoid(), student.double().sigmoid()
    expected = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    found = cells.binary_kl(teacher, student)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    crossed = torch.nn.functional.binary_cross_entropy(q, p, reduction="none")
    assert torch.allclose(found.double() + entropy, crossed, atol=1e-5)


def test_the_gradient_of_that_divergence_is_the_difference_of_probabilities():
    student, teacher = (3 * numbers(1, 50)).requires_grad_(), 3 * numbers(2, 50)
    cells.binary_kl(teacher, student).sum().backward()
    assert torch.allclose(student.grad, student.detach().sigmoid() - teacher.sigmoid(), atol=1e-6)


@pytest.mark.parametrize(("teacher", "student"), [(1e4, -1e4), (-1e4, 1e4), (1e4, 1e4), (0.0, -1e4)])
def test_that_divergence_is_finite_for_answers_that_are_certain(teacher, student):
    said = torch.tensor(student, requires_grad=True)
    found = cells.binary_kl(torch.tensor(teacher), said)
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(said.grad)


def test_means_are_over_what_counts_and_0_where_nothing_does():
    values, weights = torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]]), torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    assert cells.mean_over(values, weights).tolist() == [3.5, 0.0]
    assert cells.mean_over(values[:, None].expand(2, 4, 3), weights[:, None]).tolist() == [3.5, 0.0]


@pytest.mark.parametrize("quads", [False, True])
def test_boxes_of_cells_are_apart_by_overlap_and_quads_also_by_their_corners(quads):
    task = boxes.Task(boxes.Settings(quads=quads), SCENES.sides.task.image)
    student, teacher = (0.5 * numbers(seed, 2, 126, task.channels) for seed in (1, 2))
    output = Output(student, GRIDS)
    found = cells.apart(task, output, student, teacher)
    places = task.cells(output)
    overlap = 1 - ciou(task.boxes(student, *places), task.boxes(teacher, *places))
    assert torch.equal(found > overlap, torch.full_like(found, quads, dtype=torch.bool))
    assert torch.allclose(cells.apart(task, output, teacher, teacher), torch.zeros(2, 126), atol=1e-6)
    moved = torch.cat([student[..., :5], teacher[..., 5:]], -1)
    assert torch.allclose(cells.apart(task, output, moved, teacher), overlap)


def test_strings_other_cells_and_cells_without_boxes_are_refused():
    with pytest.raises(BadSettings, match=r"method=pfi: compares cells, and this task reads strings"):
        cells.check("pfi", CROPS.sides)
    mine, task = SCENES.sides.student, SCENES.sides.task
    for theirs, said in (
        (shapes(504, 5), "504 cells of 5 terms"),
        (shapes(126, 13), "126 cells of 13 terms"),
    ):
        with pytest.raises(
            BadSettings, match=rf"the student answers 126 cells of 5 terms, the teacher {said}"
        ):
            cells.check("pfi", Sides(task, mine, theirs))
    turned = Sides(task, replace(mine, grids=((8, 12),)), replace(mine, grids=((12, 8),)))
    with pytest.raises(BadSettings, match=r"answers 126 cells \(8x12\) of 5 terms, the teacher .* \(12x8\)"):
        cells.check("pfi", turned)
    with pytest.raises(BadSettings, match=r"\(8x12\) of 5 terms, the teacher 126 cells of .* record it anew"):
        cells.check("pfi", replace(turned, teacher=mine))
    cells.check("pfi", SCENES.sides)
    cells.check_boxes("gid", SCENES.sides)
    with pytest.raises(BadSettings, match=r"method=gid: compares the boxes that cells answer.*task=boxes"):
        cells.check_boxes("gid", MAPS.sides)
