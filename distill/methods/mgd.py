"""Masked generation (MGD, Yang et al. 2022): of a part of its map the student must make the teacher's whole.

Positions of the student's map are dropped at random, all channels of one together, and a small block, which
learns with the student and never stands in it, regenerates the teacher's map from what is left. So a position
has to tell of its neighbourhood. What is dropped is a function of uid, view, epoch and tap alone: any number
of processes drops the same, a resumed run what the whole one did, and each epoch something else.
Letters: N samples, D channels, h w of a map.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from distill import maps
from distill.adapters import Adapters, Tapped
from distill.lesson import Lesson
from distill.methods import Sides
from shards import keyed
from shards.loader import Batch
from shards.typed import check_ranges
from train.models import Output

PAPER = "Yang, Li, Shao, Shi, Yuan, Yuan 2022"
FORMULA = (
    "sum over taps of sum (G(M A F_s) - F_t)^2, M drops .65 of the positions, G = conv3x3, ReLU, conv3x3"
)


@dataclass
class Settings(Tapped):
    """Which features are compared, and how much of the student's is hidden."""

    dropped: float = 0.65  # share of positions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, self.key, dropped=(0, 0.99))


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.dropped, self.adapters = settings.dropped, Adapters(settings, sides)
        self.taps = self.adapters.taps
        self.blocks = nn.ModuleList(block(sides.teacher.features[tap][0]) for tap in settings.taps)

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            losses = []
            pairs = zip(self.adapters.pairs(output, lesson), self.blocks, strict=True)
            for place, ((student, teacher), generate) in enumerate(pairs):
                mask = left(lesson.batch, place, maps.grid(student), self.dropped).to(student.device)
                losses.append((generate(mask * student) - teacher).square().flatten(1).sum(1))
            return torch.stack(losses).sum(0)


def block(width: int) -> nn.Sequential:
    """What regenerates a map [N,D,h,w] of so many channels."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
    )


def left(batch: Batch, place: int, grid: tuple[int, int], dropped: float) -> Tensor:
    """1 where a position is left and 0 where it is dropped, float [N,1,h,w]; place: of the tap."""
    uids, views = (np.asarray(key)[:, None] for key in (batch.uids.cpu(), batch.view))
    drawn = keyed.uniform(uids, views, keyed.word("mgd"), batch.epoch, place, np.arange(grid[0] * grid[1]))
    return torch.from_numpy(drawn >= dropped).float().unflatten(1, grid)[:, None]
