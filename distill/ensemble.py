"""Several teachers as one: a Lesson for a Batch, like any other teacher's.

How answers are joined is a matter of their kind: `distill.readings` of strings, `distill.finds` of cells.
Letters: K teachers, N samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from distill.lesson import Lesson
from distill.methods import Shapes
from distill.readings import Readings
from distill.teachers import Wanted
from shards.errors import BadSettings
from shards.loader import Batch
from shards.lookup import unknown

MODES = ("mean", "best", "per_sample")
Teach = Callable[[Batch], Lesson]


class Join(Protocol):
    """How answers of one kind become one. kinds: what it looks at, and so is always wanted.

    known: bool [K,N], which answers a teacher stands for; scores: of the teachers, higher is better.
    """

    kinds: frozenset[str]

    def mean(self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]) -> Lesson:
        """What the teachers answer on average."""
        ...

    def per_sample(
        self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]
    ) -> Lesson:
        """The answers of the teacher that is most right, for each sample."""
        ...


class Ensemble:
    """mode, with scores (higher is better, of one development set; none: the first is best):

    best: the teacher with the best score answers, the others are not asked.
    mean and per_sample: see the joins.
    What a teacher does not know (not valid, not trusted) it has no say in; trusted is what anybody knows.
    """

    def __init__(
        self, teachers: Sequence[Teach], mode: str, scores: Sequence[float] = (), join: Join | None = None
    ) -> None:
        if mode not in MODES:
            raise BadSettings(unknown("ensemble", mode, list(MODES)))
        if not teachers or len(scores) not in (0, len(teachers)):
            raise BadSettings(f"ensemble={mode}: {len(teachers)} teachers and {len(scores)} scores")
        self.mode, self.scores = mode, tuple(scores) or (1.0,) * len(teachers)
        self.teachers: tuple[Any, ...] = tuple(teachers)
        self.join: Join = join or Readings()
        if mode == "best":
            best = max(range(len(teachers)), key=lambda k: self.scores[k])
            self.teachers, self.scores = (teachers[best],), (self.scores[best],)

    @property
    def shapes(self) -> Shapes:
        """What they answer; the features that all of them have alike."""
        first = self.teachers[0].shapes
        alike = {
            name: shape
            for name, shape in first.features.items()
            if all(one.shapes.features.get(name) == shape for one in self.teachers)
        }
        return Shapes(first.frames, first.classes, alike, first.grids)

    def want(self, wanted: Wanted) -> None:
        """See distill.teachers; answers are compared, so they are always wanted."""
        for teacher in self.teachers:
            teacher.want(replace(wanted, kinds=wanted.kinds | self.join.kinds))

    def story(self) -> dict[str, Any]:
        """See distill.teachers; digests of several are joined by +."""
        told = [teacher.story() for teacher in self.teachers]
        joined = {
            key: "+".join(one[key] for one in told)
            for key in ("weights", "cache")
            if all(key in one for one in told)
        }
        return {**joined, "ensemble": self.mode, "scores": list(self.scores), "teachers": told}

    def __call__(self, batch: Batch) -> Lesson:
        lessons = [teacher(batch) for teacher in self.teachers]
        if len(lessons) == 1:
            return lessons[0]
        shapes = {tuple(lesson.answers.shape[1:]) for lesson in lessons}
        if len(shapes) > 1:
            told = ", ".join(f"L = {steps}, C = {classes}" for steps, classes in sorted(shapes))
            raise BadSettings(
                f"ensemble={self.mode}: the teachers answer {told}; they must be reconciled first"
            )
        known = torch.stack([_known(lesson) for lesson in lessons])  # [K,N]
        join = {"mean": self.join.mean, "per_sample": self.join.per_sample}[self.mode]
        valid = torch.stack([lesson.batch.valid for lesson in lessons]).any(0)
        trust = known.any(0).to(batch.valid.device)
        chosen = join(batch, lessons, known, self.scores)
        return replace(chosen, batch=replace(batch, valid=valid), trust=trust)


def _known(lesson: Lesson) -> Tensor:
    """Which answers a teacher stands for, bool [N], on the CPU."""
    valid = lesson.batch.valid.cpu()
    return valid if lesson.trust is None else valid & lesson.trust.cpu()
