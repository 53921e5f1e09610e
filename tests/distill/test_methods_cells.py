"""Methods that compare cells: what `response`, `gid`, `map_kl` and `dilated` promise beside the contract."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from distill import cells, maps
from distill.methods import Sides, gid
from distill.methods.dilated import dilated
from shards.errors import BadSettings
from tests.distill.worlds import CROPS, GRIDS, MAPS, SCENES, N, make, numbers, world_of

L = 126


def told(student: Tensor, teacher: Tensor, name: str, **settings) -> Tensor:
    """The loss [N] of terms [N,L,C]."""
    world = world_of(name) if student.shape[-1] == 5 else MAPS
    return make(name, world.sides, **settings)(
        replace(world.output(student), logits=student), world.lesson(teacher)
    )


def scores(value: float, width: float = 0.5) -> Tensor:
    """Terms that say one score everywhere, with some boxes."""
    terms = width * numbers(3, N, L, 5)
    terms[..., 0] = value
    return terms


def test_d10_the_boxes_have_a_gradient_and_none_where_both_agree():
    teacher = scores(1.0)
    student = (teacher + 0.3 * numbers(1, N, L, 5)).requires_grad_()
    told(student, teacher, "response").sum().backward()
    assert student.grad[..., 1:].abs().amax(-1).min() > 0
    same = teacher.clone().requires_grad_()
    told(same, teacher, "response").sum().backward()
    assert same.grad.abs().max() < 1e-6


def test_d10_boxes_teach_where_the_teacher_is_sure_and_weigh_by_its_score():
    teacher, student = scores(-9.0), scores(-9.0) + torch.tensor([0.0, 0.5, 0.5, 0.5, 0.5])
    assert told(student, teacher, "response").abs().max() < 1e-6
    teacher[:, 40, 0] = student[:, 40, 0] = 1.5
    far = cells.apart(SCENES.sides.task, SCENES.output(student), student, teacher)[:, 40]
    expected = torch.tensor(1.5).sigmoid() * far
    assert torch.allclose(told(student, teacher, "response"), expected, atol=1e-5)
    assert torch.allclose(told(student, teacher, "response", box=0.5), expected / 2, atol=1e-5)
    assert told(student, teacher, "response", least=0.9).abs().max() < 1e-6


def test_d10_scores_are_sums_over_cells_per_word_that_the_teacher_sees_weighed_by_level():
    student, teacher = SCENES.logits(1, 2.0), SCENES.logits(2, 2.0)
    far = cells.binary_kl(teacher[..., 0], student[..., 0]).split([96, 24, 6], 1)
    weights, words = [4.0, 1.0, 0.4], teacher[..., 0].sigmoid().sum(1).clamp(min=1)
    expected = sum(w * level.sum(1) for w, level in zip(weights, far, strict=True)) / words
    found = told(student, teacher, "response", box=0.0, balance=weights)
    assert torch.allclose(found, expected, rtol=1e-5)


def test_d10_levels_and_their_weights_must_be_as_many():
    with pytest.raises(BadSettings, match=r"response.balance: \[1.0, 2.0\].*each of the 3 levels"):
        told(SCENES.logits(1), SCENES.logits(2), "response", balance=[1.0, 2.0])
    with pytest.raises(BadSettings, match=r"response.balance: \[-1.0\]"):
        make("response", SCENES.sides, balance=[-1.0])


def test_d4_instances_are_where_the_scores_differ_most_without_overlapping_each_other():
    student, teacher = scores(-3.0), scores(-3.0, 0.4)
    first, second = 9, 96 + 23  # the upper right of the finest level, the lower right of the next
    teacher[0, first, 0], student[0, second, 0] = 4.0, 2.0
    method = make("gid", SCENES.sides, instances=2)
    output = SCENES.output(student)
    boxes, there = method.instances(output, student, teacher)
    assert there.all()
    task = SCENES.sides.task
    mine, theirs = (task.boxes(side, *task.cells(output)) for side in (student, teacher))
    assert torch.allclose(boxes[0, 0], theirs[0, first])  # of the surer side
    assert torch.allclose(boxes[0, 1], mine[0, second])


@pytest.mark.parametrize("instances", [3, 100])
def test_d4_features_are_compared_as_pooled_out_of_the_instances_that_there_are(instances):
    only = {"relation": 0.0, "response": 0.0, "feature": 1.0, "taps": ["layer20"], "instances": instances}
    method, output = make("gid", SCENES.sides, **only), SCENES.output(scores(0.0) + SCENES.logits(1, 0.1))
    told = SCENES.lesson(scores(0.0) + SCENES.logits(2, 0.1))
    boxes, there = method.instances(output, output.logits.detach(), told.cells)
    sides = (maps.pooled(one.features["layer20"], boxes, (64, 96), 7) for one in (output, told))
    far = (next(sides) - next(sides)).square().sum(2).mean((2, 3))
    expected = torch.stack([row[real].mean() for row, real in zip(far, there, strict=True)])
    assert there.all() == (instances == 3)
    assert torch.allclose(method(output, told), expected, rtol=1e-4)


def test_d4_answers_count_in_cells_whose_centre_lies_in_an_instance():
    student, teacher = scores(0.0), scores(0.0)
    student[:, :96, 0] += 1.0
    output, boxes = SCENES.output(student), torch.tensor([[[0.0, 0, 0, 0], [9, 17, 39, 25]]]).expand(N, 2, 4)
    method = make("gid", SCENES.sides, score=1.0)
    one, other = (cells.binary_kl(torch.tensor(0.0), torch.tensor(value)) for value in (1.0, 0.0))
    expected = (4 * one + other) / 5  # four cells of 8 pixels, one of 16
    assert torch.allclose(method.response(output, student, teacher, boxes), expected.expand(N), atol=1e-5)


def test_d4_distances_do_not_change_by_scaling_a_side_and_single_instances_have_none():
    mine, theirs = numbers(1, 2, 5, 8), numbers(2, 2, 5, 8)
    there = torch.tensor([[True] * 4 + [False], [True] + [False] * 4])
    plain = gid.relations(mine, theirs, there)
    assert plain[0] > 0
    assert plain[1] == 0
    assert torch.allclose(gid.relations(3 * mine, 0.2 * theirs + 1, there), plain, rtol=1e-4)
    mine[0, 4] = 100.0
    assert torch.allclose(gid.relations(mine, theirs, there), plain)
    between = [torch.cdist(x[0, :4], x[0, :4]) / torch.pdist(x[0, :4]).mean() for x in (mine, theirs)]
    huber = functional.smooth_l1_loss(*between, reduction="sum") / 12
    assert float(plain[0]) == pytest.approx(float(huber), rel=1e-4)


@pytest.mark.parametrize("term", ["feature", "relation", "response"])
def test_d4_every_term_pulls_at_what_it_is_about(term):
    others = {name: 0.0 for name in ("feature", "relation", "response") if name != term}
    output = SCENES.output(SCENES.logits(1, 1.0))
    make("gid", SCENES.sides, **others)(output, SCENES.lesson(SCENES.logits(2, 1.0))).sum().backward()
    pulled = output.logits.grad if term == "response" else output.features["layer20"].grad
    assert pulled.abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"instances": 0}, r"gid.instances: 0"),
        ({"bins": 0}, r"gid.bins: 0"),
        ({"overlap": 2.0}, r"gid.overlap: 2.0"),
    ],
)
def test_d4_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(BadSettings, match=said):
        make("gid", SCENES.sides, **settings)


def spot(places: dict[tuple[int, int], float], others: float = -5.0, terms: int = 2) -> Tensor:
    """Terms of the one map of 16 x 24 cells whose first is given at (row, column)."""
    found = torch.full((N, 16, 24, terms), others)
    found[..., 1:] = 0.0
    for (y, x), value in places.items():
        found[:, y, x, 0] = value
    return found.flatten(1, 2)


def test_map_kl_compares_inside_text_and_on_its_ring_alone():
    teacher = spot({(3, 10): 2.0})
    for place, felt in (((3, 10), True), ((1, 12), True), ((5, 8), True), ((0, 10), False), ((3, 13), False)):
        loss = told(spot({(3, 10): 2.0, place: 1.0}), teacher, "map_kl", ring=2)
        assert bool((loss > 1e-3).all()) == felt
    student = MAPS.logits(1, 1.0)
    expected = cells.binary_kl(torch.tensor(2.0), student[:, 3 * 24 + 10, 0])
    assert torch.allclose(told(student, teacher, "map_kl", ring=0), expected, rtol=1e-5)


def test_map_kl_of_a_teacher_that_finds_no_text_is_0_and_boxes_have_a_map_of_each_level():
    assert told(MAPS.logits(1), spot({}), "map_kl").tolist() == [0.0] * N
    teacher, student = SCENES.logits(2), SCENES.logits(1)
    far = cells.binary_kl(teacher[..., 0], student[..., 0])
    there = (teacher[..., 0].sigmoid() > 0.3).float()
    levels = zip(cells.levels(far, GRIDS), cells.levels(there, GRIDS), strict=True)
    expected = sum((f * t).sum((1, 2)) / t.sum((1, 2)).clamp(min=1) for f, t in levels)
    assert torch.allclose(told(student, teacher, "map_kl", ring=0), expected, rtol=1e-5)


def test_a_map_grows_by_one_cell_to_the_right_and_down():
    grown = dilated(
        torch.zeros(1, 4, 6).index_put((torch.tensor(0), torch.tensor(1), torch.tensor(3)), torch.tensor(1.0))
    )
    assert {(int(y), int(x)) for _, y, x in grown.nonzero()} == {(1, 3), (1, 4), (2, 3), (2, 4)}
    assert dilated(torch.ones(2, 4, 6)).shape == (2, 4, 6)


def test_dilated_entropy_is_over_text_and_the_hardest_others():
    method = make("dilated", MAPS.sides, others=2.0)
    logits = torch.tensor([[3.0, -1.0, 4.0, -6.0, 2.0]])
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")[0]
    assert float(method.entropy(logits, target)) == pytest.approx(float(each[[0, 2, 4]].mean()))
    every = functional.binary_cross_entropy_with_logits(logits, 1 - target)  # one other, for four of text
    assert float(method.entropy(logits, 1 - target)) == pytest.approx(float(every))


def test_dilated_falls_as_the_student_finds_what_the_teacher_does_and_asks_nothing_without_text():
    teacher = spot({(3, 10): 2.0})
    right = spot({(y, x): 6.0 for y in (3, 4) for x in (10, 11)}, -6.0)
    wrong = spot({(y, x): 6.0 for y in (9, 10) for x in (2, 3)}, -6.0)
    assert told(right, teacher, "dilated").max() < 0.1
    assert told(wrong, teacher, "dilated").min() > 1.0
    assert told(wrong, spot({}), "dilated").tolist() == [0.0] * N


@pytest.mark.parametrize("name", ["response", "gid", "pfi", "cwd", "map_kl", "dilated"])
def test_methods_that_compare_cells_refuse_strings_and_other_cells(name):
    features = {tap: (4, 8, 12) for tap in ("layer17", "layer20", "layer23")}
    strings = replace(CROPS.sides.student, features=features)
    with pytest.raises(BadSettings, match=rf"method={name}: compares cells, and this task reads strings"):
        make(name, Sides(CROPS.sides.task, strings, strings))
    sides = world_of(name).sides
    other = replace(sides.teacher, frames=4 * sides.teacher.frames)
    with pytest.raises(BadSettings, match=rf"method={name}: the student answers .* cells .*, the teacher "):
        make(name, Sides(sides.task, sides.student, other))


def test_methods_that_compare_boxes_refuse_maps_and_those_of_maps_refuse_boxes():
    features = SCENES.sides.student.features
    maps = Sides(MAPS.sides.task, *(replace(MAPS.sides.student, features=features),) * 2)
    for name in ("response", "gid"):
        with pytest.raises(BadSettings, match=rf"method={name}: compares the boxes"):
            make(name, maps)
    with pytest.raises(BadSettings, match=r"method=dilated: .* the student answers 5; it is for task=maps"):
        make("dilated", SCENES.sides)
