"""Soft text maps: each cell's probability of text, compared where the teacher sees text and around it.

A binary map carries little beside its outline, and most of a photograph is no text: so the two-class
divergence is meant over the cells that the teacher finds text in, and a ring around them. A sample in which
it finds none costs 0. The first term of a cell is the logit of text; each level is a map of its own.
Letters: N samples, L cells of all levels, h w of a level.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill import cells
from distill.frames import TEMPERATURES
from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from shards.typed import check_ranges
from train.models import Output

PAPER = "Hinton, Vinyals, Dean 2015, on the probability map of Liao et al. 2020"
FORMULA = (
    "sum over levels of tau^2 mean_M KL(sig(z_t/tau), sig(z_s/tau)), M = [sig z_t > .3] and a ring around"
)


@dataclass
class Settings(Weighted):
    """The temperature and the cells that count."""

    temperature: float = 1.0  # above 1, small probabilities weigh more
    threshold: float = 0.3  # probability of the teacher from which a cell is text
    ring: int = 2  # cells around text that count too

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.map_kl.", temperature=TEMPERATURES, threshold=(0, 1))
        if self.ring < 0:
            raise BadSettings(f"method.map_kl.ring: {self.ring}, must be at least 0")


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("map_kl", sides)
        self.settings = settings

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the levels, [N]."""
        assert lesson.cells is not None
        tau = self.settings.temperature
        with torch.autocast(output.logits.device.type, enabled=False):
            said, told = (cells.text(terms, output.grids) for terms in (output.logits, lesson.cells))
            losses = [
                cells.mean_over(tau**2 * cells.binary_kl(teacher / tau, student / tau), self.near(teacher))
                for student, teacher in zip(said, told, strict=True)
            ]
            return torch.stack(losses).sum(0)

    def near(self, teacher: Tensor) -> Tensor:
        """1 where the teacher's logits [N,h,w] find text and in the ring around, else 0, float [N,h,w]."""
        text = (teacher.sigmoid() > self.settings.threshold).float()
        ring = self.settings.ring
        return functional.max_pool2d(text[:, None], 2 * ring + 1, stride=1, padding=ring)[:, 0]
