"""Methods that look where words stand and where answers differ: what each promises beside the contract."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distill import cells, maps
from shards.errors import BadSettings
from tests.distill.worlds import CROPS, GRID, GRIDS, LEVELS, MAPS, SCENES, D, N, both, compared, make
from train.models import Output

# samples of the world that have a word to be found
ROWS = torch.tensor([True, True, True, True, False, True])


def masks() -> tuple[Tensor, Tensor]:
    """Cells of words, and cells without any, of the world's samples."""
    return maps.objects(SCENES.lesson(SCENES.logits(1)), GRID)


def test_d2_is_the_squared_difference_inside_words_over_twice_their_cells():
    mine, theirs = both()
    mask, _ = masks()
    expected = (mask * (mine - theirs).square()).sum((1, 2, 3)) / (2 * mask.sum((1, 2, 3))).clamp(min=1)
    found = compared("difference", mine, theirs)
    assert torch.allclose(found, expected, rtol=1e-5)
    assert (found > 0).equal(ROWS)


def test_d2_sees_exactly_the_cells_of_words_and_a_picture_without_words_costs_nothing():
    mine = torch.zeros(N, D, *GRID, requires_grad=True)
    compared("difference", mine, torch.ones(N, D, *GRID)).sum().backward()
    felt = {(int(y), int(x)) for y, x in mine.grad[5, 0].nonzero()}  # a word at x 38..68, y 29..39
    assert felt == {(y, x) for y in (3, 4) for x in (4, 5, 6, 7, 8)}
    assert not mine.grad[4].any()


def test_d2_levels_are_added():
    output, told = SCENES.output(SCENES.logits(1)), SCENES.lesson(SCENES.logits(2))
    alone = [make("difference", SCENES.sides, taps=[tap])(output, told) for tap in LEVELS]
    assert torch.allclose(make("difference", SCENES.sides)(output, told), sum(alone), rtol=1e-5)


def test_d3_weighs_words_and_background_each_over_its_own_area():
    mine, theirs = both()
    far, expected = (mine - theirs).square(), torch.zeros(N)
    for weight, mask in zip((3.0, 12.0), masks(), strict=True):
        area = mask.expand_as(far).sum((1, 2, 3))
        expected += weight * (mask * far).sum((1, 2, 3)) / (2 * area).clamp(min=1)
    assert torch.allclose(compared("defeat", mine, theirs), expected, rtol=1e-5)
    inside = compared("defeat", mine, theirs, background=0.0)
    assert (inside > 0).equal(ROWS)


def test_d3_scores_are_compared_inside_and_outside_and_ask_for_cells_only_then():
    mine, _ = both()
    terms, other = SCENES.logits(1), SCENES.logits(1)
    told = SCENES.lesson(terms)
    each = [maps.objects(told, grid) for grid in GRIDS]
    inside, outside = (torch.cat([m[k].flatten(1) for m in each], 1) for k in (0, 1))
    other[..., 0] += (1 - inside - outside) * 3  # where a word is not judged, nothing is said
    assert compared("defeat", mine, mine, other).abs().max() < 1e-6
    other[..., 0] += inside
    far = cells.binary_kl(terms[..., 0], other[..., 0])
    expected = 2.0 * (inside * far).sum(1) / inside.sum(1).clamp(min=1)
    assert torch.allclose(compared("defeat", mine, mine, other), expected, atol=1e-5)
    assert make("defeat", SCENES.sides).needs == {"features", "cells"}
    assert make("defeat", SCENES.sides, head=0.0).needs == {"features"}


def answers(teacher: Tensor, student: Tensor, **settings) -> tuple[Tensor, Output]:
    """pfi of terms [N,L,C], the features being unlike."""
    output = replace(SCENES.output(student), logits=student)
    return make("pfi", SCENES.sides, **settings)(output, SCENES.lesson(teacher)), output


def test_d5_is_zero_where_answers_agree_even_if_features_differ_and_no_gradient_reaches_the_answers():
    teacher = SCENES.logits(2)
    assert answers(teacher, teacher.clone())[0].tolist() == [0.0] * N
    found, output = answers(teacher, SCENES.logits(1).requires_grad_())
    assert found.min() > 0
    found.sum().backward()
    assert output.logits.grad is None
    assert output.features["layer17"].grad.abs().sum() > 0


