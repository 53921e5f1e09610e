"""Normalised distillation (Yang et al. 2023): the target apart from the other classes.

The target costs its cross-entropy; the others are a distribution of their own, so that student and teacher
have the same mass there. y, the target, is the teacher's best class of the step. Not zero, and not at rest,
where both agree: the target's part is weighed by the teacher's confidence. Needs equal L.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.frames import TEMPERATURES, WEIGHTS, rows, split
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Yang, Zeng, Li, Zhang, Yuan, Li 2023"
FORMULA = "mean_t (-p_t(y) log p_s(y) - gamma tau^2 sum_{c != y} N(p_t)_c log N(p_s)_c)"


@dataclass
class Settings(Weighted):
    """The temperature and weight of the classes that are not the target."""

    temperature: float = 1.0  # of the other classes
    gamma: float = 1.5  # weight of the other classes

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.nkd.", temperature=TEMPERATURES, gamma=WEIGHTS)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau, self.gamma = settings.temperature, settings.gamma

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Mean over the steps of both terms in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            target = lesson.log_probs.argmax(-1)
            return (
                self.hits(output.logits, lesson.log_probs, target)
                + self.gamma * self.tau**2 * self.misses(output.logits, lesson.log_probs, target)
            ).mean(-1)

    def hits(self, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of the target, weighed by the teacher's probability of it, [N,L]."""
        at = target.unsqueeze(-1)
        return -(rows(teacher).gather(-1, at).exp() * rows(student).gather(-1, at)).squeeze(-1)

    def misses(self, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of the other classes among themselves, [N,L]."""
        theirs = split(rows(teacher, self.tau), target)[1]
        mine = split(rows(student, self.tau), target)[1]
        return -(theirs.exp() * mine).sum(-1)
