"""Every strategy: what it proposes, and that it proposes the same again."""

import math

import pytest

from shards import lookup
from shards.config import build
from shards.errors import BadSettings
from train.searching.axes import Choice, Log, Uniform, Whole
from train.strategies import Seen, grid, tpe

NAMES = lookup.members("train.strategies")
LISTS = {"method": Choice(("none", "logits")), "batch": Choice(("8", "16", "32"))}


def make(name: str, axes, **settings):
    module = lookup.find("train.strategies", name)
    known = {k: v for k, v in settings.items() if k in module.Settings.__dataclass_fields__}
    return module.Strategy(build(module.Settings, known), axes)


def walk(strategy, score=lambda point: None, size: int = 0) -> list[dict]:
    points: list[dict] = []
    for number in range(size or strategy.size):
        point = strategy.point(number, [Seen(p, score(p)) for p in points])
        if point is None:
            break
        points.append(point)
    return points


def loss(point) -> float:
    """Best at x = 1e-3, in the middle of its range, with `b`."""
    return -abs(math.log10(float(point["x"])) + 3) - (point["kind"] != "b")


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_uses_up_a_finite_space_and_repeats_nothing(name):
    points = walk(make(name, LISTS, trials=100), lambda point: float(point["batch"]), size=100)
    assert len(points) == 6
    assert sorted(map(str, points)) == sorted(map(str, walk(grid.Strategy(grid.Settings(), LISTS))))


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_proposes_the_one_point_of_no_axes(name):
    assert walk(make(name, {})) == [{}]


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"grid"}))
def test_draws_depend_on_the_seed_alone_and_longer_ones_begin_alike(name):
    axes = {"x": Log(1e-5, 1e-1), "kind": Choice(("a", "b")), "n": Whole(1, 9), "u": Uniform(0, 1)}
    short, long = (walk(make(name, axes, trials=n, startup=4), lambda p: float(p["u"])) for n in (6, 9))
    other = walk(make(name, axes, trials=9, search_seed=1), lambda p: float(p["u"]))
    assert long[:6] == short
    assert long != other
    assert len({str(point) for point in long}) == 9


def test_a_grid_refuses_ranges_and_says_what_takes_them():
    with pytest.raises(
        BadSettings, match=r"x is a range, and a grid needs values, as in x=1,10; strategy=ra"
    ):
        grid.Strategy(grid.Settings(), {"x": Log(1, 100)})


def test_the_estimator_comes_nearer_than_blind_draws():
    axes = {"x": Log(1e-6, 1), "kind": Choice(("a", "b", "c"))}
    guided = walk(make("tpe", axes, trials=30, startup=8), loss)
    blind = walk(make("random", axes, trials=30))
    late = [sum(map(loss, points[15:])) / 15 for points in (guided, blind)]
    assert late[0] > late[1] + 0.5
    assert max(map(loss, guided)) > -0.2


def test_points_without_a_score_do_not_count_as_known():
    axes = {"x": Log(1e-6, 1)}
    strategy = make("tpe", axes, trials=9, startup=2)
    failed = [Seen({"x": "0.1"}), Seen({"x": "0.2"}), Seen({"x": "0.3"})]
    assert strategy.point(3, failed) == make("random", axes, trials=9).point(3, failed)


def test_without_optuna_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(BadSettings, match=r"pip install 'ocr-distillery\[sweep\]'"):
        tpe.Strategy(tpe.Settings(), {})


@pytest.mark.parametrize("settings", [{"trials": 0}, {"search_seed": -1}])
def test_numbers_that_cannot_be_are_refused(settings):
    with pytest.raises(BadSettings, match="must be"):
        make("random", LISTS, **settings)
