"""Relations between samples (RKD, Park et al. 2019): the distances and angles of the batch, not its features.

Each sample is one point, its feature pooled over the positions; student and teacher may have other widths and
other L. Distances are divided by their mean, angles are cosines at each corner of all triples. The loss of a
sample depends on the others (`couples`): it is the mean over its pairs, and over the triples whose corner it
is. Samples that do not count are left out and cost 0. Time and memory grow with the cube of the batch of one
process; angle=0 makes that the square.
Letters: N samples, L time steps, D numbers per point, K the samples that count.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import features, frames
from distill.frames import WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Park, Kim, Lu, Cho 2019"
FORMULA = "distance mean_j huber(d_s(i,j), d_t(i,j)) + angle mean_jk huber(cos_s(j,i,k), cos_t(j,i,k))"
EPS = 1e-12


@dataclass
class Settings(Weighted):
    """What a sample's point is, and the weights of distances and angles."""

    tap: str = "rnn2"  # the teacher's feature, pooled over its positions; empty: the probabilities
    student_tap: str = ""  # the student's; empty: the same
    distance: float = 25.0  # weight of distances; 25 and 50 are usual where a classifier is distilled
    angle: float = 50.0  # weight of angles

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.relation.", distance=WEIGHTS, angle=WEIGHTS)


class Method(nn.Module):
    """See distill.methods."""

    divergence = True
    couples = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.distance, self.angle = settings.distance, settings.angle
        self.tap, self.student_tap = settings.tap, settings.student_tap or settings.tap
        if self.tap:
            features.shape("teacher", sides.teacher, "method.relation.tap", self.tap)
            features.shape("student", sides.student, "method.relation.student_tap", self.student_tap)
        self.needs = frozenset({"features" if self.tap else "answers"})
        self.taps = (self.tap,) if self.tap else ()

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over a sample's pairs and over its triples, [N]."""
        counted = features.counted(lesson)
        with torch.autocast(output.logits.device.type, enabled=False):
            if self.tap:
                student, teacher = (
                    pooled(output.features[self.student_tap]),
                    pooled(lesson.features[self.tap]),
                )
            else:
                student, teacher = (frames.rows(z).exp().mean(1) for z in (output.logits, lesson.log_probs))
            losses = self.relations(student[counted], teacher[counted])
            return losses.new_zeros(len(counted)).masked_scatter(counted, losses)

    def relations(self, student: Tensor, teacher: Tensor) -> Tensor:
        """What the points [K,D] of the two sides differ by, for each sample [K]."""
        mine, theirs = (points[None] - points[:, None] for points in (student, teacher))  # [K,K,D]
        others = ~torch.eye(len(student), dtype=torch.bool, device=student.device)  # j != i
        losses = self.distance * _over(
            others, functional.smooth_l1_loss(distances(mine), distances(theirs), reduction="none"), 1
        )
        if not self.angle:
            return losses
        triples = others[:, :, None] & others[:, None, :] & others[None]  # i, j, k all different
        far = functional.smooth_l1_loss(cosines(mine), cosines(theirs), reduction="none")
        return losses + self.angle * _over(triples, far, (1, 2))


def pooled(feature: Tensor) -> Tensor:
    """One point per sample: [N,L,D] or [N,D,h,w] to [N,D]."""
    return features.channels_first(feature).flatten(2).mean(-1)


def distances(differences: Tensor) -> Tensor:
    """Lengths [K,K] of [K,K,D], divided by their mean over all pairs."""
    lengths = torch.linalg.vector_norm(differences, dim=-1)
    pairs = max(len(lengths) * (len(lengths) - 1), 1)
    return lengths / (lengths.sum() / pairs).clamp(min=EPS)


def cosines(differences: Tensor) -> Tensor:
    """Of the angle at corner i between the ways to j and to k: [K,K,K] of [K,K,D]."""
    ways = functional.normalize(differences, dim=-1, eps=EPS)
    return ways @ ways.transpose(1, 2)


def _over(chosen: Tensor, values: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """The mean over what was chosen; 0 where nothing was."""
    return (chosen * values).sum(dims) / chosen.sum(dims).clamp(min=1)
