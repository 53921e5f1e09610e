"""Logit regression (Ba, Caruana 2014): the squared difference of logits, each centred over the classes.

What soft targets become for an infinite temperature. Centred log-probabilities are centred logits, so the
teacher's logits are not needed. Every class weighs the same: with thousands of classes nearly all of the loss
is about classes that nobody reads, and one that the teacher excludes outweighs the others. A secondary term
for small charsets. Needs equal L.
"""

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from train.models import Output

PAPER = "Ba, Caruana 2014"
FORMULA = "mean_t mean_c (z_s' - z_t')^2, z' = z - mean_c z"


Settings = Weighted


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Mean over steps and classes of the squared difference, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            difference = output.logits.float() - lesson.log_probs.float()
            return (difference - difference.mean(-1, keepdim=True)).square().mean((1, 2))
