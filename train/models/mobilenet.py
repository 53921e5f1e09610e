"""MobileNetV2 (Sandler et al. 2018): inverted residuals, read column by column.

After zhiqwang/crnn.pytorch: the first two halvings left out; 9,897,062 parameters at 3 input channels and
5,990 classes, most of them the classifier's. L = W/8, rounded up. State names are torchvision's, `cnn` for
`features`.
Letters: N samples, D numbers per position, H W pixels.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from shards.image import ImageSpec
from shards.typed import check_ranges
from train.blocks import recogniser
from train.blocks.convolution import conv, halved, halvings
from train.imagenet import Published

STEM, LAST = 32, 1280  # widths of the first convolution and of the last
ROWS = (  # expansion, width, blocks, whether the first block halves: table 2 of the paper
    (1, 16, 1, False), (6, 24, 2, False), (6, 32, 3, True), (6, 64, 4, True),
    (6, 96, 3, False), (6, 160, 3, True), (6, 320, 1, False),
)  # fmt: skip
IMAGENET = Published("0.0")
STAGES = {0: "stem", 3: "stage2", 6: "stage3", 10: "stage4", 13: "stage5", 16: "stage6", 18: "last"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """How wide."""

    multiplier: float = 1.0  # of all widths, which are then rounded to multiples of 8
    column: int = 8  # pixels of width for a time step: 1, 2, 4 or 8

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        check_ranges(self, "model.", multiplier=(0.01, 16))
        halvings(3, self.column)


class Block(nn.Module):
    """Widened, filtered channel by channel, narrowed without a rectifier; added where shapes agree."""

    def __init__(self, into: int, out: int, expansion: int, stride: tuple[int, int]) -> None:
        super().__init__()
        wide = into * expansion
        widened = [conv(into, wide, 1, act=nn.ReLU6)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widened,
            conv(wide, wide, 3, stride=stride, groups=wide, act=nn.ReLU6),
            *conv(wide, out, 1, act=None),
        )
        self.same = into == out and stride == (1, 1)

    def forward(self, values: Tensor) -> Tensor:
        """[N,into,h,w] to [N,out,h/stride,w/stride]."""
        return values + self.conv(values) if self.same else self.conv(values)


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,H/8,W/column]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        self.column = settings.column
        strides = iter(halvings(3, settings.column))
        into = _eights(STEM * settings.multiplier)
        parts: list[nn.Module] = [conv(depth, into, 3, act=nn.ReLU6)]
        for expansion, width, blocks, halves in ROWS:
            out = _eights(width * settings.multiplier)
            for i in range(blocks):
                stride = next(strides) if halves and i == 0 else (1, 1)
                parts.append(Block(into, out, expansion, stride))
                into = out
        self.width = _eights(LAST * settings.multiplier)
        parts.append(conv(into, self.width, 1, act=nn.ReLU6))
        for i, part in enumerate(parts):
            self.add_module(str(i), part)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return halved(height, 8), halved(width, self.column)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The stages by name."""
        stages = {}
        for i, part in enumerate(self.children()):
            images = part(images)
            if i in STAGES:
                stages[STAGES[i]] = images
        return stages


def _eights(width: float) -> int:
    """The nearest multiple of 8 that is no tenth below `width`, at least 8."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: stem, stage2 to stage6, last."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
