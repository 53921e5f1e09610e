"""Soft targets (Hinton, Vinyals, Dean 2015): tau^2 KL(p_t, p_s) at temperature tau, step against step.

Needs equal L: CTC spikes are compared where they stand. tau^2 keeps the gradient's size when tau changes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.frames import TEMPERATURES, kl, rows
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Hinton, Vinyals, Dean 2015"
FORMULA = "tau^2 mean_t KL(softmax(z_t/tau), softmax(z_s/tau))"


@dataclass
class Settings(Weighted):
    """The temperature."""

    temperature: float = 2.0  # above 1, small probabilities weigh more

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.logits.", temperature=TEMPERATURES)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau = settings.temperature

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times the mean over the steps of KL(teacher, student) in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            teacher, student = rows(lesson.log_probs, self.tau), rows(output.logits, self.tau)
            return self.tau**2 * kl(teacher, student).mean(-1)
