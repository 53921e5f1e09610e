"""Every combination of the values, the last axis first."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shards.errors import BadSettings
from train.searching.axes import Axis, Point
from train.strategies import Seen


@dataclass
class Settings:
    """A grid has none."""


class Strategy:
    """See the seam."""

    def __init__(self, settings: Settings, axes: Mapping[str, Axis]) -> None:
        for key, axis in axes.items():
            if not axis.values:
                raise BadSettings(
                    f"{key} is a range, and a grid needs values, as in {key}={axis.at(0)},{axis.at(0.5)}; "
                    "strategy=random and strategy=tpe draw from ranges"
                )
        self.axes = axes
        self.size = math.prod(len(axis.values) for axis in axes.values())

    def point(self, number: int, history: Sequence[Seen]) -> Point | None:
        """The point of that number."""
        rows = itertools.product(*(axis.values for axis in self.axes.values()))
        row = next(itertools.islice(rows, number, None), None)
        return None if row is None else dict(zip(self.axes, row, strict=True))
