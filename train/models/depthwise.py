"""A CRNN of depthwise separable convolutions (Howard et al. 2017) behind a spatial transformer.

After gasparian/CRNN-OCR-lite, whose 2,831,027 numbers at 32x100 grey and 38 classes are 2,823,089 that are
trained and 7,938 running statistics. Here 2,826,161 are trained: a gate of torch's GRU has two biases where
Keras' has one, 3,072 more; its gates are true sigmoids, its column vector is centred, not rectified.
L = (W + 4)/2.
Letters: N samples, D numbers per position, H W pixels.
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.typed import check_ranges
from train.blocks import recogniser
from train.blocks.convolution import conv

BORDER = 2  # pixels of zeros put around the picture
POOLS = {2: (2, 2), 4: (2, 1)}  # (of the height, of the width), by the block they stand behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """Widths of the seven blocks."""

    channels: list[int] = field(default_factory=lambda: [64, 128, 256, 256, 512, 512, 512])  # of the blocks
    block_dropout: float = 0.1  # share zeroed behind each block
    stn: bool = True
    columns: recogniser.Columns = "joined"
    map_to_seq: int = 128
    column_norm: bool = True
    head: recogniser.Head = "gru"
    between: Literal["joined", "summed", "dense"] = "summed"
    dropout: float = 0.2

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        check_ranges(self, "model.", block_dropout=(0, 0.99))
        if len(self.channels) != 7 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs seven positive widths")


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,(H+4)/4,(W+4)/2]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        self.width, into = settings.channels[-1], depth
        for i, out in enumerate(settings.channels):
            layers: list[nn.Module] = [nn.ZeroPad2d(BORDER)] if i == 0 else []
            layers += [conv(into, into, 3, groups=into, act=nn.ReLU6), conv(into, out, 1, act=nn.ReLU6)]
            layers += [nn.MaxPool2d(POOLS[i])] if i in POOLS else []
            self.add_module(f"block{i}", nn.Sequential(*layers, nn.Dropout(settings.block_dropout)))
            into = out

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return (height + 2 * BORDER) // 4, (width + 2 * BORDER) // 2


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: block0 to block6."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
