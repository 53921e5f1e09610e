"""Channel-wise distillation (CWD, Shu et al. 2021): where on the map a channel is active, not how strongly.

The softmax over all positions makes each channel of either side a distribution; a constant added to a channel
changes nothing. Beside features, the map of the text logit of each level is such a channel. taps=[] compares
that alone.
Letters: N samples, D channels, h w of a map.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from distill import cells
from distill.adapters import Adapters, Tapped
from distill.frames import TEMPERATURES, WEIGHTS, kl, rows
from distill.lesson import Lesson
from distill.methods import Sides
from shards.errors import BadSettings
from shards.typed import check_ranges
from train.models import Output

PAPER = "Shu, Liu, Gao, Yan, Shen 2021"
FORMULA = (
    "sum over maps of tau^2 mean_D KL(phi_t, phi_s), phi = softmax over the positions at temperature tau"
)


@dataclass
class Settings(Tapped):
    """The temperature, and which maps are compared."""

    least: ClassVar[int] = 0

    temperature: float = 1.0  # above 1, faint positions weigh more
    text: float = 1.0  # weight of the maps of the text logit; 0 asks the teacher for no cells

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, self.key, temperature=TEMPERATURES, text=WEIGHTS)
        if not self.taps and not self.text:
            raise BadSettings(
                "method.cwd: taps is empty and text is 0, so nothing is compared; name a feature"
            )


class Method(nn.Module):
    """See distill.methods."""

    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau, self.text = settings.temperature, settings.text
        self.adapters = Adapters(settings, sides, offset=False)  # a constant of a channel changes nothing
        self.taps = self.adapters.taps
        self.needs = frozenset({"features"} if self.taps else ()) | frozenset({"cells"} if self.text else ())
        if self.text:
            cells.check("cwd", sides)

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """tau^2 times the mean over the channels of KL(teacher, student), summed over the maps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            losses = [self.apart(*pair) for pair in self.adapters.pairs(output, lesson)]
            if self.text:
                assert lesson.cells is not None
                said, told = (cells.text(terms, output.grids) for terms in (output.logits, lesson.cells))
                losses += [
                    self.text * self.apart(s[:, None], t[:, None]) for s, t in zip(said, told, strict=True)
                ]
            return torch.stack(losses).sum(0)

    def apart(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The mean over the channels of maps [N,D,h,w], [N]."""
        told, said = rows(teacher.flatten(2), self.tau), rows(student.flatten(2), self.tau)
        return self.tau**2 * kl(told, said).mean(1)
