"""Methods that compare feature maps: what each promises beside the contract, and the presets made of them."""

import types
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from distill import cells, maps, student
from distill.lesson import Lesson
from distill.methods import Sides, fgd
from distill.objective import Objective
from shards import config
from shards.errors import BadSettings
from tests.distill.worlds import CROPS, GRIDS, SCENES, N, World, make, numbers, shapes
from train.models import Output, yolo
from train.shapes import features_of

TAPS = {"taps": ["layer17"]}
D, GRID = 6, GRIDS[0]
ROWS = torch.tensor(
    [True, True, True, True, False, True]
)  # samples of the world that have a word to be found
LEVELS = {"layer17": (4, 8, 12), "layer20": (3, 4, 6), "layer23": (7, 2, 3)}
UNLIKE = World(Sides(SCENES.sides.task, shapes(126, 5, **LEVELS), SCENES.sides.teacher), GRIDS)


def compared(name: str, mine: Tensor, theirs: Tensor, mine_terms: Tensor | None = None, **settings) -> Tensor:
    """The loss [N] for features layer17 of both sides; the same terms of cells, where no others are given."""
    terms = SCENES.logits(1)
    output = replace(SCENES.output(terms if mine_terms is None else mine_terms), features={"layer17": mine})
    told = replace(SCENES.lesson(terms), features={"layer17": theirs})
    return make(name, SCENES.sides, **{**TAPS, **settings})(output, told)


def both(seed: int = 1) -> tuple[Tensor, Tensor]:
    return numbers(seed, N, D, *GRID), numbers(seed + 1, N, D, *GRID)


def masks() -> tuple[Tensor, Tensor]:
    """Cells of words, and cells without any, of the world's samples."""
    return maps.objects(SCENES.lesson(SCENES.logits(1)), GRID)


def test_d1_a_plain_hint_is_the_mean_squared_difference_of_each_sample():
    mine, theirs = both()
    method = make("hint", SCENES.sides, taps=["layer17"], standardise=False)
    with torch.no_grad():
        method.adapters[0].weight.copy_(torch.eye(D)[..., None])
        method.adapters[0].bias.zero_()
    output = replace(SCENES.output(SCENES.logits(1)), features={"layer17": mine})
    told = replace(SCENES.lesson(SCENES.logits(1)), features={"layer17": theirs})
    assert torch.allclose(method(output, told), (mine - theirs).square().mean((1, 2, 3)))


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


def test_d6_a_constant_added_to_a_channel_of_either_side_changes_nothing():
    mine, theirs = both()
    plain = compared("cwd", mine, theirs, text=0.0)
    shift = 5 * numbers(7, N, D, 1, 1)
    assert plain.min() > 0
    assert torch.allclose(compared("cwd", mine + shift, theirs - shift, text=0.0), plain, rtol=1e-4)
    assert compared("cwd", theirs + shift, theirs, text=0.0).abs().max() < 1e-5


def test_d6_is_the_divergence_over_positions_meant_over_channels():
    mine, theirs = both()
    p, q = ((side / 3).double().flatten(2).softmax(-1) for side in (theirs, mine))
    expected = 9 * (p * (p / q).log()).sum(-1).mean(-1)
    assert torch.allclose(
        compared("cwd", mine, theirs, temperature=3.0, text=0.0).double(), expected, rtol=1e-4
    )


def test_d6_text_maps_alone_need_no_features_and_do_not_see_a_shift_of_all_logits_of_a_level():
    method = make("cwd", SCENES.sides, taps=[])
    assert (method.needs, method.taps) == ({"cells"}, ())
    told, moved = SCENES.lesson(SCENES.logits(2)), SCENES.logits(2)
    moved[:, :96, 0] += 3
    assert method(SCENES.output(moved), told).abs().max() < 1e-5
    moved[:, 5, 0] += 3
    assert method(SCENES.output(moved), told).min() > 0
    assert make("cwd", SCENES.sides, text=0.0).needs == {"features"}
    with pytest.raises(BadSettings, match=r"method.cwd: taps is empty and text is 0"):
        make("cwd", SCENES.sides, taps=[], text=0.0)


def test_d7_a_words_cells_weigh_1_together_and_the_smaller_of_two_wins():
    told = torch.zeros(1, 2, 8, 12, dtype=torch.bool)
    told[0, 0, 1:3, 2:6], told[0, 1, 0:6, 4:10] = True, True
    found, outside = fgd.weights(told[:, :1], ~told[:, :1])
    assert float(found.sum()) == pytest.approx(1)
    assert float(outside.sum()) == pytest.approx(1)
    found, outside = fgd.weights(told, ~told.any(1, keepdim=True))
    assert torch.allclose(found[0, 0, 1:3, 2:6], torch.tensor(1 / 8))
    assert torch.allclose(found[0, 0, 3:6, 4:10], torch.tensor(1 / 36))
    assert not (found * outside).any()
    nothing = fgd.weights(torch.zeros_like(told), torch.zeros(1, 1, 8, 12, dtype=torch.bool))
    assert not any(weights.any() for weights in nothing)


def test_d7_attentions_have_a_mean_of_1_and_stand_where_the_map_is_large():
    feature = 0.1 * numbers(1, 2, D, *GRID)
    feature[:, 2] += 1.0
    feature[:, :, 3, 7] += 1.0
    places, channels = fgd.attention(feature, 0.5)
    assert torch.allclose(places.mean((1, 2, 3)), torch.ones(2))
    assert torch.allclose(channels.mean((1, 2, 3)), torch.ones(2))
    assert places.flatten(1).argmax(1).tolist() == [3 * 12 + 7] * 2
    assert channels.flatten(1).argmax(1).tolist() == [2] * 2


