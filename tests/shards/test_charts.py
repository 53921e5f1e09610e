"""Charts: shares and counts are drawn true, and what cannot be drawn is left out."""

import re

import numpy as np
import pytest
from markupsafe import Markup

from shards import charts


def heights(chart: Markup) -> list[float]:
    path = re.search(r'class="area"[^>]*d="M([^"]+)"', chart)
    assert path
    return [float(point.split()[1]) for point in path[1].split("L")]


def test_a_histogram_shows_shares_in_equal_bins():
    chart = charts.histogram("t", {"a": np.array([1, 1, 1, 2])}, "x")
    ground, *tops, end = heights(chart)
    assert ground == end
    assert (ground - tops[0]) / (ground - tops[2]) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("values", [[5], [0.25, 0.25], [0], [-3, -3], [1e-9, 2e-9], [0, 1e9]])
def test_a_histogram_of_next_to_nothing_is_drawn(values):
    chart = charts.histogram("t", {"a": np.array(values), "none": np.array([])})
    assert "nan" not in chart
    assert chart.count('class="area"') == 1


def test_a_histogram_counts_every_value_once_with_the_tail_in_its_last_bin():
    values = np.concatenate([np.arange(200) % 10, [5000]])
    chart = charts.histogram("t", {"a": values})
    assert "and more" in chart
    ground, *tops, _ = heights(chart)
    share = max(map(int, re.findall(r">(\d+) %<", chart))) / 100 / (ground - charts.TOP)  # of a pixel
    assert sum((ground - top) * share for top in tops[::2]) == pytest.approx(1, abs=0.02)


def test_lines_leave_out_what_cannot_be_drawn():
    chart = charts.lines("t", {"a": ([0, 1, 2, 3], [1.0, float("nan"), 0.0, 10.0])}, log=True)
    path = re.search(r'd="M([^"]+)h0"', chart)
    assert path
    assert len(path[1].split("L")) == 2
    assert "nothing to draw" in charts.lines("t", {"a": ([0], [0.0])}, log=True)
    assert "nothing to draw" in charts.lines("t", {})


def test_a_long_line_is_thinned_and_keeps_its_end():
    chart = charts.lines("t", {"a": (range(100_000), range(100_000))})
    path = re.search(r'd="M([^"]+)h0"', chart)
    assert path
    points = path[1].split("L")
    assert len(points) == charts.POINTS
    assert float(points[-1].split()[0]) == charts.WIDTH - charts.RIGHT
