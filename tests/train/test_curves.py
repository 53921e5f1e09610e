"""Curves: what was logged is drawn, thinned without losing what matters."""

import re
from pathlib import Path

import pytest

from train import curves
from train.account import Account


def account(name: str, lines: list[dict]) -> Account:
    return Account(name, Path(name), {}, {}, "", lines, "", (), 0, None, {}, {})


def logged(steps: int, **values) -> list[dict]:
    return [{"global_step": step, **{key: of(step) for key, of in values.items()}} for step in range(steps)]


def points(chart: str) -> list[list[tuple[float, float]]]:
    """The lines of a chart, in pixels."""
    paths = re.findall(r'class="line"[^>]*d="M([^"]+)h0"', chart)
    return [[tuple(map(float, point.split())) for point in path.split("L")] for path in paths]  # type: ignore


def drawn(accounts: list[Account]) -> tuple[list[str], list[str]]:
    """The charts of all groups, and what is named as 0."""
    groups, zero = curves.draw(accounts)
    return [str(chart) for group in groups for chart in group.charts], zero


def above(step: int) -> float:
    return step + 1.0


STUDENT = {
    **dict.fromkeys(("train/loss", "train/task", "train/hard", "train/logits"), above),
    **dict.fromkeys(("train/grad/task", "train/grad/hard", "train/blank_rate"), above),
    **dict.fromkeys((quantity.key for quantity in curves.FIDELITY), above),
}


def test_terms_are_drawn_only_where_the_loss_has_several_and_in_one_chart_of_the_run():
    alone = account("a", logged(3, **{"train/loss": above, "train/task": above}))
    assert len(drawn([alone])[0]) == 1
    charts, _ = drawn([alone, account("b", logged(3, **STUDENT))])
    terms, pulls = (next(c for c in charts if title in c) for title in ("Loss by term", "Gradient norm by"))
    assert ": b</figcaption>" in terms
    assert re.findall("<bdi>(\\w+)</bdi>", terms) == ["task", "hard", "logits"]
    assert re.findall("<bdi>(\\w+)</bdi>", pulls) == ["task", "hard"]
    assert len(points(terms)) == 3
    assert sum("by term" in chart for chart in charts) == 2


def test_a_term_has_the_same_colour_in_the_charts_of_all_runs():
    other = {key: above for key in ("train/loss", "train/task", "train/zzz", "train/logits")}
    charts, _ = drawn([account("a", logged(3, **STUDENT)), account("b", logged(3, **other))])
    found = [
        dict(re.findall('--line:(#\\w+)"><bdi>(\\w+)<', chart)) for chart in charts if "by term" in chart
    ]
    colours = [{name: colour for colour, name in one.items()} for one in found]
    assert len({one["logits"] for one in colours if "logits" in one}) == 1
    assert len({one["task"] for one in colours}) == 1


def test_closeness_to_the_teacher_is_small_multiples_of_its_own():
    groups, _ = curves.draw([account("a", logged(3, **STUDENT)), account("b", logged(3, **STUDENT))])
    assert [(group.title, group.small, len(group.charts)) for group in groups] == [
        ("Loss", False, 5), ("Closeness to the teacher", True, 4), ("Course of the training", False, 1),
    ]  # fmt: skip
    assert all(len(points(chart)) == 2 for chart in groups[1].charts)


def test_a_run_keeps_its_colour_in_a_chart_where_others_have_nothing():
    a = account("a", logged(3, **{"train/loss": lambda step: step + 1}))
    b = account("b", logged(3, **{"train/loss": lambda step: step + 1, "train/lr": lambda step: step + 1}))
    charts, _ = drawn([a, b])
    colours = [re.findall(r'class="line" stroke="([^"]+)"', chart) for chart in charts]
    assert colours[1] == colours[0][1:]


def test_a_peak_of_the_gradient_survives_thinning_and_a_loss_is_averaged():
    peak = lambda step: 1000.0 if step == 777 else 1.0  # noqa: E731
    (loss, norm), _ = drawn([account("a", logged(4000, **{"train/loss": peak, "train/grad_norm": peak}))])
    highest = [min(y for line in points(chart) for _, y in line) for chart in (loss, norm)]
    assert highest == [pytest.approx(10 + 174 / 3, abs=1), 10]  # 100.9 and 1,000 below a top of 1,000
    for chart in (loss, norm):
        (line,) = points(chart)
        assert len(line) <= 400
        assert max(x for x, _ in line) == 430  # the last step is the right edge


def test_what_is_0_throughout_is_named_and_not_drawn_and_what_never_came_is_neither():
    charts, zero = drawn([account("a", logged(9, **{"ctc/nonfinite": lambda _: 0, "train/lr": lambda _: 1}))])
    assert len(charts) == 1
    assert zero == ["Steps skipped so far (gradient not finite)"]
    assert curves.draw([account("a", [])]) == ([], [])
    assert curves.draw([]) == ([], [])


def test_values_that_are_no_finite_numbers_are_left_out():
    values = [None, float("nan"), float("inf"), "x", True and 5.0, 7.0]
    lines = [{"global_step": step, "perf/images_per_s": value} for step, value in enumerate(values)]
    (chart,), _ = drawn([account("a", lines)])
    assert [len(line) for line in points(chart)] == [2]