def test_d7_is_the_sum_of_its_terms_by_the_book():
    mine, theirs = both()
    only = dict.fromkeys(("words", "background", "attention", "context"), 0.0)
    (places, channels), (mine_at, mine_in) = (fgd.attention(side, 0.5) for side in (theirs, mine))
    told = SCENES.lesson(SCENES.logits(1))
    far = places * channels * (mine - theirs).square()
    for name, weights in zip(("words", "background"), fgd.weights(*maps.words(told, GRID)), strict=True):
        expected = 2.0 * (weights * far).sum((1, 2, 3))
        assert torch.allclose(compared("fgd", mine, theirs, **{**only, name: 2.0}), expected, rtol=1e-4)
    looks = (places - mine_at).abs().sum((1, 2, 3)) + (channels - mine_in).abs().sum((1, 2, 3))
    assert torch.allclose(compared("fgd", mine, theirs, **{**only, "attention": 1.0}), looks, rtol=1e-4)
    context = (mine - theirs).square().sum((1, 2, 3))  # an untrained block adds nothing
    assert torch.allclose(compared("fgd", mine, theirs, **{**only, "context": 1.0}), context, rtol=1e-4)


def test_d7_blocks_of_context_learn_and_add_the_same_to_every_position():
    method, output = make("fgd", SCENES.sides), SCENES.output(SCENES.logits(1))
    method(output, SCENES.lesson(SCENES.logits(2))).sum().backward()
    for side in (method.mine, method.theirs):
        assert side[0].out.weight.grad.abs().sum() > 0
    with torch.no_grad():
        method.mine[0].out.bias.fill_(2.0)
        feature = numbers(3, N, D, *GRID)
        assert torch.allclose(method.mine[0](feature), feature + 2, atol=1e-5)


def test_d9_is_one_less_pearson_and_blind_to_positive_affine_maps_of_a_channel():
    mine, theirs = both()
    plain = compared("pkd", mine, theirs)
    pairs = zip(mine.transpose(0, 1).flatten(1), theirs.transpose(0, 1).flatten(1), strict=True)
    rho = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean()
    assert float(plain.mean()) == pytest.approx(float(1 - rho), abs=1e-5)
    scale, offset = 0.1 + numbers(7, 1, D, 1, 1).abs(), 4 * numbers(8, 1, D, 1, 1)
    assert torch.allclose(compared("pkd", scale * mine + offset, theirs), plain, atol=1e-5)
    assert torch.allclose(compared("pkd", mine, scale * theirs - offset), plain, atol=1e-5)
    assert compared("pkd", scale * theirs + offset, theirs).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["difference", "defeat", "pfi", "pkd", "cwd", "fgd", "gid"])
def test_features_of_other_widths_go_through_adapters_that_learn(name):
    method = make(name, UNLIKE.sides)
    assert [tuple(a.weight.shape[:2]) for a in method.adapters] == [(6, 4), (5, 3), (4, 7)]
    output = UNLIKE.output(UNLIKE.logits(1))
    method(output, UNLIKE.lesson(UNLIKE.logits(2))).sum().backward()
    assert all(a.weight.grad.abs().sum() > 0 for a in method.adapters)
    assert all((a.bias is None) == (name in ("pkd", "cwd")) for a in method.adapters)  # blind to offsets
    assert not list(make(name, SCENES.sides).adapters.parameters())  # equal widths are compared as they are


@pytest.mark.parametrize("name", ["difference", "defeat", "fgd"])
def test_what_looks_where_words_stand_refuses_strings_and_sequences(name):
    with pytest.raises(BadSettings, match=rf"method={name}: looks where words stand"):
        make(name, CROPS.sides, taps=["conv5"])
    sequences = replace(CROPS.sides, task=SCENES.sides.task)
    with pytest.raises(BadSettings, match=rf"method.{name}.taps: rnn2 is a sequence \(24, 10\)"):
        make(name, sequences, taps=["rnn2"])


@pytest.mark.parametrize(
    "preset",
    ["ln_4maskdiff", "ln_4maskdiff_hint", "xn_maskdiff", "xn_maskdiff_pfi", "xn_maskdiff_pfi_hint"],
)
def test_the_presets_of_ocrdistill_teach_a_yolo_that_keeps_the_parameters_of_a_plain_one(preset):
    chosen = config.read(student.Settings, "student", [f"experiment={preset}"]).method
    task = SCENES.sides.task
    torch.manual_seed(0)
    small, large = (yolo.Model(yolo.Settings(size), task.image, 5) for size in ("p", "n"))
    sides = [shapes(126, 5, **features_of(model, task.image)) for model in (small, large)]
    objective = Objective(small, task, chosen, *sides)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer = large.eval()(images)
    batch: Any = types.SimpleNamespace(
        images=images, widths=None, targets=task.encode([SCENES.record(0), SCENES.record(4)]),
        valid=torch.ones(2, dtype=torch.bool), denominator=2.0,
    )  # fmt: skip
    features = {tap: answer.features[tap] for tap in objective.taps}
    terms = objective(Lesson(batch, torch.empty(0), features, cells=answer.logits))
    terms["loss"].backward()
    assert {*chosen} < {*terms}
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.methods.parameters())
    plain = yolo.Model(yolo.Settings("p"), task.image, 5)
    assert list(objective.model.state_dict()) == list(plain.state_dict())
