"""Charts as inline SVG: no library, no network, and the colours of the page they stand in, light or dark.

`lines` draws curves, `histogram` compares distributions; both give markup for `shards.page`. On the same
ground `shards.marks` draws points, intervals and cells.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

# Middle tones, told apart on white and on black.
COLOURS = ("#4c8bf5", "#e07b39", "#2ca58d", "#c05bd1", "#d1495b", "#8a8d91", "#a89200", "#0fa3c7")
FILLED = 3  # outlines with a tinted area; more would cover each other
WIDTH, HEIGHT = 440, 220  # of a chart, pixels
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36  # margins around the plotted area
POINTS = 400  # of a line; of a longer one, evenly chosen points are drawn
ROOM = 70  # pixels for words below the last bin
BINS = 40  # at most, beside the last, which holds all that lies beyond
BEYOND = 99.5  # percentile of all values at which a histogram's last bin begins

Curve = tuple[Sequence[float], Sequence[float]]  # x and y of a line


@dataclass(frozen=True, slots=True)
class Axes:
    """Where values stand on the chart. log, log_across: the upright axis, the other one is logarithmic."""

    left: float
    right: float
    low: float
    high: float
    log: bool = False
    log_across: bool = False

    def x(self, value: float) -> float:
        """Pixels from the left edge of the chart."""
        across = (self.left, self.right, value)
        left, right, value = (math.log10(v) if self.log_across else v for v in across)
        return LEFT + (value - left) / (right - left or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top edge of the chart."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return HEIGHT - BOTTOM - (value - low) / (high - low or 1) * (HEIGHT - TOP - BOTTOM)


def lines(title: str, curves: Mapping[str, Curve], below: str = "", log: bool = False) -> Markup:
    """One line per name, which keeps its colour where others have nothing to draw. Left out are values that
    are not finite, or not above 0 on a logarithmic axis.
    """
    drawn = {name: points for name, curve in curves.items() if len(points := _points(curve, log))}
    if not drawn:
        return frame(title, text(LEFT, 40, "nothing to draw", "start"), {})
    every = np.concatenate(list(drawn.values()))
    (left, low), (right, high) = every.min(0), every.max(0)
    upright = decades(low, high) if log else ticks(low, high)
    axes = Axes(left, right, min(low, upright[0]), max(high, upright[-1]), log)
    legend = {name: colour for name, colour in colours(curves).items() if name in drawn}
    shapes = [
        Markup('<path class="line" stroke="{}" d="M{}h0"/>').format(  # h0: a single point is a dot
            legend[name], "L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in points)
        )
        for name, points in drawn.items()
    ]
    ground = grid(axes, ticks(left, right), upright, [number(tick) for tick in upright], below)
    return frame(title, ground + Markup().join(shapes), legend)


def histogram(title: str, series: Mapping[str, np.ndarray], below: str = "") -> Markup:
    """The share of each name's values in equal bins, as one outline per name."""
    kept = {name: np.asarray(values, float) for name, values in series.items() if len(values)}
    if not kept:
        return frame(title, text(LEFT, 40, "nothing to count", "start"), {})
    edges, whole, beyond = _edges(np.concatenate(list(kept.values())))
    shares = {
        name: np.histogram(np.minimum(values, edges[-1] - 1e-9), edges)[0] / len(values)
        for name, values in kept.items()
    }
    upright = ticks(0, max(share.max() for share in shares.values()))
    axes = Axes(edges[0], edges[-1], 0, upright[-1])
    filled = len(kept) <= FILLED
    legend = {name: colour for name, colour in colours(series).items() if name in kept}
    shapes = [_outline(axes, edges, share, legend[name], filled) for name, share in shares.items()]
    across = ticks(edges[0], edges[-1], least=1.0 if whole else 0.0)
    if beyond:  # the last bin's place is taken by these words
        across = [tick for tick in across if axes.x(tick) < WIDTH - RIGHT - ROOM]
    ground = grid(axes, across, upright, [f"{number(100 * tick)} %" for tick in upright], below)
    if beyond:
        ground += text(WIDTH - RIGHT, HEIGHT - BOTTOM + 15, "and more", "end")
    return frame(title, ground + Markup().join(shapes), legend)


