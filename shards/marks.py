"""Charts of single values as inline SVG: points with intervals, estimates along an axis, and cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from shards import charts
from shards.charts import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Axes
from shards.page import spelled

RADIUS = 4  # of a point, pixels
APART = 3  # pixels between the estimates of several names for one x
PAD = 1.35  # factor around the points on a logarithmic axis
LOG_TICKS = 8  # at most; then only powers of ten
COUNTED = 0.3  # of the chart's height: the highest of the bars that tell how much stands behind an estimate
CELL = 17  # pixels of a cell's side
CELLS_LEFT, CELLS_TOP, BELOW = 72, 8, 36  # margins of the cells; names that are spelled out are long
LETTER = 6.5  # pixels that a letter of a name takes
SHORT = 2  # characters of a name that fits below its cell
HOT = "#e07b39"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value at x with its interval; note: what a pointer that rests on it is told."""

    x: float
    value: float
    low: float
    high: float
    note: str = ""


def scatter(title: str, points: Mapping[str, Estimate], below: str = "") -> Markup:
    """One point with its interval per name; x is logarithmic where all of it is above 0."""
    if not points:
        return charts.frame(title, charts.text(LEFT, 40, "nothing to draw", "start"), {})
    xs = [point.x for point in points.values()]
    log = min(xs) > 0
    left, right = (min(xs) / PAD, max(xs) * PAD) if log else (min(xs) - 1, max(xs) + 1)
    upright = charts.ticks(min(p.low for p in points.values()), max(p.high for p in points.values()))
    axes = Axes(left, right, upright[0], upright[-1], log_across=log)
    across = _log_ticks(left, right) if log else charts.ticks(left, right)
    legend = charts.colours(points)
    ground = charts.grid(axes, across, upright, [charts.number(tick) for tick in upright], below)
    shapes = Markup().join(_mark(axes, point, legend[name]) for name, point in points.items())
    return charts.frame(title, ground + shapes, legend)


def estimates(
    title: str,
    series: Mapping[str, Sequence[Estimate]],
    below: str = "",
    counts: Mapping[float, int] | None = None,
    most: float = 0.0,
) -> Markup:
    """A line with intervals per name, over whole x; behind it a bar per x that tells `counts`.

    most: the upright axis goes at least so far.
    """
    every = [estimate for line in series.values() for estimate in line]
    if not every:
        return charts.frame(title, charts.text(LEFT, 40, "nothing to draw", "start"), {})
    upright = charts.ticks(min(0.0, *(e.low for e in every)), max(most, *(e.high for e in every)))
    xs = [e.x for e in every]
    axes = Axes(min(xs) - 0.6, max(xs) + 0.6, upright[0], upright[-1])
    parts = [_bars(axes, counts or {})]
    for place, (name, colour) in enumerate(charts.colours(series).items()):
        shift = (place - (len(series) - 1) / 2) * APART
        found = sorted(series[name], key=lambda e: e.x)
        path = "L".join(f"{axes.x(e.x) + shift:.1f} {axes.y(e.value):.1f}" for e in found)
        if path:
            parts.append(Markup('<path class="line" stroke="{}" d="M{}"/>').format(colour, path))
        parts += [_mark(axes, e, colour, shift, RADIUS / 2) for e in found]
    ground = charts.grid(
        axes, charts.ticks(min(xs), max(xs), 8, 1.0), upright, [charts.number(t) for t in upright], below
    )
    return charts.frame(title, ground + Markup().join(parts), charts.colours(series))


