"""Pearson distillation (PKD, Cao et al. 2022): feature maps that vary together, whatever their size.

Each channel of both sides is standardised over samples and positions, so the loss is 1 - Pearson's rho, and
needs the least tuning of the methods that compare maps; teacher and student may be unlike. Standardising is
over the batch (`couples`); samples that do not count are left out and cost 0. `hint` is its relative for
sequences; here maps of equally many channels are compared without an adapter.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import features
from distill.adapters import Adapters, Tapped
from distill.lesson import Lesson
from distill.methods import Sides
from train.models import Output

PAPER = "Cao, Zhang, Gao, Cheng, Cheng, Zhang 2022"
FORMULA = "sum over taps of mean (s(A F_s) - s(F_t))^2 / 2 = 1 - rho, s = each channel standardised"


@dataclass
class Settings(Tapped):
    """Which features are compared."""


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})
    divergence = True
    couples = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.adapters = Adapters(settings, sides, offset=False)  # standardising drops an offset
        self.taps = self.adapters.taps

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            counted = features.counted(lesson)
            pairs = self.adapters.pairs(output, lesson)
            losses = [features.standardised_mse(s.flatten(2), t.flatten(2), counted) for s, t in pairs]
            return torch.stack(losses).sum(0)
