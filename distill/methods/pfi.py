"""Prediction-guided features (PFI, Li et al. 2022): features are compared where answers differ.

How far the scores of a cell differ weighs how far its features do, so nothing is taught where the student
answers as its teacher does, however it gets there. The weight carries no gradient. The taps are the
levels of the head: as many, in their order, on the same grids.
Letters: N samples, L cells of all levels, D channels, h w of a level.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import cells, maps
from distill.adapters import Adapters, Tapped
from distill.lesson import Lesson
from distill.methods import Sides
from shards.errors import BadSettings
from train.models import Output

PAPER = "Li, Li, Wu, Gong, Wang, Liang, Zhou 2022 (PGD; RM and PFI)"
FORMULA = "sum over levels of mean_hw (Pd Fd)^2, Pd = (sig z_t - sig z_s)^2, Fd = mean_D (A F_s - F_t)^2"


@dataclass
class Settings(Tapped):
    """Which features are compared, one of each level."""

    inside: bool = False  # only cells that overlap a word count, and the mean is over them


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"cells", "features"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        cells.check("pfi", sides)
        if settings.inside:
            maps.check("pfi", sides)
        self.inside, self.adapters = settings.inside, Adapters(settings, sides)
        self.taps = self.adapters.taps
        names = [mine for mine, _ in settings.pairs]
        shapes = [sides.student.features[name] for name in names]
        sizes = [h * w for _, h, w in shapes]
        if sum(sizes) != sides.student.frames or sizes != sorted(sizes, reverse=True):
            raise BadSettings(
                f"{settings.key}taps: {','.join(names)} of the student are {', '.join(map(str, shapes))}, "
                f"not the grids of its {sides.student.frames} cells, finest first; name the feature of each "
                "level of the head (of yolo: layer17,layer20,layer23)"
            )

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the levels, [N]."""
        assert lesson.cells is not None
        with torch.autocast(output.logits.device.type, enabled=False):
            told, said = (terms[..., 0].detach().float() for terms in (lesson.cells, output.logits))
            answers = cells.levels((told.sigmoid() - said.sigmoid()).square(), output.grids)
            losses = []
            for (student, teacher), answer in zip(self.adapters.pairs(output, lesson), answers, strict=True):
                far = (answer * (student - teacher).square().mean(1)).square()
                mask = (
                    maps.objects(lesson, maps.grid(student))[0][:, 0] if self.inside else torch.ones_like(far)
                )
                losses.append(cells.mean_over(far, mask))
            return torch.stack(losses).sum(0)
