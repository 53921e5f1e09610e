"""Pearson distillation (PKD, Cao et al. 2022): feature maps that vary together, whatever their size.

Each channel of both sides is standardised over samples and positions, so the loss is 1 - Pearson's rho, and
needs the least tuning of the methods that compare maps; teacher and student may be unlike. Standardising is
over the batch (`couples`); samples that do not count are left out and cost 0. `hint` is its relative for
sequences; here maps of equally many channels are compared without an adapter.
"""

from dataclasses import dataclass

from torch import Tensor

from distill import features
from distill.adapters import Compared, Tapped
from distill.lesson import Lesson
from distill.methods import Sides

PAPER = "Cao, Zhang, Gao, Cheng, Cheng, Zhang 2022"
FORMULA = "sum over taps of mean (s(A F_s) - s(F_t))^2 / 2 = 1 - rho, s = each channel standardised"


@dataclass
class Settings(Tapped):
    """Which features are compared."""


class Method(Compared):
    """See distill.methods."""

    needs = frozenset({"features"})
    divergence = True
    couples = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__(settings, sides, offset=False)  # standardising drops an offset

    def between(self, student: Tensor, teacher: Tensor, lesson: Lesson) -> Tensor:
        """Of standardised channels, [N] of [N,D,h,w]."""
        return features.standardised_mse(student.flatten(2), teacher.flatten(2), features.counted(lesson))
