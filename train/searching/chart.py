"""The leaderboard as a picture: means with their intervals, a point for each seed, the baseline as a line."""

import io
import textwrap
from collections.abc import Sequence

from train.searching.ranking import BASELINE, Row

SHOWN = 40  # rows, the best ones
COLOURS = {"BETTER": "#2ca58d", "WORSE": "#d1495b", BASELINE: "#333333"}
OTHERS = "#4c8bf5"
INCHES = 0.42  # of a row
BELOW = 0.22  # of a row: dots of seeds under the line of their mean


def draw(rows: Sequence[Row], unit: str, scale: float) -> bytes:
    """A PNG of rows that have scores, the best one on top."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = rows[:SHOWN]
    names = [textwrap.fill(textwrap.shorten(row.label, 90, placeholder=" …"), 45) for row in shown]
    height = 1.5 + INCHES * sum(1 + 0.4 * name.count("\n") for name in names)
    figure, axes = pyplot.subplots(figsize=(9, max(2.2, height)), dpi=120)
    for place, row in enumerate(shown):
        colour = COLOURS.get(row.verdict.verdict, OTHERS)
        if row.interval:
            ends = [scale * row.interval.low, scale * row.interval.high]
            axes.plot(ends, [place, place], color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
        points = [scale * score for score in row.scores.values()]
        axes.plot(points, [place + BELOW] * len(points), "o", color=colour, alpha=0.55, markersize=4.5,
                  markeredgewidth=0, zorder=3)  # fmt: skip
        axes.plot(
            [scale * row.mean], [place], "D", color=colour, markersize=7, markeredgecolor="white", zorder=4
        )
        if row.verdict.verdict == BASELINE:
            axes.axvline(scale * row.mean, color=colour, linewidth=1, linestyle="--", alpha=0.4, zorder=1)
    axes.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit, parse_math=False)
    axes.set_title(_title(rows), fontsize=9, loc="left", color="#555555")
    _legend(axes, shown)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    pyplot.close(figure)
    return file.getvalue()


def _title(rows: Sequence[Row]) -> str:
    told = "diamonds: means over seeds with 95 % intervals; dots: seeds"
    return f"{told}; the best {SHOWN} of {len(rows)} rows" if len(rows) > SHOWN else told


def _legend(axes, rows: Sequence[Row]) -> None:
    """What the colours say, where they say something."""
    from matplotlib.lines import Line2D

    met = dict.fromkeys(row.verdict.verdict for row in rows)
    marks = [
        Line2D([], [], color=COLOURS.get(name, OTHERS), marker="D", linestyle="none", label=name.lower())
        for name in met
    ]
    if marks:
        below = (0.5, -0.22 if len(rows) < 6 else -0.08)
        axes.legend(
            handles=marks,
            fontsize=8,
            frameon=False,
            loc="upper center",
            bbox_to_anchor=below,
            ncols=len(marks),
        )
