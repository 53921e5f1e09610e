"""What a detector answers: the teacher's scores, and its boxes where it is sure that a word is.

Scores are compared over all cells by the divergence, which is the cross-entropy but for what no student can
change, and summed per word that the teacher sees, as the task sums per word that there is: so a weight means
the same for both. Boxes are compared by complete IoU, weighed by the teacher's
score, over the cells where that is above `least`; with quads also the corners' shares. All that is before any
suppression.
Letters: N samples, L cells of all levels, C terms of a cell.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from distill import cells
from distill.frames import WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from shards.typed import check_ranges
from train.models import Output

PAPER = "Mehta, Ozturk 2018 (objectness-scaled); complete IoU of Zheng et al. 2020"
FORMULA = "sum_l v_l sum KL(sig z_t, sig z_s) / sum sig z_t + mean of sig z_t (1 - CIoU) over sig z_t > .1"


@dataclass
class Settings(Weighted):
    """How levels and terms are weighed."""

    balance: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])  # weight of each level's scores
    box: float = 1.0  # weight of the boxes beside that of the scores
    least: float = 0.1  # score of the teacher from which its box teaches

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.response.", box=WEIGHTS, least=(0, 1))
        if not all(0 <= weight < float("inf") for weight in self.balance):
            raise BadSettings(f"method.response.balance: {self.balance}, must be finite and at least 0")


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("response", sides)
        cells.check_boxes("response", sides)
        self.settings, self.task = settings, sides.task

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Scores and boxes, [N]."""
        assert lesson.cells is not None
        if len(output.grids) != len(self.settings.balance):
            raise BadSettings(
                f"method.response.balance: {self.settings.balance}, must hold a weight for each of the "
                f"{len(output.grids)} levels"
            )
        with torch.autocast(output.logits.device.type, enabled=False):
            student, teacher = output.logits.float(), lesson.cells.float()
            far = cells.levels(cells.binary_kl(teacher[..., 0], student[..., 0]), output.grids)
            scores = [w * level.sum((1, 2)) for w, level in zip(self.settings.balance, far, strict=True)]
            sure = teacher[..., 0].sigmoid()
            words = sure.sum(1).clamp(min=1.0)
            apart = cells.apart(self.task, output, student, teacher)
            boxes = cells.mean_over(sure * apart, (sure > self.settings.least).float())
            return torch.stack(scores).sum(0) / words + self.settings.box * boxes
