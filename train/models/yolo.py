"""Words as boxes or quads on three grids, after YOLOv5's trunk and neck (v6.0), with a head of our own.

The head is free of anchors: every cell of the strides 8, 16 and 32 answers one logit, that a word is found
from here, and the word's sides (or corners) as distances from the cell's centre; `train.tasks.boxes` says how
they are meant. Features bear YOLOv5's layer numbers, layer0 to layer23, so that its published taps name ours.
Parameters with one class: n 1,765,270, s 7,022,326, m 20,871,318, l 46,138,294, x 86,217,814 as published for
its head with anchors; ours are within 2 %.
Letters: N samples, L cells of all levels, C box terms, H W pixels, D channels, h w of a level.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks.cells import Finder, answers, joined
from train.blocks.csp import Partial, Pyramid, conv
from train.models import Output

STRIDES = (8, 16, 32)
# share of layers, share of widths; p is smaller than any of YOLOv5's
SIZES = {"p": (0.33, 0.125), "n": (0.33, 0.25), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0),
         "x": (1.33, 1.25)}  # fmt: skip
RARE = 0.01  # of the cells find a word, says an untrained head (Lin et al. 2017)


@dataclass(frozen=True, slots=True)
class Settings:
    """A size, or shares of depth and width of one's own."""

    size: Literal["p", "n", "s", "m", "l", "x"] = "n"  # of YOLOv5's; p = half as wide as n
    depth: float = 0.0  # share of YOLOv5-l's layers, 0 = as the size says
    width: float = 0.0  # share of YOLOv5-l's channels, 0 = as the size says

    def __post_init__(self) -> None:
        for name, value in (("depth", self.depth), ("width", self.width)):
            if not 0 <= value <= 4:
                raise BadSettings(f"model.{name}: {value}, must be a share between 0 and 4; 0 = by size")

    @property
    def shares(self) -> tuple[float, float]:
        """Of depth and width."""
        depth, width = SIZES[self.size]
        return self.depth or depth, self.width or width


class Model(Finder):
    """A `Finder` of three levels."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, STRIDES)
        layers = _layers(*settings.shares, image.depth)
        for number, layer in layers.items():
            self.add_module(f"layer{number}", layer)
        widths: list[Any] = [layers[number].width for number in OUT]
        self.head = nn.ModuleList(answers(width, channels, RARE) for width in widths)

    def of_edge(self, images: Tensor) -> Output:
        """Logits by level, then row, then column; features: every layer that computes, [N,D,h,w]."""
        found: dict[int, Tensor] = {}
        for number, sources in ROUTE:
            into = images if not sources else torch.cat([found[source] for source in sources], 1)
            layer = self.get_submodule(f"layer{number}") if number not in UP else None
            found[number] = layer(into) if layer is not None else functional.interpolate(into, scale_factor=2)
        levels = [head(found[number]) for head, number in zip(self.head, OUT, strict=True)]
        return joined(levels, {f"layer{n}": value for n, value in found.items() if n not in UP})


# layer number, and whose answers come in (joined); UP are doublings of the grid, OUT the levels of the head
ROUTE = (
    (0, ()), (1, (0,)), (2, (1,)), (3, (2,)), (4, (3,)), (5, (4,)), (6, (5,)), (7, (6,)), (8, (7,)),
    (9, (8,)), (10, (9,)), (11, (10,)), (13, (11, 6)), (14, (13,)), (15, (14,)), (17, (15, 4)), (18, (17,)),
    (20, (18, 14)), (21, (20,)), (23, (21, 10)),
)  # fmt: skip
UP, OUT = (11, 15), (17, 20, 23)


def _layers(depth: float, width: float, image_depth: int) -> dict[int, nn.Module]:
    """The layers that have weights, by YOLOv5's numbers."""

    def wide(channels: int) -> int:
        return max(8, math.ceil(channels * width / 8) * 8)

    def deep(count: int) -> int:
        return max(1, round(count * depth))

    a, b, c, d, e = (wide(channels) for channels in (64, 128, 256, 512, 1024))
    return {
        0: conv(image_depth, a, 6, 2, 2), 1: conv(a, b, 3, 2), 2: Partial(b, b, deep(3)),
        3: conv(b, c, 3, 2), 4: Partial(c, c, deep(6)), 5: conv(c, d, 3, 2), 6: Partial(d, d, deep(9)),
        7: conv(d, e, 3, 2), 8: Partial(e, e, deep(3)), 9: Pyramid(e, e), 10: conv(e, d),
        13: Partial(2 * d, d, deep(3), False), 14: conv(d, c), 17: Partial(2 * c, c, deep(3), False),
        18: conv(c, c, 3, 2), 20: Partial(2 * c, d, deep(3), False), 21: conv(d, d, 3, 2),
        23: Partial(2 * d, e, deep(3), False),
    }  # fmt: skip