@pytest.mark.parametrize("inside", [False, True])
def test_d5_is_the_mean_square_of_both_differences_over_the_cells_that_count(inside):
    teacher, said = SCENES.logits(2), SCENES.logits(1)
    found, output = answers(teacher, said, inside=inside)
    told, expected = SCENES.lesson(teacher), torch.zeros(N)
    wrong = (teacher[..., 0].sigmoid() - said[..., 0].sigmoid()).square().split([96, 24, 6], 1)
    for (name, mine), answer, grid in zip(output.features.items(), wrong, GRIDS, strict=True):
        far = (told.features[name] - mine).square().mean(1).flatten(1)
        mask = maps.objects(told, grid)[0].flatten(1) if inside else torch.ones_like(far)
        expected += (mask * (answer * far).square()).sum(1) / mask.sum(1).clamp(min=1)
    assert torch.allclose(found, expected, rtol=1e-4)


def test_d5_taps_that_are_not_the_grids_of_the_cells_are_refused():
    for taps in (["layer17"], ["layer23", "layer20", "layer17"]):
        with pytest.raises(BadSettings, match=rf"pfi.taps: {taps[0]}.* not the grids of its 126 cells"):
            make("pfi", SCENES.sides, taps=taps)


@pytest.mark.parametrize("name", ["difference", "defeat", "fgd"])
def test_what_looks_where_words_stand_refuses_strings_and_sequences(name):
    with pytest.raises(BadSettings, match=rf"method={name}: looks where words stand"):
        make(name, CROPS.sides, taps=["conv5"])
    sequences = replace(CROPS.sides, task=SCENES.sides.task)
    with pytest.raises(BadSettings, match=rf"method.{name}.taps: rnn2 is a sequence \(24, 10\)"):
        make(name, sequences, taps=["rnn2"])


def ranked(teacher: Tensor, student: Tensor, **settings) -> Tensor:
    """rm of terms [N,L,C]."""
    return make("rm", SCENES.sides, **settings)(SCENES.output(student), SCENES.lesson(teacher))


def test_d5_ranks_are_the_mean_over_words_of_the_divergence_over_their_cells():
    teacher, student = SCENES.logits(2), SCENES.logits(1)
    found, expected = ranked(teacher, student, temperature=2.0), torch.zeros(N, dtype=torch.float64)
    for n in range(N):
        each = []
        for word in SCENES.record(n).words:
            (left, top), (right, bottom) = word.polygon[0], word.polygon[2]
            inside = [
                y * w + x + sum(a * b for a, b in GRIDS[:level])
                for level, (h, w) in enumerate(GRIDS) for y in range(h) for x in range(w)
                if left <= (x + 0.5) * 96 / w <= right and top <= (y + 0.5) * 64 / h <= bottom
            ]  # fmt: skip
            if word.legible and len(inside) > 1:
                p, q = ((side[n, inside, 0] / 2).double().softmax(0) for side in (teacher, student))
                each.append(4 * (p * (p / q).log()).sum())
        expected[n] = sum(each) / max(len(each), 1)
    assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-6)
    assert found[4] == 0  # a picture without words


def test_d5_ranks_do_not_see_how_sure_all_cells_are_nor_what_is_outside_of_words():
    teacher, student = SCENES.logits(2), SCENES.logits(1)
    plain = ranked(teacher, student)
    moved = student.clone()
    moved[..., 0] += 3
    assert torch.allclose(ranked(teacher, moved), plain, atol=1e-4)
    inside = make("rm", SCENES.sides).inside(SCENES.output(student), SCENES.lesson(teacher)).any(1)
    moved = torch.where(inside[..., None], student, -student)
    assert torch.allclose(ranked(teacher, moved), plain, rtol=1e-5)


def test_d5_ranks_are_of_tasks_whose_cells_answer_boxes():
    with pytest.raises(BadSettings, match="method=rm: compares the boxes that cells answer"):
        make("rm", MAPS.sides)
