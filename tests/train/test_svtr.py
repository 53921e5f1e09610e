"""svtr: what its blocks see, where positions come from, and which samples pass a block by."""

import pytest
import torch

from shards.image import ImageSpec
from train.models import svtr
from train.models.svtr import REACH, Block, DropPath, Global, Local


def small(**changed):
    torch.manual_seed(0)
    sizes = {"channels": [8, 16, 24], "blocks": [1, 2, 1], "local": 2, "head_width": 8, **changed}
    return svtr.Model(svtr.Settings(**sizes), ImageSpec(), 11)


def seen(mixing):
    """[h,w] of a map of 7 x 9: which positions the middle one reads."""
    values = torch.randn(1, 7, 9, 8, requires_grad=True)
    mixing(values)[0, 3, 4].square().sum().backward()
    return values.grad[0].abs().sum(-1) > 0


def test_a_local_block_looks_at_its_neighbours_and_a_global_one_at_everything():
    near = torch.zeros(7, 9, dtype=torch.bool)
    near[3 - REACH // 2 : 4 + REACH // 2, 4 - REACH // 2 : 5 + REACH // 2] = True
    assert torch.equal(seen(Local(8, 2)), near)
    assert seen(Global(8, 2)).all()


def test_channels_of_different_heads_and_groups_do_not_mix_in_space():
    local = Local(8, 2)
    values = torch.randn(1, 7, 9, 8, requires_grad=True)
    local(values)[..., :4].square().sum().backward()
    assert values.grad[..., :4].any()
    assert not values.grad[..., 4:].any()


def test_attention_is_that_of_the_formula():
    torch.manual_seed(0)
    attention, values = Global(8, 2), torch.randn(2, 3, 5, 8)
    queries, keys, told = attention.enter(values.view(2, 15, 8)).chunk(3, -1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = (queries[..., part] @ keys[..., part].mT / 4**0.5).softmax(-1)
        heads.append(weights @ told[..., part])
    wanted = attention.leave(torch.cat(heads, -1)).view(2, 3, 5, 8)
    assert torch.allclose(attention(values), wanted, atol=1e-6)


@pytest.mark.parametrize(("local", "kinds"), [(0, "GGGG"), (2, "LLGG"), (4, "LLLL")])
def test_the_first_blocks_mix_neighbours_and_the_others_everything(local, kinds):
    found = [m.mixing for m in small(local=local).modules() if isinstance(m, Block)]
    assert "".join(type(mixing).__name__[0] for mixing in found) == kinds


def test_the_height_is_halved_between_stages_and_the_width_is_not():
    features = small().eval()(torch.randn(2, 1, 32, 104)).features
    shapes = {name: tuple(feature.shape[1:]) for name, feature in features.items()}
    assert shapes == {
        "stem": (8, 8, 26), "stage1": (8, 8, 26), "stage2": (16, 4, 26), "stage3": (24, 2, 26),
        "sequence": (26, 24),
    }  # fmt: skip


def test_a_column_knows_where_it_is_without_a_table_of_positions():
    model = small().double().eval()
    with torch.inference_mode():
        logits = model(torch.ones(1, 1, 32, 200, dtype=torch.float64)).logits[0]
    assert not torch.allclose(logits[0], logits[25])
    assert not [name for name, value in model.named_parameters() if 25 in value.shape or 50 in value.shape]


def test_dropped_paths_rise_with_depth_and_are_whole_samples():
    shares = [m.drop.p for m in small(drop_path=0.3).modules() if isinstance(m, Block)]
    assert shares == pytest.approx([0.0, 0.1, 0.2, 0.3])
    torch.manual_seed(0)
    drop, values = DropPath(0.25), torch.ones(4000, 2, 3, 4)
    kept = drop(values).flatten(1)
    assert (kept == kept[:, :1]).all()
    assert kept.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert kept.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(values), values)


def test_the_same_seed_drops_the_same_paths():
    model, images = small(drop_path=0.5), torch.randn(8, 1, 32, 64)
    answers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        answers.append(model(images).logits)
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_answers_in_bf16_are_those_in_fp32_within_its_precision():
    model, images = small().eval(), torch.randn(4, 1, 32, 100)
    with torch.inference_mode():
        wanted = model(images).logits.softmax(-1)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(images).logits.float().softmax(-1)
    assert (found - wanted).abs().max() < 0.02
