"""ShuffleNetV2 (Ma et al. 2018): half of the channels passes each unit untouched; read column by column.

After zhiqwang/crnn.pytorch: the first convolution at full size and no pooling behind it; 7,393,354 parameters
at 3 input channels and 5,990 classes, 83 % of them the classifier's. L = W/8, rounded up.
Letters: N samples, D numbers per position, H W pixels.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks import recogniser
from train.blocks.convolution import conv, halved, halvings

UNITS = (3, 7, 3)  # of a stage, behind the one that halves


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """How wide; as published for x0.5: 24,48,96,192,1024."""

    channels: list[int] = field(
        default_factory=lambda: [24, 116, 232, 464, 1024]
    )  # of the first convolution, of the three stages, of the last convolution
    column: int = 8  # pixels of width for a time step: 1, 2, 4 or 8

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        if len(self.channels) != 5 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs five positive widths")
        if odd := [width for width in self.channels[1:4] if width % 2]:
            raise BadSettings(f"model.channels: {odd[0]}, the stages are split in halves: give an even width")
        halvings(3, self.column)


class Unit(nn.Module):
    """Half of the channels as they are, half filtered; the two interleaved: [N,D,h,w] to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.right = _filtered(width // 2, width // 2, (1, 1))

    def forward(self, values: Tensor) -> Tensor:
        """Channels left, right, left, right, ..."""
        left, right = values.chunk(2, 1)
        return _interleaved(left, self.right(right))


class Halving(nn.Module):
    """Both halves of what leaves are filtered from all that came: [N,into,h,w] to [N,out,h/2,w/2 or w]."""

    def __init__(self, into: int, out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.left = nn.Sequential(
            conv(into, into, 3, stride=stride, groups=into, act=None), conv(into, out // 2, 1)
        )
        self.right = _filtered(into, out // 2, stride)

    def forward(self, values: Tensor) -> Tensor:
        """Channels left, right, left, right, ..."""
        return _interleaved(self.left(values), self.right(values))


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,H/8,W/column]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        stem, *stages, self.width = settings.channels
        self.column, into = settings.column, stem
        self.stem = conv(depth, stem, 3)
        strides = halvings(3, settings.column)
        for i, (out, units, stride) in enumerate(zip(stages, UNITS, strides, strict=True), 1):
            more = [Unit(out) for _ in range(units)]
            self.add_module(f"stage{i}", nn.Sequential(Halving(into, out, stride), *more))
            into = out
        self.last = conv(into, self.width, 1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return halved(height, 8), halved(width, self.column)


def _filtered(into: int, out: int, stride: tuple[int, int]) -> nn.Sequential:
    """1x1, a 3x3 of each channel on its own, 1x1."""
    return nn.Sequential(
        conv(into, out, 1), conv(out, out, 3, stride=stride, groups=out, act=None), conv(out, out, 1)
    )


def _interleaved(left: Tensor, right: Tensor) -> Tensor:
    return torch.stack([left, right], 2).flatten(1, 2)


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: stem, stage1 to stage3, last."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
