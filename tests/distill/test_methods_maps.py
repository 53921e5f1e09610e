"""Methods that compare feature maps: what each promises beside the contract, and the presets made of them."""

import types
from dataclasses import replace
from typing import Any

import pytest
import torch

from distill import maps, student
from distill.lesson import Lesson
from distill.methods import fgd, mgd
from distill.objective import Objective
from shards import config
from shards.errors import BadSettings
from tests.distill.worlds import GRID, SCENES, UNLIKE, D, N, both, compared, make, numbers, shapes
from train.models import yolo
from train.shapes import features_of


def test_d1_a_plain_hint_is_the_mean_squared_difference_of_each_sample():
    mine, theirs = both()
    method = make("hint", SCENES.sides, taps=["layer17"], standardise=False)
    with torch.no_grad():
        method.adapters[0].weight.copy_(torch.eye(D)[..., None])
        method.adapters[0].bias.zero_()
    output = replace(SCENES.output(SCENES.logits(1)), features={"layer17": mine})
    told = replace(SCENES.lesson(SCENES.logits(1)), features={"layer17": theirs})
    assert torch.allclose(method(output, told), (mine - theirs).square().mean((1, 2, 3)))


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


def test_d8_regenerates_the_teachers_map_from_what_is_left_of_the_students():
    mine, theirs = both()
    method, told = make("mgd", SCENES.sides, taps=["layer17"]), SCENES.lesson(SCENES.logits(1))
    mask = mgd.left(told.batch, 0, GRID, 0.65)
    with torch.no_grad():
        for layer in (method.blocks[0][0], method.blocks[0][2]):
            layer.bias.zero_()
            layer.weight.zero_()
            layer.weight[torch.arange(D), torch.arange(D), 1, 1] = 1.0  # what is left, where it is positive
    output = replace(SCENES.output(SCENES.logits(1)), features={"layer17": mine})
    expected = ((mask * mine).relu() - theirs).square().sum((1, 2, 3))
    assert torch.allclose(method(output, replace(told, features={"layer17": theirs})), expected, rtol=1e-5)


def test_d8_drops_positions_by_uid_view_epoch_and_tap_alone():
    batch = SCENES.lesson(SCENES.logits(1)).batch
    mask = mgd.left(batch, 0, (40, 60), 0.65)
    assert mask.shape == (N, 1, 40, 60)
    assert mask.unique().tolist() == [0.0, 1.0]
    assert torch.allclose(mask.mean((1, 2, 3)), torch.tensor(0.35), atol=0.03)
    rows = [4, 1]
    few = SCENES.lesson(SCENES.logits(1)[rows], rows).batch
    assert torch.equal(mgd.left(few, 0, (40, 60), 0.65), mask[rows])  # whoever else is in the batch
    few.epoch = 1
    for other in (mgd.left(few, 0, (40, 60), 0.65), mgd.left(batch, 1, (40, 60), 0.65)[rows]):
        assert 0.4 < (other == mask[rows]).float().mean() < 0.7  # .35^2 + .65^2 by chance
    assert mgd.left(batch, 0, GRID, 0.0).min() == 1


def test_d8_blocks_learn_and_see_the_neighbours_of_what_is_dropped():
    method, output = make("mgd", SCENES.sides), SCENES.output(SCENES.logits(1))
    told = SCENES.lesson(SCENES.logits(2))
    method(output, told).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in method.blocks.parameters())
    felt = output.features["layer17"].grad.abs().sum(1, keepdim=True) > 0
    assert torch.equal(felt.float(), mgd.left(told.batch, 0, GRID, 0.65))


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


@pytest.mark.parametrize("name", ["difference", "defeat", "pfi", "pkd", "cwd", "fgd", "gid", "mgd"])
def test_features_of_other_widths_go_through_adapters_that_learn(name):
    method = make(name, UNLIKE.sides)
    assert [tuple(a.weight.shape[:2]) for a in method.adapters] == [(6, 4), (5, 3), (4, 7)]
    output = UNLIKE.output(UNLIKE.logits(1))
    method(output, UNLIKE.lesson(UNLIKE.logits(2))).sum().backward()
    assert all(a.weight.grad.abs().sum() > 0 for a in method.adapters)
    assert all((a.bias is None) == (name in ("pkd", "cwd")) for a in method.adapters)  # blind to offsets
    assert not list(make(name, SCENES.sides).adapters.parameters())  # equal widths are compared as they are


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
