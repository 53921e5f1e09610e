"""Soft targets (Hinton, Vinyals, Dean 2015): tau^2 KL(p_t, p_s) at temperature tau, step against step.

Needs equal L: CTC spikes are compared where they stand. tau^2 keeps the gradient's size when tau changes.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.teachers import Lesson
from shards.errors import BadSettings
from train.models import Output


@dataclass
class Settings:
    """Weight in the total, and the temperature."""

    weight: float = 0.5  # share of the total loss
    temperature: float = 2.0  # above 1, small probabilities weigh more

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise BadSettings(f"method.logits.temperature: {self.temperature}, must be above 0")


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})

    def __init__(self, settings: Settings, task: Any) -> None:
        super().__init__()
        self.tau = settings.temperature

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times the mean over the steps of KL(teacher, student) in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            teacher = (lesson.log_probs.float() / self.tau).log_softmax(-1)
            student = (output.logits.float() / self.tau).log_softmax(-1)
            return self.tau**2 * (teacher.exp() * (teacher - student)).sum(-1).mean(-1)
