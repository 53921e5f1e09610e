"""Soft targets with the blank apart: which character, where there is one, and, weighed less, whether one is.

Decoupled distillation with the blank as the target: KL(p_t, p_s) = KL(b_t, b_s) + (1 - p_t(0)) KL(q_t, q_s).
The characters q weigh by w = 1 - p_t(0), normalised over the sample's steps, so that blank steps cannot drown
them. Needs equal L.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.frames import TEMPERATURES, WEIGHTS, blanks, kl, masked_mean, rows, split
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "after Zhao et al. 2022, the blank as the target"
FORMULA = "tau^2 (sum_t w_t KL(q_t, q_s) / sum_t w_t + blank mean_t KL(b_t, b_s)), w = 1 - p_t(0)"


@dataclass
class Settings(Weighted):
    """The temperature and the weight of the question whether there is a character."""

    temperature: float = 1.0  # above 1, small probabilities weigh more
    blank: float = 0.3  # weight of "blank or not", .1 to .5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.blank_excluded.", temperature=TEMPERATURES, blank=WEIGHTS)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau, self.blank = settings.temperature, settings.blank

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times both means over the steps in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            target = blanks(lesson.log_probs)
            binary, characters = split(rows(lesson.log_probs, self.tau), target)
            my_binary, my_characters = split(rows(output.logits, self.tau), target)
            which = masked_mean(kl(characters, my_characters), binary[..., 1].exp())
            return self.tau**2 * (which + self.blank * kl(binary, my_binary).mean(-1))
