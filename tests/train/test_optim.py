"""The rate table, the groups of weights, and settings that cannot be."""

import itertools
import math

import pytest
from torch import nn

from shards.errors import BadSettings
from train.optim import Settings, optimizer, rate


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (0, 0.25),  # four steps of warm-up: the first already moves
        (3, 1.0),
        (4, 1.0),  # the cosine begins at the peak
        (4 + 15 / 2, 0.1 + 0.9 / 2),
        (19, 0.1),  # the last step has the floor
        (25, 0.1),
    ],
)
def test_the_rate_rises_linearly_then_falls_along_a_cosine(step, wanted):
    assert rate(Settings(lr=1.0, warmup=0.2, floor=0.1), step, 20) == pytest.approx(wanted)


def test_without_warmup_the_first_step_has_the_peak_and_one_step_alone_too():
    assert rate(Settings(lr=2.0, warmup=0.0), 0, 10) == 2.0
    assert rate(Settings(lr=2.0, warmup=0.0), 0, 1) == 2.0
    assert rate(Settings(lr=2.0, warmup=0.5), 0, 1) == 2.0


def test_the_rate_never_jumps():
    settings = Settings(lr=1.0, warmup=0.1, floor=0.0)
    rates = [rate(settings, step, 200) for step in range(200)]
    assert max(abs(a - b) for a, b in itertools.pairwise(rates)) <= 1 / 20 + 1e-12
    assert all(math.isfinite(r) and 0 <= r <= 1 for r in rates)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_matrices_decay_and_biases_and_norms_do_not(name):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    model[2].weight.requires_grad_(False)
    groups = optimizer(model, Settings(name=name, weight_decay=0.3)).param_groups
    assert [(g["weight_decay"], [p.ndim for p in g["params"]]) for g in groups] == [
        (0.3, [4]),
        (0.0, [1] * 4),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"lr": 0.0}, {"lr": math.inf}, {"lr": math.nan}, {"lr": -1.0}, {"warmup": 1.0}, {"warmup": -0.1},
        {"floor": 1.1}, {"momentum": 1.0}, {"weight_decay": -1e-4},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(bad):
    with pytest.raises(BadSettings, match=f"optim.{next(iter(bad))}"):
        Settings(**bad)
