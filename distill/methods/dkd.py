"""Decoupled distillation (Zhao et al. 2022): soft targets, the two halves of the divergence weighed apart.

KL(p_t, p_s) = KL(b_t, b_s) + (1 - p_t(y)) KL(q_t, q_s): is it y or not, and if not, which class. Plain soft
targets weigh the second half by the teacher's doubt, so a sure teacher silences it; here it weighs beta. y is
the teacher's best class of the step. Needs equal L. The authors warm it up over the first tenth or so of a
run (the preset does, by schedule); beta .5 to 8, by pair.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.frames import TEMPERATURES, WEIGHTS, kl, rows, split
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Zhao, Cui, Song, Qiu, Liang 2022"
FORMULA = "tau^2 mean_t (alpha KL(b_t, b_s) + beta KL(q_t, q_s)), b = (p_y, 1 - p_y), q = p without y"


@dataclass
class Settings(Weighted):
    """The temperature and the weights of the two halves."""

    temperature: float = 4.0  # above 1, small probabilities weigh more
    alpha: float = 1.0  # weight of "the teacher's class or not"
    beta: float = 8.0  # weight of "which of the others"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.dkd.", temperature=TEMPERATURES, alpha=WEIGHTS, beta=WEIGHTS)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau, self.alpha, self.beta = settings.temperature, settings.alpha, settings.beta

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times the mean over the steps of both halves in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            target = lesson.log_probs.argmax(-1)
            binary, others = split(rows(lesson.log_probs, self.tau), target)
            my_binary, my_others = split(rows(output.logits, self.tau), target)
            both = self.alpha * kl(binary, my_binary) + self.beta * kl(others, my_others)
            return self.tau**2 * both.mean(-1)
