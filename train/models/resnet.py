"""ResNet-18 of pre-activation blocks (He et al. 2016, "Identity mappings"), read column by column.

After zhiqwang/crnn.pytorch: a 3x3 convolution at full size, four stages of two blocks, no last normalisation;
14,238,886 parameters at 3 input channels and 5,990 classes. L = W/8, rounded up.
Letters: N samples, D numbers per position, H W pixels.
"""

from dataclasses import dataclass, field

from torch import nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks import recogniser
from train.blocks.convolution import halved, halvings
from train.blocks.residual import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """Widths and depth of the stages."""

    channels: list[int] = field(default_factory=lambda: [64, 128, 256, 512])  # of the stages
    blocks: int = 2  # in a stage
    column: int = 8  # pixels of width for a time step: 1, 2, 4 or 8

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        if len(self.channels) != 4 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs four positive widths")
        if self.blocks < 1:
            raise BadSettings(f"model.blocks: {self.blocks}, must be at least 1")
        halvings(3, self.column)


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,H/8,W/column]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        self.width, self.column = settings.channels[-1], settings.column
        self.stem = nn.Conv2d(depth, settings.channels[0], 3, padding=1, bias=False)
        into, strides = settings.channels[0], [(1, 1), *halvings(3, settings.column)]
        for i, (out, stride) in enumerate(zip(settings.channels, strides, strict=True), 1):
            more = [Block(out, out, (1, 1)) for _ in range(settings.blocks - 1)]
            self.add_module(f"stage{i}", nn.Sequential(Block(into, out, stride), *more))
            into = out

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return halved(height, 8), halved(width, self.column)


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: stem, stage1 to stage4."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
