"""Points, estimates and cells: they stand where their values say, and any text is only text."""

import re

import numpy as np
import pytest

from shards import charts, marks
from shards.marks import Estimate
from shards.page import visible


def circles(chart: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', chart)]


def test_points_of_equal_ratio_are_equally_far_apart_on_a_logarithmic_axis():
    points = {str(x): Estimate(x, 50, 40, 60) for x in (1000, 10_000, 100_000)}
    (a, y), (b, _), (c, _) = circles(marks.scatter("t", points))
    assert b - a == pytest.approx(c - b, abs=0.2)
    assert charts.LEFT < a < c < charts.WIDTH - charts.RIGHT
    assert y == pytest.approx(charts.TOP + (charts.HEIGHT - charts.TOP - charts.BOTTOM) / 2, abs=0.1)


@pytest.mark.parametrize("xs", [[5], [5, 5], [0, 3], [-1, 1], [1e-9, 1e9], [23_437, 23_438]])
def test_any_points_are_drawn(xs):
    chart = marks.scatter("t", {str(i): Estimate(x, 0, 0, 0) for i, x in enumerate(xs)})
    assert len(circles(chart)) == len(xs)
    assert "nan" not in chart
    assert re.search(r'text-anchor="middle">[-\d.,e]+<', chart)


def test_an_estimate_has_its_interval_and_a_bar_for_what_stands_behind_it():
    chart = marks.estimates("t", {"a": [Estimate(3, 50, 25, 100)]}, counts={3.0: 10}, most=100)
    x, low, high = map(float, re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)"', chart)[0])
    ((cx, cy),) = circles(chart)
    assert x == cx
    assert (high, low) == (charts.TOP, pytest.approx(charts.HEIGHT - charts.BOTTOM - 0.25 * 174, abs=0.1))
    assert cy == pytest.approx((charts.TOP + charts.HEIGHT - charts.BOTTOM) / 2, abs=0.1)
    assert "<title>3: 10</title>" in chart


def test_estimates_of_several_names_stand_beside_each_other():
    one = [Estimate(k, 10, 0, 20) for k in (1, 2)]
    xs = [x for x, _ in circles(marks.estimates("t", {"a": one, "b": one, "c": one}))]
    assert len(set(xs)) == 6
    assert xs[2] - xs[0] == pytest.approx(marks.APART)


def test_cells_are_where_they_belong_and_stronger_the_larger_the_share():
    shares = np.array([[0, 0.5], [0.125, 0]])
    chart = marks.cells("t", ["a", "b"], shares, notes={(0, 1): "a as b"})
    found = re.findall(r'<rect x="(\d+)" y="(\d+)"[^>]*fill-opacity="([\d.]+)">(.*?)</rect>', chart)
    left, top, side = marks.CELLS_LEFT, marks.CELLS_TOP, marks.CELL
    assert [(int(x), int(y)) for x, y, *_ in found] == [(left + side, top), (left, top + side)]
    assert [float(strength) for *_, strength, _ in found] == [1.0, 0.54]
    assert [note for *_, note in found] == ["<title>a as b</title>", ""]


def test_nothing_is_drawn_of_nothing():
    for chart in (marks.scatter("t", {}), marks.estimates("t", {"a": []}), marks.estimates("t", {})):
        assert "nothing to draw" in chart
    assert "<rect" not in marks.cells("t", [], np.zeros((0, 0)))
    assert "<rect" not in marks.cells("t", ["a"], np.zeros((1, 1)))


def test_text_in_marks_is_escaped():
    evil = "<i>"
    one = Estimate(1, 1, 1, 1, evil)
    drawn = [
        marks.scatter(evil, {evil: one}, evil),
        marks.estimates(evil, {evil: [one]}, evil),
        marks.cells(evil, [evil], np.ones((1, 1)), evil, {(0, 0): evil}),
    ]
    assert all(evil not in chart and "&lt;i&gt;" in chart for chart in drawn)


def test_marked_characters_stand_out_in_one_isolated_text():
    assert visible("abcd", {1, 2}) == '<bdi dir="auto">a<mark>bc</mark>d</bdi>'
    assert visible("<", {0}) == '<bdi dir="auto"><mark>&lt;</mark></bdi>'
    assert '<mark><span class="unseen"' in visible("a\u200b", {1})
    assert visible("ab") == '<bdi dir="auto">ab</bdi>'
