"""Soft targets at the steps that count: most steps of a CTC teacher say blank and drown the others.

Leaving out all blanks loses the edges of the spikes; symmetric keeps the steps around them. Needs equal L and
spikes in about the same places: a shared stem or a start from the teacher. mask=all is `logits`. A sample
without a step that counts costs 0.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import frames
from distill.frames import TEMPERATURES
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "arXiv 2506.01503 (symmetric selection of blank steps)"
FORMULA = "tau^2 sum_t m_t KL(softmax(z_t/tau), softmax(z_s/tau)) / sum_t m_t"


@dataclass
class Settings(Weighted):
    """The temperature and the steps that count."""

    temperature: float = 2.0  # above 1, small probabilities weigh more
    mask: str = "symmetric"  # all, non-blank, symmetric or soft (by the probability of no blank)
    reach: int = 2  # symmetric: steps this far from a spike count too

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.masked.", temperature=TEMPERATURES)
        frames.check_mask("masked", self.mask, self.reach)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau, self.mask, self.reach = settings.temperature, settings.mask, settings.reach

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times the masked mean over the steps of KL(teacher, student) in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            weights = frames.mask(self.mask, frames.rows(lesson.log_probs), self.reach)
            teacher = frames.rows(lesson.log_probs, self.tau)
            divergence = frames.kl(teacher, frames.rows(output.logits, self.tau))
            return self.tau**2 * frames.masked_mean(divergence, weights)
