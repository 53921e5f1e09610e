"""One optimiser step on a double: clipping, averaging, accumulation, and gradients that are not finite."""

import math
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from shards.config import Choice
from train.optim import Optimizing
from train.optimizers import sgd
from train.schedules import constant
from train.update import Update


def plain(**more) -> Optimizing:
    """Plain descent at a rate of .1."""
    settings = sgd.Settings(lr=0.1, weight_decay=0.0, momentum=0.0, **more)
    return Optimizing(Choice("sgd", settings), Choice("constant", constant.Settings()))


class Double(nn.Module):
    """A step whose loss is the sum of (w . x) over its samples, and whose buffer counts its calls."""

    def __init__(self):
        super().__init__()
        self.model = nn.Linear(2, 1, bias=False)
        self.model.register_buffer("calls", torch.zeros(()))
        with torch.no_grad():
            self.model.weight.copy_(torch.tensor([[1.0, 2.0]]))

    def forward(self, batch):
        self.model.calls += 1
        return {"loss": self.model(batch.x).sum(), "other": batch.x.sum()}


def batch(*rows):
    return SimpleNamespace(x=torch.tensor(rows))


def update(forget, accumulation=1, **more) -> Update:
    forget()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
    return Update(accelerator, Double(), lambda b: b, plain(), steps=100, **more)


def nothing():
    return {}


def test_a_step_moves_against_the_gradient_and_tells_its_terms(forget_accelerate):
    one = update(forget_accelerate)
    moved = one([batch([3.0, 4.0])], 0, lambda: {"damaged": 2})
    assert one.model.weight.tolist() == [[pytest.approx(0.7), pytest.approx(1.6)]]
    assert moved.terms == {"loss": 11.0, "other": 7.0, "lr": 0.1, "grad_norm": 5.0}
    assert moved.finite
    assert moved.sums == {"damaged": 2.0}


def test_a_gradient_longer_than_clip_is_shortened_to_it(forget_accelerate):
    one = update(forget_accelerate, clip=1.0)
    assert one([batch([3.0, 4.0])], 0, nothing).terms["grad_norm"] == 5.0
    assert one.model.weight.tolist() == [
        [pytest.approx(1 - 0.06, abs=1e-5), pytest.approx(2 - 0.08, abs=1e-5)]
    ]


def test_micro_batches_add_up_to_their_whole(forget_accelerate):
    rows = [[1.0, 0.0], [0.0, 2.0], [3.0, 1.0], [0.5, 0.5]]
    whole = update(forget_accelerate)
    terms = [whole([batch(*rows)], step, nothing).terms for step in range(3)]
    parts = update(forget_accelerate, accumulation=2)
    for step in range(3):
        found = parts([batch(*rows[:2]), batch(*rows[2:])], step, nothing).terms
        assert found == pytest.approx(terms[step], abs=1e-5)
    assert torch.allclose(whole.model.weight, parts.model.weight)


def test_the_average_is_what_a_hand_computes(forget_accelerate):
    one, wanted = update(forget_accelerate, ema=0.5), torch.tensor([[1.0, 2.0]])
    assert one.judged is one.average
    for step in range(12):
        one([batch([1.0, -1.0])], step, nothing)
        decay = min(0.5, (1 + step) / (10 + step))  # 0.1, 0.18, ... and 0.5 from step 8 on
        wanted = decay * wanted + (1 - decay) * one.model.weight.detach()
    assert torch.allclose(one.average.weight, wanted, atol=1e-6)
    assert float(one.average.calls) == 12
    assert not any(p.requires_grad for p in one.average.parameters())


def test_without_an_average_the_model_itself_is_judged(forget_accelerate):
    one = update(forget_accelerate)
    assert one.judged is one.model


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_leaves_no_trace(forget_accelerate, value):
    one = update(forget_accelerate, ema=0.9, clip=1.0)
    one([batch([1.0, 1.0])], 0, nothing)
    before = [t.clone() for t in (*one.model.state_dict().values(), *one.average.state_dict().values())]
    assert not one([batch([value, 1.0])], 1, nothing).finite
    after = [*one.model.state_dict().values(), *one.average.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert one([batch([1.0, 1.0])], 2, nothing).finite
