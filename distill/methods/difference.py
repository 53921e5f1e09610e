"""Masked feature difference (as in FGFI, Wang et al. 2019): squared, where words stand and nowhere else.

Most of a photograph is no text and would drown the rest. A cell of a feature map counts where it overlaps
the box of a word that is to be found. Each sample and level is divided by its own cells, so large words and
many words weigh no more than small and few; a sample without a word costs 0.
Letters: N samples, D channels, h w of a map.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import cells, maps
from distill.adapters import Adapters, Tapped
from distill.lesson import Lesson
from distill.methods import Sides
from train.models import Output

PAPER = "Wang, Yuan, Zhang, Feng 2019"
FORMULA = "sum over taps of sum M (A F_s - F_t)^2 / (2 sum M), M = cells that overlap a word, not times D"


@dataclass
class Settings(Tapped):
    """Which features are compared."""


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        maps.check("difference", sides)
        self.adapters = Adapters(settings, sides)
        self.taps = self.adapters.taps

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            losses = []
            for student, teacher in self.adapters.pairs(output, lesson):
                mask, _ = maps.objects(lesson, maps.grid(student))
                far = (student - teacher).square().sum(1, keepdim=True)
                losses.append(cells.mean_over(far, mask) / 2)
            return torch.stack(losses).sum(0)
