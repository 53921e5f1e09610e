"""DenseNet (Huang et al. 2017), bottlenecks and compression, read column by column.

After zhiqwang/crnn.pytorch: a 3x3 convolution at full size, bare of normalisation and pooling. At 3 input
channels and 5,990 classes the defaults have 2,820,302 parameters (342 numbers a column, L = W/4), blocks
6,12,24,16 with column 8 have 3,302,918 (384, L = W/8); rounded down. State names are torchvision's, `cnn` for
`features`.
Letters: N samples, D numbers per position, H W pixels.
"""

import re
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.typed import check_ranges
from train.blocks import recogniser
from train.blocks.convolution import halvings
from train.imagenet import Published

OLDER = r"(denselayer\d+\.(?:norm|conv))\.([12])"  # norm.1 for norm1, as the published densenet121 has it
# What normalises behind its first convolution has no counterpart here.
IMAGENET = Published("conv0", lambda name: re.sub(OLDER, r"\1\2", name), "features.norm0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """Depth and widths; densenet121 as published has growth 32, initial 64, blocks 6,12,24,16."""

    growth: int = 12  # numbers that a layer adds
    initial: int = 24  # width of the first convolution
    bottleneck: int = 4  # width inside a layer, in growths
    compression: float = 0.5  # share of the width that a transition keeps
    blocks: list[int] = field(default_factory=lambda: [16, 16, 16])  # layers of each block
    column: int = 4  # pixels of width for a time step: 1, 2, 4, ..., at most as often halved as the height

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        check_ranges(self, "model.", compression=(0.01, 1))
        for name in ("growth", "initial", "bottleneck"):
            if getattr(self, name) < 1:
                raise BadSettings(f"model.{name}: {getattr(self, name)}, must be at least 1")
        if not self.blocks or min(self.blocks) < 1:
            raise BadSettings(f"model.blocks: {self.blocks}, each block needs a layer")
        halvings(len(self.blocks) - 1, self.column)


class Layer(nn.Module):
    """norm, relu, 1x1, norm, relu, 3x3: [N,D,h,w] to [N,D+growth,h,w]."""

    def __init__(self, into: int, growth: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(into)
        self.conv1 = nn.Conv2d(into, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """What came in, and what is new."""
        inner = self.conv1(self.norm1(values).relu())
        return torch.cat([values, self.conv2(self.norm2(inner).relu())], 1)


class Transition(nn.Module):
    """norm, relu, 1x1, mean over a window of `stride`."""

    def __init__(self, into: int, out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(into)
        self.conv = nn.Conv2d(into, out, 1, bias=False)
        self.pool = nn.AvgPool2d(stride)

    def forward(self, values: Tensor) -> Tensor:
        """[N,into,h,w] to [N,out,h/2,w/2 or w]."""
        return self.pool(self.conv(self.norm(values).relu()))


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,H/2^transitions,W/column]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        strides = halvings(len(settings.blocks) - 1, settings.column)
        self.column, self.halved, into = settings.column, 2 ** len(strides), settings.initial
        self.conv0 = nn.Conv2d(depth, into, 3, padding=1, bias=False)
        for i, layers in enumerate(settings.blocks, 1):
            block = nn.Sequential()
            for j in range(1, layers + 1):
                layer = Layer(into, settings.growth, settings.bottleneck * settings.growth)
                block.add_module(f"denselayer{j}", layer)
                into += settings.growth
            self.add_module(f"denseblock{i}", block)
            if i <= len(strides):
                out = max(1, int(into * settings.compression))
                self.add_module(f"transition{i}", Transition(into, out, strides[i - 1]))
                into = out
        self.norm5, self.width = nn.BatchNorm2d(into), into

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return height // self.halved, width // self.column

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The stages by name; the last is rectified."""
        stages = recogniser.Trunk.forward(self, images)
        stages["norm5"] = stages["norm5"].relu()
        return stages


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: conv0, denseblock1, transition1, ..., norm5."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
