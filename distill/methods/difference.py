"""Masked feature difference (as in FGFI, Wang et al. 2019): squared, where words stand and nowhere else.

Most of a photograph is no text and would drown the rest. A cell of a feature map counts where it overlaps
the box of a word that is to be found. Each sample and level is divided by its own cells, so large words and
many words weigh no more than small and few; a sample without a word costs 0.
Letters: N samples, D channels, h w of a map.
"""

from dataclasses import dataclass

from torch import Tensor

from distill import cells, maps
from distill.adapters import Compared, Tapped
from distill.lesson import Lesson
from distill.methods import Sides

PAPER = "Wang, Yuan, Zhang, Feng 2019"
FORMULA = "sum over taps of sum M (A F_s - F_t)^2 / (2 sum M), M = cells that overlap a word, not times D"


@dataclass
class Settings(Tapped):
    """Which features are compared."""


class Method(Compared):
    """See distill.methods."""

    needs = frozenset({"features"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__(settings, sides)
        maps.check("difference", sides)

    def between(self, student: Tensor, teacher: Tensor, lesson: Lesson) -> Tensor:
        """Over the cells of words, [N] of [N,D,h,w]."""
        mask, _ = maps.objects(lesson, maps.grid(student))
        far = (student - teacher).square().sum(1, keepdim=True)
        return cells.mean_over(far, mask) / 2
