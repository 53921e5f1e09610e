"""Mutual learning (Zhang et al. 2018): two students learn beside each other, and each from the other.

A second student of the same architecture, with other weights to begin with, is taught by the same labels and
by all other methods of the run, as the two students of CML are (PP-OCRv2, Du et al. 2021). Only the first is
judged and kept. What each learns from the other is the divergence both ways, the other held fast: added over
the two students, that has the gradient of the symmetric divergence in which both move. It asks no teacher
for anything, so it can be a run's only method, without cache= or teacher=.
Letters: N samples, L time steps or cells, C classes or terms.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import PEERS, Sides, Weighted
from shards import lookup
from train.models import Output

PAPER = "Zhang, Xiang, Hospedales, Lu 2018 (DML); both ways as in CML, Du et al. 2021, Li et al. 2022"
FORMULA = "mean over steps or cells of (KL(p_2, p_1) + KL(p_1, p_2)) / 2, p of classes, or of text at a cell"


@dataclass
class Settings(Weighted):
    """What the divergence is a mean of."""

    over: Literal["all", "text"] = "all"  # text: the sum by how many steps or cells hold text, not by all


class Method(nn.Module):
    """See distill.methods."""

    needs = PEERS
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.over, self.way = settings.over, lookup.find("distill.answers", sides.task.answers)

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over the peers, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            return torch.stack([self.apart(output.logits, peer) for peer in lesson.peers]).mean(0)

    def apart(self, mine: Tensor, peer: Tensor) -> Tensor:
        """How far two answers [N,L,C] are from each other, [N]; the same whichever is whose."""
        far = (self.way.divergence(peer, mine) + self.way.divergence(mine, peer)) / 2
        if self.over == "all":
            return far.mean(1)
        text = (self.way.text(mine.detach()) + self.way.text(peer)).sum(1) / 2
        return far.sum(1) / text.clamp(min=1)
