"""The groups of weights, parts that move slower or not at all, and settings that cannot be."""

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from shards import lookup
from shards.config import Choice
from shards.errors import BadSettings
from train.optim import Optimizing
from train.schedules import constant

NAMES = lookup.members("train.optimizers")


def member(name):
    return lookup.find("train.optimizers", name)


def chosen(name="adamw", **more) -> Optimizing:
    settings = member(name).Settings(**more)
    return Optimizing(Choice(name, settings), Choice("constant", constant.Settings()))


@pytest.fixture
def model():
    torch.manual_seed(0)
    parts = [
        ("cnn", nn.Conv2d(1, 2, 3)),
        ("norm", nn.BatchNorm2d(2)),
        ("act", nn.ReLU()),
        ("dense", nn.Linear(2, 2)),
    ]
    return nn.Sequential(OrderedDict(parts))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_goes_downhill_and_takes_the_rate_it_is_given(name):
    torch.manual_seed(0)
    layer = nn.Linear(4, 1)
    x, y = torch.randn(64, 4), torch.randn(64, 1)
    optimizer = chosen(name, weight_decay=0.0).optimizer(layer)
    losses, before = [], layer.weight.detach().clone()
    for _ in range(30):
        loss = (layer(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]
    assert not torch.equal(layer.weight, before)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    still = layer.weight.detach().clone()
    optimizer.step()
    assert torch.equal(layer.weight, still)


@pytest.mark.parametrize("name", NAMES)
def test_matrices_decay_and_biases_and_norms_do_not(name, model):
    model.dense.weight.requires_grad_(False)
    groups = chosen(name, weight_decay=0.3).optimizer(model).param_groups
    assert [(g["weight_decay"], [p.ndim for p in g["params"]]) for g in groups] == [
        (0.3, [4]),
        (0.0, [1] * 4),
    ]


def test_parts_move_at_their_share_of_the_rate_and_frozen_ones_not_at_all(model):
    optimizing = chosen("sgd", parts=["cnn:0", "dense:.1"])
    groups = optimizing.optimizer(model).param_groups
    assert [(g["share"], len(g["params"])) for g in groups] == [(1.0, 2), (0.1, 1), (0.1, 1)]
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["cnn.weight", "cnn.bias"]
    assert optimizing.frozen(model) == []
    assert chosen("sgd", parts=["norm:0"]).frozen(model) == [model.norm]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (["cmn:.1"], "did you mean 'cnn'"),
        (["cnn"], "'cnn' is not PART:SHARE"),
        (["cnn:-1"], "not PART:SHARE"),
        (["cnn:much"], "not PART:SHARE"),
        (["cnn:0", "cnn:.1"], "a part is given twice"),
        (["act:.1"], "act has no weights"),
        (["cnn:0", "norm:0", "dense:0"], "freezes all there is"),
    ],
)
def test_parts_that_cannot_be_are_refused(model, parts, says):
    with pytest.raises(BadSettings, match=says):
        chosen(parts=parts).optimizer(model)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("adamw", {"lr": 0.0}), ("adamw", {"lr": math.inf}), ("sgd", {"lr": math.nan}),
        ("adam", {"lr": -1.0}),
        ("adamw", {"beta1": 1.0}), ("adam", {"beta2": -0.1}), ("sgd", {"momentum": 1.0}),
        ("rmsprop", {"memory": 1.0}), ("adadelta", {"memory": math.nan}), ("adamw", {"weight_decay": -1e-4}),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(name, bad):
    with pytest.raises(BadSettings, match=f"optim.{next(iter(bad))}"):
        member(name).Settings(**bad)
