"""Correlation with a stronger teacher (DIST, Huang et al. 2022): agree in order and proportion, not in size.

Inter: rho over the classes of a step. Intra: rho over the steps for a class; over the sample's own steps, so
that no sample depends on its batch (the paper correlates over the batch). Both are invariant to positive
affine maps of the probabilities, which a teacher of another size or training differs by. Rows and classes
that the teacher holds constant have no correlation and are left out, with them the classes that it never sees
(no more than CONSTANT). Needs equal L; `mask` as in distill.frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import frames
from distill.frames import TEMPERATURES, WEIGHTS, masked_mean
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.models import Output

PAPER = "Huang, You, Wang, Qian, Xu 2022"
FORMULA = "tau^2 (beta (1 - mean_t rho(p_s[t,:], p_t[t,:])) + gamma (1 - mean_c rho(p_s[:,c], p_t[:,c])))"
CONSTANT = 1e-6  # a vector of probabilities that varies by less is constant


@dataclass
class Settings(Weighted):
    """The temperature, the weights of the two correlations, and the steps that count."""

    temperature: float = 1.0  # the authors take 4 for small sets
    beta: float = 1.0  # weight of the correlation over classes
    gamma: float = 1.0  # weight of the correlation over steps
    mask: str = "all"  # all, non-blank, symmetric or soft
    reach: int = 2  # symmetric: steps this far from a spike count too

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.dist.", temperature=TEMPERATURES, beta=WEIGHTS, gamma=WEIGHTS)
        frames.check_mask("dist", self.mask, self.reach)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times what both correlations lack of 1, [N]."""
        of = self.settings
        with torch.autocast(output.logits.device.type, enabled=False):
            weights = frames.mask(of.mask, frames.rows(lesson.log_probs), of.reach)
            teacher = frames.rows(lesson.log_probs, of.temperature).exp()
            student = frames.rows(output.logits, of.temperature).exp()
            far, told = distance(student, teacher, torch.ones_like(teacher))
            inter = masked_mean(far, told * weights)
            steps = weights[:, None].expand_as(teacher.transpose(1, 2))  # [N,C,L]
            intra = masked_mean(*distance(student.transpose(1, 2), teacher.transpose(1, 2), steps))
            return of.temperature**2 * (of.beta * inter + of.gamma * intra)


def distance(student: Tensor, teacher: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """1 - Pearson's rho along the last axis under weights, and 1 or 0: whether the teacher varies at all."""
    mine, theirs = _direction(student, weights), _direction(teacher, weights)
    return 1 - (mine * theirs).sum(-1), (theirs.square().sum(-1) > 0.5).float()


def _direction(values: Tensor, weights: Tensor) -> Tensor:
    """Values less their mean, at length 1 (0 for constants): the product of two such is Pearson's rho."""
    centred = values - masked_mean(values, weights).unsqueeze(-1)
    return functional.normalize(centred * weights.sqrt(), dim=-1, eps=CONSTANT)