def _points(curve: Curve, log: bool) -> np.ndarray:
    """[points, 2] that can be drawn, at most POINTS of them, the last one always."""
    points = np.array(curve, float).T.reshape(-1, 2)
    sound = np.isfinite(points).all(1) & ((points[:, 1] > 0) | (not log))
    points = points[sound]
    chosen = np.linspace(0, len(points) - 1, min(len(points), POINTS)).round().astype(int)
    return points[chosen]


def _edges(values: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """Bin edges, whether all values are whole, and whether the last bin also holds what lies beyond it."""
    low, high = float(values.min()), float(np.percentile(values, BEYOND, method="higher"))
    whole = bool((values == values.round()).all())
    step = (high - low) / BINS or 0.1 * abs(high) or 1.0
    step = max(1, math.ceil(step)) if whole else step
    count = math.floor((high - low) / step + 1e-6) + 1
    edges = low + step * np.arange(count + 1)
    centred = step / 2 if count == 1 or (whole and step == 1) else 0
    return edges - centred, whole, bool(values.max() >= edges[-1])


def _outline(axes: Axes, edges: np.ndarray, shares: np.ndarray, colour: str, filled: bool) -> Markup:
    ground = f"{axes.y(0):.1f}"
    steps = [
        f"{axes.x(edge):.1f} {axes.y(share):.1f}L{axes.x(next_):.1f} {axes.y(share):.1f}"
        for edge, next_, share in zip(edges, edges[1:], shares, strict=False)
    ]
    path = f"M{axes.x(edges[0]):.1f} {ground}L{'L'.join(steps)}L{axes.x(edges[-1]):.1f} {ground}"
    fill = colour if filled else "none"
    return Markup('<path class="area" stroke="{}" fill="{}" d="{}"/>').format(colour, fill, path)


def ticks(low: float, high: float, about: int = 5, least: float = 0.0) -> list[float]:
    """Round values that span low to high, at least `least` apart; the last is at least high."""
    rough = max((high - low) / about or abs(high) or 1.0, least)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    return [k * step for k in range(first, math.ceil(high / step - 1e-9) + 1)] or [low]


def decades(low: float, high: float, factors: Sequence[float] = (1.0,)) -> list[float]:
    """Powers of ten, times the factors, that span low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**k * factor for k in powers for factor in factors]


def grid(axes: Axes, across: list[float], upright: list[float], names: list[str], below: str) -> Markup:
    """Horizontal lines with their names, and the values along the lower edge."""
    parts = []
    for tick, name in zip(upright, names, strict=True):
        y = axes.y(tick)
        parts.append(
            Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, y, WIDTH - RIGHT)
            + text(LEFT - 6, y + 3.5, name, "end")
        )
    inside = [tick for tick in across if axes.left <= tick <= axes.right]
    parts += [text(axes.x(tick), HEIGHT - BOTTOM + 15, number(tick), "middle") for tick in inside]
    return Markup().join(parts) + text((WIDTH + LEFT) / 2, HEIGHT - 4, below, "middle")


def text(x: float, y: float, words: str, anchor: str) -> Markup:
    """Words on a chart. anchor: start, middle or end."""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)


def number(value: float) -> str:
    """A value as a tick names it."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{round(value, 6):,.6g}"


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour per name, by its place."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}


def frame(
    title: str, inside: Markup, legend: Mapping[str, str], size: tuple[float, float] = (WIDTH, HEIGHT)
) -> Markup:
    """A chart: its title, the drawing, and what each colour stands for (name -> colour)."""
    names = Markup().join(
        Markup('<span style="--line:{}"><bdi>{}</bdi></span>').format(colour, name)
        for name, colour in legend.items()
    )
    return Markup(
        '<figure class="chart"><figcaption>{title}</figcaption>'
        '<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}">{inside}</svg>'
        '<div class="legend">{names}</div></figure>'
    ).format(title=title, width=size[0], height=size[1], inside=inside, names=names)
