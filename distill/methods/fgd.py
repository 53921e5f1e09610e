"""Focal and global distillation (FGD, Yang et al. 2022): words and background apart, where the teacher looks.

Squared differences weigh by the teacher's attention to positions and to channels. Each word's cells share a
weight of 1, so that small words weigh as much as large ones; where words overlap, the smaller one counts.
The student's attentions follow the teacher's, and so does what a block of global context makes of each side;
these blocks are parameters of the method. All terms are sums, as the paper has them: hence the small weights.
Letters: N samples, M words, D channels, h w of a map.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill import maps
from distill.adapters import Adapters, Tapped
from distill.frames import TEMPERATURES, WEIGHTS
from distill.lesson import Lesson
from distill.methods import Sides
from shards.typed import check_ranges
from train.models import Output

PAPER = "Yang, Li, Jiang, Gong, Yuan, Zhao, Yuan 2022; global context of Cao et al. 2019"
FORMULA = (
    "a sum M_fg A_s A_c d^2 + b sum M_bg A_s A_c d^2 + g |A(F_t) - A(F_s)|_1 + l sum (GC F_s - GC F_t)^2"
)


@dataclass
class Settings(Tapped):
    """Which features are compared, and the weights of the terms; by default those of one-stage models."""

    words: float = 1e-3  # weight of the cells of words
    background: float = 5e-4  # weight of the other cells
    attention: float = 5e-4  # weight of the attentions' difference
    context: float = 5e-6  # weight of the global context
    temperature: float = 0.5  # of the attentions; below 1, fewer positions and channels stand out

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = dict.fromkeys(("words", "background", "attention", "context"), WEIGHTS)
        check_ranges(self, self.key, temperature=TEMPERATURES, **weights)


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"features"})
    divergence = True

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        maps.check("fgd", sides)
        self.settings, self.adapters = settings, Adapters(settings, sides)
        self.taps = self.adapters.taps
        widths = [sides.teacher.features[tap][0] for tap in settings.taps]
        self.mine, self.theirs = (nn.ModuleList(Context(width) for width in widths) for _ in range(2))

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The sum over the taps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            pairs = self.adapters.pairs(output, lesson)
            losses = []
            for (student, teacher), mine, theirs in zip(pairs, self.mine, self.theirs, strict=True):
                far = (mine(student) - theirs(teacher)).square().flatten(1).sum(1)
                losses.append(self.focal(student, teacher, lesson) + self.settings.context * far)
            return torch.stack(losses).sum(0)

    def focal(self, student: Tensor, teacher: Tensor, lesson: Lesson) -> Tensor:
        """The words', the background's and the attentions' terms of maps [N,D,h,w], [N]."""
        s = self.settings
        foreground, background = weights(*maps.words(lesson, maps.grid(student)))
        places, channels = attention(teacher, s.temperature)
        far = places * channels * (student - teacher).square()
        focal = (s.words * foreground + s.background * background) * far
        mine = attention(student, s.temperature)
        looks = sum((a - b).abs().flatten(1).sum(1) for a, b in zip(mine, (places, channels), strict=True))
        return focal.flatten(1).sum(1) + s.attention * looks


def attention(feature: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """How active a map [N,D,h,w] is at positions [N,1,h,w] and in channels [N,D,1,1], with a mean of 1."""
    size = feature.abs()
    places, channels = size.mean(1, keepdim=True), size.mean((2, 3), keepdim=True)
    over = (places.flatten(1) / tau).softmax(1) * places[0].numel()
    return over.view_as(places), (channels / tau).softmax(1) * channels.shape[1]


def weights(words: Tensor, nowhere: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of cells [N,1,h,w] as words and as background: 1 / cells of the smallest word that covers
    one; 1 / cells without any. words bool [N,M,h,w], nowhere bool [N,1,h,w].
    """
    areas = words.sum((2, 3), keepdim=True).clamp(min=1)
    outside = nowhere.sum((2, 3), keepdim=True).clamp(min=1)
    return (words / areas).amax(1, keepdim=True), nowhere / outside


class Context(nn.Module):
    """Adds to every position what is seen where the block looks (Cao et al. 2019): [N,D,h,w] to the same.

    An untrained one adds nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(width // 2, 1)
        self.look = nn.Conv2d(width, 1, 1)
        self.into, self.norm, self.out = (
            nn.Linear(width, narrow),
            nn.LayerNorm(narrow),
            nn.Linear(narrow, width),
        )
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, feature: Tensor) -> Tensor:
        """See the class."""
        looks = self.look(feature).flatten(2).softmax(2)  # [N,1,hw]
        seen = (feature.flatten(2) * looks).sum(2)
        added = self.out(self.norm(self.into(seen)).relu())
        return feature + added[..., None, None]
