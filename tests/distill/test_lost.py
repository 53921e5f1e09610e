import math

import pytest
import torch

from distill.lost import BINS, LEAST, Lost, add, figures, lost


def probabilities(*rows):
    return torch.tensor([rows]).log()


def test_nats_are_the_divergence_of_each_step_summed():
    p, q = probabilities([0.5, 0.5], [1.0, 0.0]), probabilities([0.25, 0.75], [1.0, 1e-30])
    found = lost(p, q)
    assert (found.samples, found.steps, found.spoken) == (1, 2, 0)
    assert found.kl == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2, abs=1e-6)


def test_steps_that_speak_are_counted_apart():
    p, q = probabilities([0.1, 0.9], [0.9, 0.1]), probabilities([0.2, 0.8], [0.9, 0.1])
    found = lost(p, q)
    assert found.spoken == 1
    assert found.kl_spoken == pytest.approx(2 * found.kl)
    assert found.changed == 0


@pytest.mark.parametrize(
    ("told", "changed"),
    [([2, 2, 0, 1], 0), ([2, 0, 0, 1], 0), ([2, 0, 2, 1], 1), ([2, 2, 0, 0], 1), ([1, 2, 0, 1], 1)],
)
def test_only_what_reads_otherwise_is_changed(told, changed):
    teacher, record = (
        torch.nn.functional.one_hot(torch.tensor([path]), 3).float().log_softmax(-1)
        for path in ([2, 2, 0, 1], told)
    )
    assert lost(teacher, record).changed == changed


def test_a_class_that_a_record_calls_impossible_costs_everything_and_an_excluded_one_nothing():
    p = probabilities([0.5, 0.5, 0.0])
    assert lost(p, probabilities([1.0, 0.0, 0.0])).nats == math.inf
    assert lost(p, probabilities([0.5, 0.25, 0.25])).nats == pytest.approx(0.5 * math.log(2), abs=1e-6)
    assert lost(p, p).nats == 0
    assert math.isnan(lost(p, torch.full_like(p, math.nan)).nats)


def test_99_of_100_steps_stay_below_p99():
    spread = torch.linspace(1e-4, 0.4, 1000)
    p = torch.tensor([0.5, 0.5]).log().expand(1, 1000, 2)
    q = torch.stack([0.5 + spread, 0.5 - spread], -1).log()[None]
    found, nats = lost(p, q), (p.exp() * (p - q)).sum(-1).flatten().sort().values
    assert nats[989] <= found.p99 <= nats[989] * 10 ** (1 / 20) * 1.001
    assert sum(found.histogram) == 1000
    assert lost(p, p).p99 == pytest.approx(LEAST * 10 ** (1 / 20))
    assert lost(p[:, :1], probabilities([1.0, 0.0])).histogram[BINS - 1] == 1


def test_parts_add_up_in_any_order_and_survive_a_mark():
    p = torch.randn(8, 5, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    q = torch.randn(8, 5, 4, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    whole, parts = lost(p, q), {}
    for at in (3, 1, 0, 2):
        add(parts, {"frames": lost(p[2 * at : 2 * at + 2], q[2 * at : 2 * at + 2])})
    found = Lost(**parts["frames"].told())
    assert found.nats == pytest.approx(whole.nats)
    assert {**found.told(), "nats": 0, "nats_spoken": 0} == {**whole.told(), "nats": 0, "nats_spoken": 0}
    told = figures({"frames": whole, "occupancy": whole})
    assert told == {**whole.figures(), "occupancy": whole.figures()}


def test_nothing_loses_nothing():
    empty = lost(torch.empty(0, 5, 4), torch.empty(0, 5, 4))
    assert (empty.kl, empty.kl_spoken, empty.changed, sum(empty.histogram)) == (0, 0, 0, 0)
    assert Lost().kl == 0


def test_what_would_do_counts_what_was_lost_beyond_its_price():
    found = Lost(steps=10, nats=5.0, prices=[math.inf, 5.0, 3.0, 1.0])
    assert [found.would_do(2, limit) for limit in (0.5, 0.3, 0.29, 0.1, 0.09)] == [2, 3, 4, 4, None]
    dearer = Lost(steps=10, nats=6.0, prices=[math.inf, 5.0, 3.0, 1.0])
    assert [dearer.would_do(2, limit) for limit in (0.5, 0.3, 0.1)] == [3, 4, None]
