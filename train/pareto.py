"""What a model costs beside how good it is: which models no other beats in everything, and their picture."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

COSTS = ("size of the model, MB", "one image on one thread, ms")  # axes
ON, OFF = "#2a6fdb", "#9a9a9a"  # colours of models on the front, and of those that another beats


@dataclass(frozen=True, slots=True)
class Point:
    """A model: what it costs, in the order of COSTS, and how good it is, with a 95 % interval."""

    name: str
    costs: tuple[float, ...]
    value: float
    low: float
    high: float

    def beats(self, other: "Point") -> bool:
        """Whether it costs no more in anything, is no worse, and is not just the same."""
        mine, its = (*self.costs, -self.value), (*other.costs, -other.value)
        return mine != its and all(a <= b for a, b in zip(mine, its, strict=True))


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats, the best first."""
    kept = [point for point in points if not any(other.beats(point) for other in points)]
    return sorted(kept, key=lambda point: (-point.value, point.costs))


def draw(points: Sequence[Point], title: str) -> bytes:
    """A PNG: goodness over each cost, the models by number; a line along the front of that cost alone."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    numbered, kept = sorted(points, key=lambda point: point.costs), front(points)
    figure, panels = pyplot.subplots(1, len(COSTS), figsize=(11, 4.4), dpi=120, sharey=True)
    for which, (axes, label) in enumerate(zip(panels, COSTS, strict=True)):
        for number, point in enumerate(numbered, 1):
            _mark(axes, point.costs[which], point, str(number), ON if point in kept else OFF)
        _line(axes, [(point.costs[which], point.value) for point in points])
        axes.set_xscale("log")
        axes.set_xlabel(f"{label} (logarithmic)")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.12)
    panels[0].set_ylabel(title, parse_math=False)
    names = [
        f"{number}  {point.name}:  {point.value:.2f},  {point.costs[0]:.2f} MB,  {point.costs[1]:.2f} ms"
        for number, point in enumerate(numbered, 1)
    ]
    figure.text(0.01, -0.02, "\n".join(names), fontsize=9, va="top", parse_math=False)
    figure.suptitle("blue: beaten by none in size, time and accuracy together; bars: 95 %", fontsize=9)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None}, bbox_inches="tight")
    pyplot.close(figure)
    return file.getvalue()


def _mark(axes, cost: float, point: Point, number: str, colour: str) -> None:
    axes.plot([cost, cost], [point.low, point.high], color=colour, linewidth=1.5, alpha=0.7, zorder=2)
    axes.plot([cost], [point.value], "o", color=colour, markersize=13, markeredgecolor="white", zorder=3)
    axes.annotate(number, (cost, point.value), color="white", fontsize=8, ha="center", va="center", zorder=4)


def _line(axes, found: Sequence[tuple[float, float]]) -> None:
    """Steps along what is the best for each cost."""
    best: list[tuple[float, float]] = []
    for cost, value in sorted(found, key=lambda one: (one[0], -one[1])):
        if not best or value > best[-1][1]:
            best.append((cost, value))
    axes.step(*zip(*best, strict=True), where="post", color=ON, alpha=0.35, linestyle="--", zorder=1)
