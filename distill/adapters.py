"""Pairs of features that methods compare: the student's, with the teacher's channels, and the teacher's.

An adapter is a 1x1 convolution from the student's channels to the teacher's; it learns with the student, is a
parameter of the method, and never stands in the student. Where the teacher's feature, which carries no
gradient, has other positions than the student's, it is interpolated to them.
Letters: N samples, L time steps, D channels, h w of a map.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import features
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from train.models import Output


@dataclass
class Tapped(Weighted):
    """Which features are compared; the levels of YOLOv5's neck, where a method says no other."""

    least: ClassVar[int] = 1  # taps that a method cannot do without

    taps: list[str] = field(
        default_factory=lambda: ["layer17", "layer20", "layer23"]
    )  # the teacher's features
    student_taps: list[str] = field(default_factory=list)  # the student's, in the same order; empty: the same

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.taps) < self.least:
            raise BadSettings(f"{self.key}taps: empty, name at least one feature")
        if self.student_taps and len(self.student_taps) != len(self.taps):
            raise BadSettings(
                f"{self.key}student_taps: {','.join(self.student_taps)}, one for each of "
                f"{self.key}taps={','.join(self.taps)}"
            )

    @property
    def key(self) -> str:
        """What the settings of this method begin with on the command line."""
        return f"method.{type(self).__module__.rpartition('.')[2]}."

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(the student's feature, the teacher's)."""
        return list(zip(self.student_taps or self.taps, self.taps, strict=True))


class Adapters(nn.ModuleList):
    """One for each pair of taps.

    always: adapters stand between equal numbers of channels too; else these are compared as they are.
    offset: adapters add a learnt constant to each channel. maps: sequences are refused.
    """

    def __init__(
        self, settings: Tapped, sides: Sides, always: bool = False, offset: bool = True, maps: bool = True
    ) -> None:
        super().__init__()
        self.names = settings.pairs
        self.taps = tuple(dict.fromkeys(settings.taps))
        for mine, theirs in self.names:
            into, out = channels(settings.key, mine, theirs, sides, maps)
            adapted = always or into != out
            self.append(nn.Conv1d(into, out, 1, bias=offset) if adapted else nn.Identity())

    def pairs(self, output: Output, lesson: Lesson) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each pair of taps (student's, teacher's) at the student's positions, [N,D,L] or [N,D,h,w]."""
        for (mine, theirs), adapter in zip(self.names, self, strict=True):
            student = features.channels_first(output.features[mine])
            teacher = features.channels_first(lesson.features[theirs])
            if teacher.shape[2:] != student.shape[2:]:
                mode = "linear" if teacher.dim() == 3 else "bilinear"
                teacher = functional.interpolate(teacher, student.shape[2:], mode=mode)
            yield adapter(student.flatten(2)).unflatten(2, student.shape[2:]), teacher


class Compared(nn.Module, ABC):
    """A method that adds up over its taps how far the sides are from each other. how: of `Adapters`."""

    def __init__(self, settings: Tapped, sides: Sides, **how: bool) -> None:
        super().__init__()
        self.adapters = Adapters(settings, sides, **how)
        self.taps = self.adapters.taps

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            pairs = self.adapters.pairs(output, lesson)
            return torch.stack([self.between(*pair, lesson) for pair in pairs]).sum(0)

    @abstractmethod
    def between(self, student: Tensor, teacher: Tensor, lesson: Lesson) -> Tensor:
        """How far one pair of taps is, [N]."""


def channels(key: str, mine: str, theirs: str, sides: Sides, maps: bool) -> tuple[int, int]:
    """D of the student's and the teacher's feature; those that cannot be compared are refused."""
    teacher = features.shape("teacher", sides.teacher, f"{key}taps", theirs)
    student = features.shape("student", sides.student, f"{key}student_taps", mine)
    if len(student) != len(teacher):
        raise BadSettings(
            f"{key}taps: {theirs} of the teacher is {teacher}, {mine} of the student {student}; "
            "a sequence (L, D) teaches a sequence, a map (D, h, w) a map"
        )
    if maps and len(teacher) != 3:
        raise BadSettings(f"{key}taps: {theirs} is a sequence {teacher}; this method compares maps (D, h, w)")
    into, out = (shape[-1] if len(shape) == 2 else shape[0] for shape in (student, teacher))
    return into, out
