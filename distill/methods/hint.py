"""Hints (Romero et al. 2015): features of the student that, through an adapter, go along with the teacher's.

Each channel is standardised over samples and positions (as in PKD, Cao et al. 2022), so the loss is
1 - Pearson's rho: it does not depend on the scale or offset of a channel. Standardising is over the batch, so
the loss of a sample depends on the others (`couples`); samples that do not count are left out and cost 0.
The adapter is a 1x1 convolution from the student's channels to the teacher's; it learns with the student and
never stands in it.
Other L or map size: the teacher's feature, which carries no gradient, is interpolated to the student's.
Letters: N samples, L time steps, D channels, P positions, h w of a map.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import features
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from train.models import Output

PAPER = "Romero et al. 2015; standardised as in Cao et al. 2022"
FORMULA = "mean over taps of mean (s(A F_s) - s(F_t))^2 / 2, s = each channel standardised"
FLAT = 1e-6  # a channel that varies by less is constant


@dataclass
class Settings(Weighted):
    """Which features are compared."""

    taps: list[str] = field(default_factory=lambda: ["rnn2"])  # the teacher's features
    student_taps: list[str] = field(default_factory=list)  # the student's, in the same order; empty: the same

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.taps:
            raise BadSettings("method.hint.taps: empty, name at least one feature")
        if self.student_taps and len(self.student_taps) != len(self.taps):
            raise BadSettings(
                f"method.hint.student_taps: {','.join(self.student_taps)}, one for each of "
                f"method.hint.taps={','.join(self.taps)}"
            )


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})
    couples = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.pairs = list(zip(settings.student_taps or settings.taps, settings.taps, strict=True))
        self.taps = tuple(dict.fromkeys(settings.taps))
        self.adapters = nn.ModuleList(_adapter(mine, theirs, sides) for mine, theirs in self.pairs)

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over the taps of the standardised squared difference, halved, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            counted = features.counted(lesson)
            losses = [standardised_mse(*sides, counted) for sides in self.adapted(output, lesson)]
            return torch.stack(losses).mean(0)

    def adapted(self, output: Output, lesson: Lesson) -> Iterator[tuple[Tensor, Tensor]]:
        """[N,D,P] of each pair: the student's adapted, the teacher's at the student's positions."""
        for (mine, theirs), adapter in zip(self.pairs, self.adapters, strict=True):
            student = features.channels_first(output.features[mine])
            teacher = features.channels_first(lesson.features[theirs])
            if teacher.shape[2:] != student.shape[2:]:
                mode = "linear" if teacher.dim() == 3 else "bilinear"
                teacher = functional.interpolate(teacher, student.shape[2:], mode=mode)
            yield adapter(student.flatten(2)), teacher.flatten(2)


def standardised_mse(student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    """Mean squared difference of standardised channels, halved: [N] of [N,D,P]; its mean over the counted
    samples is 1 - Pearson's rho, meant over the channels. counted: bool [N], the others cost 0.
    """
    difference = _standardised(student, counted) - _standardised(teacher, counted)
    return difference.square().mean((1, 2)) / 2


def _standardised(values: Tensor, counted: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over counted samples and positions; 0 for the other samples."""
    counts = counted.float()[:, None, None]
    number = (counts.sum() * values.shape[2]).clamp(min=1)
    centred = counts * (values - (counts * values).sum((0, 2), keepdim=True) / number)
    deviation = torch.linalg.vector_norm(centred, dim=(0, 2), keepdim=True) / number.sqrt()
    return centred / deviation.clamp(min=FLAT)


def _adapter(mine: str, theirs: str, sides: Sides) -> nn.Conv1d:
    """Student channels to teacher channels at every position; no offset, since standardising drops it."""
    teacher = features.shape("teacher", sides.teacher, "method.hint.taps", theirs)
    student = features.shape("student", sides.student, "method.hint.student_taps", mine)
    if len(student) != len(teacher):
        raise BadSettings(
            f"method.hint.taps: {theirs} of the teacher is {teacher}, {mine} of the student {student}; "
            "a sequence (L, D) teaches a sequence, a map (D, h, w) a map"
        )
    channels = [shape[-1] if len(shape) == 2 else shape[0] for shape in (student, teacher)]
    return nn.Conv1d(channels[0], channels[1], 1, bias=False)
