"""The teacher's text map, dilated, as a label (CML of PP-OCRv3): what it finds, and a little around it.

The target of a cell is 1 where the teacher's probability of text exceeds a threshold, or does so in the cell
before it in x, in y or in both. Cross-entropy is over the cells of text and the hardest others, a few for
each; Dice is of the binary map, which the student makes of its probability and threshold map. A sample in
which the teacher finds no text costs 0. For task=maps: a cell answers a logit of the probability and one of
the threshold, all cells on one grid.
Letters: N samples, L cells, h w of the grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import cells
from distill.frames import WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from shards.typed import check_ranges
from train.binarisation import binary, dice
from train.models import Output

PAPER = "Li et al. 2022 (PP-OCRv3; CML of PP-OCRv2, Du et al. 2021); binary map of Liao et al. 2020"
FORMULA = (
    "b BCE(p_s, D) + d Dice(sig(50 (p_s - t_s)), D), D = dilate_2x2 [p_t > .3]; BCE over text, hardest others"
)


@dataclass
class Settings(Weighted):
    """What is text, and the weights of the terms."""

    threshold: float = 0.3  # probability of the teacher from which a cell is text
    entropy: float = 5.0  # weight of the cross-entropy
    dice: float = 1.0  # weight of the Dice loss
    others: float = 3.0  # cells without text in the cross-entropy, for each cell of text

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(
            self, "method.dilated.", threshold=(0, 1), entropy=WEIGHTS, dice=WEIGHTS, others=WEIGHTS
        )  # fmt: skip


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("dilated", sides)
        if sides.student.classes != 2:
            raise BadSettings(
                "method=dilated: needs a map of probabilities and one of thresholds, 2 terms; "
                f"the student answers {sides.student.classes}; it is for task=maps"
            )
        self.settings = settings

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Cross-entropy and Dice, [N]."""
        assert lesson.cells is not None
        s = self.settings
        with torch.autocast(output.logits.device.type, enabled=False):
            terms = output.logits.float()
            (teacher,) = cells.text(lesson.cells, output.grids)
            target = dilated((teacher.sigmoid() > s.threshold).float()).flatten(1)
            far = dice(binary(*terms.sigmoid().unbind(-1)), target)
            loss = s.entropy * self.entropy(terms[..., 0], target) + s.dice * far
            return torch.where(target.any(1), loss, 0.0)

    def entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean over the cells of text and the hardest of the others, [N] of [N,L]."""
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        others = losses.detach().masked_fill(target > 0, -torch.inf)
        place = others.argsort(1, descending=True).argsort(1)  # the hardest is 0, text stands last
        text = target.sum(1, keepdim=True)
        wanted = torch.minimum((self.settings.others * text).floor(), target.shape[1] - text)
        return cells.mean_over(losses, target + (place < wanted))


def dilated(maps: Tensor) -> Tensor:
    """The greatest of each cell, the one to its left, the one above, and the one above that: [N,h,w]."""
    return functional.max_pool2d(functional.pad(maps[:, None], (1, 0, 1, 0)), 2, stride=1)[:, 0]
