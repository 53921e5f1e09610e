"""Decoupled features (DeFeat, Guo et al. 2021): objects and background both teach, each with its own weight.

The background tells where words are not; it is divided by its own, much larger area. Beside the features, the
scores of the cells are compared, apart for cells that overlap a word and for those that overlap none. A
word that is not to be judged is neither object nor background.
Letters: N samples, L cells, D channels, h w of a map.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill import cells, maps
from distill.adapters import Compared, Tapped
from distill.frames import WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides
from shards.typed import check_ranges
from train.models import Output

PAPER = "Guo, Han, Wang, Wu, Chen, Xu, Xu 2021"
FORMULA = (
    "sum over taps of o mean_M d^2 / 2 + b mean_(1-M) d^2 / 2, d = A F_s - F_t, M = cells of words; "
    "+ h (KL of scores inside + KL outside)"
)


@dataclass
class Settings(Tapped):
    """Which features are compared, and the weights of the terms."""

    object: float = 3.0  # weight of features where words stand; 3 and 12 are the paper's code for VOC
    background: float = 12.0  # weight of features where none does
    head: float = 2.0  # weight of the scores, inside and outside; 0 asks the teacher for no cells

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, self.key, object=WEIGHTS, background=WEIGHTS, head=WEIGHTS)


class Method(Compared):
    """See distill.methods."""

    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__(settings, sides)
        maps.check("defeat", sides)
        self.needs = frozenset({"features", "cells"} if settings.head else {"features"})
        if settings.head:
            cells.check("defeat", sides)
        self.weights, self.head = (settings.object, settings.background), settings.head

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps and the scores, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            return super().forward(output, lesson) + self.head * self.scores(output, lesson)

    def between(self, student: Tensor, teacher: Tensor, lesson: Lesson) -> Tensor:
        """Over objects, and over what is none, [N] of [N,D,h,w]."""
        far, sides = (student - teacher).square() / 2, maps.objects(lesson, maps.grid(student))
        return torch.stack(
            [w * cells.mean_over(far, m) for w, m in zip(self.weights, sides, strict=True)]
        ).sum(0)

    def scores(self, output: Output, lesson: Lesson) -> Tensor:
        """KL of the scores over cells with words, and over cells without, added: [N]."""
        if not self.head:
            return output.logits.new_zeros(len(output.logits), dtype=torch.float32)
        assert lesson.cells is not None
        masks = [maps.objects(lesson, grid) for grid in output.grids]
        inside, outside = (torch.cat([m.flatten(1) for m in side], 1) for side in zip(*masks, strict=True))
        far = cells.binary_kl(lesson.cells[..., 0].float(), output.logits[..., 0].float())
        return cells.mean_over(far, inside) + cells.mean_over(far, outside)
