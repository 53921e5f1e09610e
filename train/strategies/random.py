"""Points drawn at random, none of them twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shards.typed import check_ranges
from train.searching.axes import Axis, Point
from train.strategies import Seen

ATTEMPTS = 10_000  # draws of one point before the space counts as used up


@dataclass
class Settings:
    """How many points, and which draw."""

    trials: int = 20  # points to try; each is run with every seed
    search_seed: int = 0  # of the draw; another one gives other points

    def __post_init__(self) -> None:
        check_ranges(self, "", trials=(1, 1_000_000), search_seed=(0, 2**32))


class Strategy:
    """See the seam. Point n is the same however many are asked for."""

    def __init__(self, settings: Settings, axes: Mapping[str, Axis]) -> None:
        self.axes, self.seed = axes, settings.search_seed
        self.size = int(min(settings.trials, np.prod([axis.count for axis in axes.values()])))

    def point(self, number: int, history: Sequence[Seen]) -> Point | None:
        """The point of that number."""
        return fresh(self.axes, self.seed, number, [seen.point for seen in history])


def fresh(axes: Mapping[str, Axis], seed: int, number: int, before: Sequence[Point]) -> Point | None:
    """Draw `number`: a point that is none of those before; None if none was met."""
    draws = np.random.default_rng([seed, number])
    for _ in range(ATTEMPTS):
        places = draws.random(len(axes)).tolist()
        point = {key: axis.at(place) for (key, axis), place in zip(axes.items(), places, strict=True)}
        if point not in before:
            return point
    return None
