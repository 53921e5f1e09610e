"""Rank mimicking (RM, Li et al. 2022): of the cells in a word, the student prefers those that its teacher
prefers.

Scores of the cells whose centre lies in the box of a word are made a distribution, and the student's is
brought to the teacher's: which cell answers for a word is taught, and not how sure it is. A word with fewer
than two cells ranks none and does not count; a sample without any other costs 0.
Letters: N samples, M words, L cells of all levels, C terms of a cell.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill import cells, frames, maps
from distill.frames import TEMPERATURES
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Li, Li, Wu, Gong, Wang, Liang, Zhou 2022 (PGD; RM and PFI)"
FORMULA = "mean over words of tau^2 KL(a_t, a_s), a = softmax of logits of text / tau over the word's cells"
OUTSIDE = -1e9  # a logit that leaves no probability beside any other


@dataclass
class Settings(Weighted):
    """The temperature."""

    temperature: float = 1.0  # above 1, cells that are no favourites weigh more

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.rm.", temperature=TEMPERATURES)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("rm", sides)
        cells.check_boxes("rm", sides)
        maps.check("rm", sides)
        self.tau, self.task = settings.temperature, sides.task

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over the words, [N]."""
        assert lesson.cells is not None
        with torch.autocast(output.logits.device.type, enabled=False):
            inside = self.inside(output, lesson)
            told, said = (
                frames.rows(terms[..., 0].float()[:, None].masked_fill(~inside, OUTSIDE), self.tau)
                for terms in (lesson.cells, output.logits)
            )
            far = self.tau**2 * frames.kl(told, said)
            return cells.mean_over(far, (inside.sum(-1) > 1).float())

    def inside(self, output: Output, lesson: Lesson) -> Tensor:
        """Which cells have their centre in the box of which word that is to be found, bool [N,M,L]."""
        targets: Any = lesson.batch.targets
        centres, boxes = self.task.cells(output)[0], targets.boxes[:, :, None]
        found = ((centres >= boxes[..., :2]) & (centres <= boxes[..., 2:])).all(-1)
        return found & targets.real[..., None]
