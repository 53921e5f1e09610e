"""Hints (Romero et al. 2015): features of the student that, through an adapter, go along with the teacher's.

Each channel is standardised over samples and positions (as in PKD, Cao et al. 2022), so the loss is
1 - Pearson's rho: it does not depend on the scale or offset of a channel. Standardising is over the batch, so
the loss of a sample depends on the others (`couples`); samples that do not count are left out and cost 0.
With standardise=false it is the plain mean squared difference of each sample, as hints were first told.
Other L or map size: the teacher's feature is interpolated to the student's (distill.adapters).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from distill import features
from distill.adapters import Adapters, Tapped
from distill.lesson import Lesson
from distill.methods import Sides
from train.models import Output

PAPER = "Romero et al. 2015; standardised as in Cao et al. 2022"
FORMULA = "mean over taps of mean (s(A F_s) - s(F_t))^2 / 2, s standardises; or plain, not halved"


@dataclass
class Settings(Tapped):
    """Which features are compared, and how."""

    taps: list[str] = field(default_factory=lambda: ["rnn2"])
    standardise: bool = True  # each channel over the batch; false: mean (A F_s - F_t)^2, nothing halved


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})
    couples = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.standardise = settings.standardise
        offset = not settings.standardise  # standardising drops it
        self.adapters = Adapters(settings, sides, always=True, offset=offset, maps=False)
        self.taps = self.adapters.taps

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over the taps of the squared difference, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            counted, losses = features.counted(lesson), []
            for student, teacher in self.adapters.pairs(output, lesson):
                if self.standardise:
                    losses.append(features.standardised_mse(student.flatten(2), teacher.flatten(2), counted))
                else:
                    losses.append((student - teacher).square().flatten(1).mean(1))
            return torch.stack(losses).mean(0)
