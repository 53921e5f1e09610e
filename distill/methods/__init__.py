"""Seam: one file per method, with `Settings` (a `Weighted` dataclass) and `Method(settings, sides)`.

A Method is an nn.Module (adapters are its parameters, so they never stand in the student):
- `needs`: what it asks of the teacher, of NEEDS; "frames": steps that stand where the student's do; PEERS
  alone are asked of no teacher, but of a student that learns beside this one;
- `taps`: the features it asks of the teacher, by name (needs "features");
- `forward(output, lesson)` -> the raw loss of each sample, fp32 [N]; validity, trust and weight are not its
  task. Every row of [N] is full: L is the same for all, since a canvas has one width.
- `divergence` (False where it is not said): the loss and its gradient are 0 where student and teacher agree;
- `couples` (False where it is not said): the loss of a sample depends on the others of its batch; never on
  their order, and never on rows that are not valid (their answers are zeros, their loss is finite);
- `PAPER`, `FORMULA`: where it comes from, and what it computes, in one line each: `method=?` shows them,
  and `needs`, where that is said of the class and not left to its settings.
Letters: N samples, L time steps or cells, C classes or terms of a cell.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType
from typing import Any

from shards.errors import BadSettings

NEEDS = {
    "frames": "the teacher's classes at every step, its steps standing where the student's do",
    "answers": "the teacher's classes at every step, however many steps it has",
    "nbest": "the teacher's best readings with their probabilities",
    "occupancy": "the teacher's alignment of the label",
    "cells": "the teacher's terms at every cell of the student's own grids",
    "features": "intermediate features of the teacher",
    "peers": "the answers of a second student, which learns beside this one; no teacher",
}
PEERS = frozenset({"peers"})
STRINGS = {"frames", "answers", "nbest", "occupancy"}  # what only tasks answer that read strings


@dataclass
class Weighted:
    """What every method has: its share of the total loss, and how that changes in the course of the run."""

    weight: float = 0.5  # share of the total loss
    schedule: list[str] = field(default_factory=list)  # progress:factor points, 0:0,.1:1 warms up; empty = 1

    def __post_init__(self) -> None:
        self.points()

    def points(self) -> list[tuple[float, float]]:
        """The schedule as (progress 0 to 1, factor) points, ascending."""
        try:
            found = [(float(at), float(factor)) for at, factor in (p.split(":") for p in self.schedule)]
        except ValueError:
            raise BadSettings(f"schedule={','.join(self.schedule)}: points are progress:factor") from None
        rising = all(left < right for (left, _), (right, _) in pairwise(found))
        if not rising or not all(0 <= at <= 1 and 0 <= factor < math.inf for at, factor in found):
            raise BadSettings(
                f"schedule={','.join(self.schedule)}: progress rises from 0 to 1, no point twice; factors "
                "are finite and at least 0"
            )
        return found

    def share(self, progress: float) -> float:
        """The weight at a progress of 0 to 1 of the run."""
        points = self.points() or [(0.0, 1.0)]
        if progress <= points[0][0]:
            return self.weight * points[0][1]
        for (left, low), (right, high) in pairwise(points):
            if progress <= right:
                return self.weight * (low + (high - low) * (progress - left) / (right - left))
        return self.weight * points[-1][1]


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a model answers: steps L, classes C, the shape of each feature of one sample, and (h, w) of the
    levels that its cells stand on, none for strings.
    """

    frames: int
    classes: int
    features: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grids: tuple[tuple[int, int], ...] = ()

    @property
    def told(self) -> str:
        """How many cells of which levels, in words."""
        levels = " and ".join(f"{h}x{w}" for h, w in self.grids)
        return f"{self.frames} cells{f' ({levels})' * bool(levels)} of {self.classes} terms"


@dataclass(frozen=True, slots=True)
class Sides:
    """Who is taught, and by whom: the student's task, and the shapes of both."""

    task: Any
    student: Shapes
    teacher: Shapes


def about(method: ModuleType) -> dict[str, str]:
    """What `method=?` tells of a method, beside its opening sentence."""
    needs = getattr(method.Method, "needs", None)
    asked = "; ".join(f"{need} ({NEEDS[need]})" for need in sorted(needs or ()))
    return {"formula": method.FORMULA, "paper": method.PAPER, "needs": asked or "what its settings say"}