def cells(
    title: str, names: Sequence[str], shares: np.ndarray, across: str = "", notes: Mapping | None = None
) -> Markup:
    """Squares [K,K], darker the larger the share; rows and columns have the same K names, one `across`.

    notes: (row, column) -> what a pointer that rests on a square is told.
    """
    side = CELL * len(names)
    most = float(shares.max()) if shares.size else 0.0
    shown = [spelled(name) for name in names]
    parts = [
        charts.text(CELLS_LEFT - 6, CELLS_TOP + CELL * (row + 0.72), name, "end")
        for row, name in enumerate(shown)
    ]
    parts += [_upright(column, name, CELLS_TOP + side) for column, name in enumerate(shown)]
    parts += [
        _cell(row, column, shares[row, column] / most, (notes or {}).get((row, column), ""))
        for row, column in np.argwhere(shares > 0).tolist()
    ]
    ground = Markup('<path class="grid" d="{}"/>').format(_mesh(len(names)))
    longest = max([0, *(len(name) for name in shown if len(name) > SHORT)])  # those stand upright
    height = CELLS_TOP + side + BELOW + LETTER * longest
    words = charts.text(CELLS_LEFT + side / 2, height - 6, across, "middle")
    size = (max(CELLS_LEFT + side + 8, WIDTH), height)
    return charts.frame(title, ground + Markup().join(parts) + words, {}, size)


def _log_ticks(low: float, high: float) -> list[float]:
    fine = [tick for tick in charts.decades(low, high, (1, 2, 5)) if low <= tick <= high]
    return fine if len(fine) <= LOG_TICKS else charts.decades(low, high)


def _mark(axes: Axes, at: Estimate, colour: str, shift: float = 0.0, radius: float = RADIUS) -> Markup:
    x = axes.x(at.x) + shift
    return Markup(
        '<g stroke="{0}" fill="{0}">{1}<path stroke-opacity=".55" d="M{2:.1f} {3:.1f}V{4:.1f}"/>'
        '<circle cx="{2:.1f}" cy="{5:.1f}" r="{6:g}"/></g>'
    ).format(
        colour, _told(at.note), x, axes.y(at.low), axes.y(at.high), axes.y(at.value), radius
    )  # fmt: skip


def _bars(axes: Axes, counts: Mapping[float, int]) -> Markup:
    room = (HEIGHT - BOTTOM - axes.y(axes.high)) * COUNTED / max([1, *counts.values()])
    unit = axes.x(axes.left + 1) - LEFT
    bars = [
        Markup('<rect class="count" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>').format(
            axes.x(x) - 0.4 * unit, HEIGHT - BOTTOM - n * room, 0.8 * unit, n * room, _told(f"{x:g}: {n:,}")
        )
        for x, n in counts.items()
        if LEFT <= axes.x(x) <= WIDTH - RIGHT
    ]
    return Markup().join(bars)


def _cell(row: int, column: int, strength: float, note: str) -> Markup:
    return Markup(
        '<rect x="{:g}" y="{:g}" width="{}" height="{}" fill="{}" fill-opacity="{:.3f}">{}</rect>'
    ).format(
        CELLS_LEFT + CELL * column, CELLS_TOP + CELL * row, CELL, CELL, HOT,
        0.08 + 0.92 * math.sqrt(strength), _told(note),  # the root: rare ones can be seen too
    )  # fmt: skip


def _upright(column: int, name: str, bottom: float) -> Markup:
    """A column's name; one that is spelled out stands on its head."""
    x, y = CELLS_LEFT + CELL * (column + 0.5), bottom + 13
    if len(name) <= SHORT:
        return charts.text(x, y, name, "middle")
    return Markup('<g transform="rotate(-90 {0:g} {1:g})">{2}</g>').format(
        x, y, charts.text(x, y + 4, name, "end")
    )


def _mesh(k: int) -> str:
    side = CELL * k
    down = [f"M{CELLS_LEFT + CELL * i} {CELLS_TOP}v{side}" for i in range(k + 1)]
    return "".join(down + [f"M{CELLS_LEFT} {CELLS_TOP + CELL * i}h{side}" for i in range(k + 1)])


def _told(note: str) -> Markup:
    return Markup("<title>{}</title>").format(note) if note else Markup()
