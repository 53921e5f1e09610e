"""General instances (GID, Dai et al. 2021): teaches at the few places where the two sides disagree most.

Cells are ranked by how far their scores differ; the box of the surer side stands for each, and of those that
overlap the first stays. At these instances, words or not, features are compared as pooled out of the maps,
the distances of instances to each other, divided by their mean, and the answers of the cells inside.
Letters: N samples, L cells of all levels, K instances of a sample, D channels, S bins along a side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import cells, maps
from distill.adapters import Adapters, Tapped
from distill.frames import WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides
from shards.errors import BadSettings
from shards.typed import check_ranges
from train.models import Output
from train.nms import nms

PAPER = "Dai, Jiang, Wu, Bao, Wang, Liu, Zhou 2021"
FORMULA = (
    "at K instances: f mean |pool(A F_s) - pool(F_t)|^2 + r mean huber(distances) "
    "+ p mean (c KL(scores) + 1 - CIoU(b_s, b_t))"
)
EPS = 1e-12


@dataclass
class Settings(Tapped):
    """Which instances teach, and the weights of the terms."""

    instances: int = 10  # of a sample, at most
    overlap: float = 0.3  # intersection over union from which the less disputed of two is left out
    bins: int = 7  # along a side of a pooled box
    feature: float = 5e-4  # weight of the pooled features
    relation: float = 40.0  # weight of the distances
    response: float = 1.0  # weight of the answers
    score: float = 0.1  # weight of the scores beside the boxes, in the answers

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = dict.fromkeys(("feature", "relation", "response", "score"), WEIGHTS)
        check_ranges(self, self.key, overlap=(0, 1), **weights)
        if self.instances < 1 or self.bins < 1:
            raise BadSettings(
                f"{self.key}instances: {self.instances}, {self.key}bins: {self.bins}; both must be at least 1"
            )


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells", "features"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("gid", sides)
        cells.check_boxes("gid", sides)
        self.settings, self.task, self.adapters = settings, sides.task, Adapters(settings, sides)
        self.taps = self.adapters.taps

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Features, distances and answers at the instances, [N]."""
        assert lesson.cells is not None
        s = self.settings
        with torch.autocast(output.logits.device.type, enabled=False):
            student, teacher = output.logits.float(), lesson.cells.float()
            boxes, there = self.instances(output, student.detach(), teacher)
            loss = s.response * self.response(output, student, teacher, boxes)
            height, width = lesson.batch.images.shape[2:]
            for pair in self.adapters.pairs(output, lesson):
                mine, theirs = (maps.pooled(side, boxes, (height, width), s.bins) for side in pair)
                far = (mine - theirs).square().sum(2).mean((2, 3))
                loss = loss + s.feature * cells.mean_over(far, there.float())
                loss = loss + s.relation * relations(mine.mean((3, 4)), theirs.mean((3, 4)), there)
            return loss

    @torch.no_grad()
    def instances(self, output: Output, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [N,K,4] in canvas pixels, and which of them there are, bool [N,K]; the others are empty."""
        places, count = self.task.cells(output), self.settings.instances
        mine, theirs = (terms[..., 0].sigmoid() for terms in (student, teacher))
        sides = [self.task.boxes(terms, *places) for terms in (student, teacher)]
        surer = torch.where((theirs >= mine)[..., None], sides[1], sides[0])
        boxes, there = surer.new_zeros(len(surer), count, 4), surer.new_zeros(len(surer), count).bool()
        for n, (found, disputed) in enumerate(zip(surer, (theirs - mine).abs(), strict=True)):
            kept = nms(found, disputed, self.settings.overlap, count)
            boxes[n, : len(kept)], there[n, : len(kept)] = found[kept], True
        return boxes, there

    def response(self, output: Output, student: Tensor, teacher: Tensor, boxes: Tensor) -> Tensor:
        """Scores and boxes of the cells whose centre lies in an instance, [N]."""
        centres, _ = self.task.cells(output)
        inside = (centres >= boxes[:, :, None, :2]) & (centres <= boxes[:, :, None, 2:])  # [N,K,L,2]
        asked = inside.all(-1).any(1).float()
        scores = cells.binary_kl(teacher[..., 0], student[..., 0])
        far = self.settings.score * scores + cells.apart(self.task, output, student, teacher)
        return cells.mean_over(far, asked)


def relations(mine: Tensor, theirs: Tensor, there: Tensor) -> Tensor:
    """Smooth L1 of the distances between instances [N,K,D], the mean over the pairs that there are, [N].

    there: which of the instances there are, bool [N,K].
    """
    apart = ~torch.eye(there.shape[1], dtype=torch.bool, device=there.device)
    pairs = (there[:, :, None] & there[:, None] & apart).float()
    said, told = _distances(mine, pairs), _distances(theirs, pairs)
    return cells.mean_over(functional.smooth_l1_loss(said, told, reduction="none"), pairs)


def _distances(points: Tensor, pairs: Tensor) -> Tensor:
    """Lengths [N,K,K] divided by their mean over the pairs."""
    lengths = torch.linalg.vector_norm(points[:, :, None] - points[:, None], dim=-1)
    return lengths / cells.mean_over(lengths, pairs).clamp(min=EPS)[:, None, None]
