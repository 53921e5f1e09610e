"""CRNN (Shi, Bai, Yao 2015): seven convolutions, two bidirectional LSTMs, one classifier per column.

Sizes and parameter names are those of GitYCC/crnn-pytorch, so published weights load by name: at 37 classes
and 32x100 grey the defaults have 7,839,077 parameters, channels 16,32,64,64,128,128,128 with map_to_seq 32
and rnn_hidden 128 have 922,629. A column is 4 pixels wide: L = W/4 - 1, 24 at width 100; with `overlap`
L = W/4 + 1, 26 at width 100. Presets: crnn_rgb is tuongtranngoc/CRNN-Text-Recognition's, 8,724,133 on rgb;
crnn_shi is meijieru/crnn.pytorch's, 8,331,301.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks import recogniser

LEAK = 0.2  # the slope of GitYCC/crnn-pytorch's leaky_relu
STAGES = {1: "stem", 3: "conv3", 5: "conv5", 6: "conv6"}  # features, by the convolution they stand behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """Widths and normalisations of the seven convolutions."""

    channels: list[int] = field(
        default_factory=lambda: [64, 128, 256, 256, 512, 512, 512]
    )  # of the convolutions
    norms: list[int] = field(default_factory=lambda: [4, 5])  # convolutions, 0 to 6, with batch normalisation
    norm_bias: bool = True  # convolutions with batch normalisation have a bias too, which it takes out again
    overlap: bool = False  # the last two poolings overlap along the width: two columns more
    leaky_relu: bool = False  # leaky instead of plain ReLU between the convolutions
    columns: recogniser.Columns = "joined"
    map_to_seq: int = 64
    head: recogniser.Head = "lstm"

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        if len(self.channels) != 7 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs seven positive widths")
        if not set(self.norms) <= set(range(7)):
            raise BadSettings(f"model.norms: {self.norms}, the convolutions are 0 to 6")


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to columns [N,D,H/16-1,L], with the stages on the way."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        self.width, self.extra = settings.channels[-1], 1 if settings.overlap else -1
        square = nn.MaxPool2d(2)
        flat = nn.MaxPool2d(2, (2, 1), (0, 1)) if settings.overlap else nn.MaxPool2d((2, 1))
        pools = {0: square, 1: square, 3: flat, 5: flat}
        widths = [depth, *settings.channels]
        for i in range(7):
            normed, kernel = i in settings.norms, 2 if i == 6 else 3
            conv = nn.Conv2d(
                widths[i], widths[i + 1], kernel, padding=kernel // 3, bias=settings.norm_bias or not normed
            )
            self.add_module(f"conv{i}", conv)
            self.add_module(f"batchnorm{i}", nn.BatchNorm2d(widths[i + 1]) if normed else nn.Identity())
            self.add_module(f"pool{i}", pools.get(i, nn.Identity()))
        self.act = nn.LeakyReLU(LEAK, inplace=True) if settings.leaky_relu else nn.ReLU(inplace=True)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the columns."""
        return height // 16 - 1, width // 4 + self.extra

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The stages by name, the columns last."""
        stages, values = {}, images
        for i in range(7):
            conv, norm, pool = (self.get_submodule(f"{part}{i}") for part in ("conv", "batchnorm", "pool"))
            # Pooling before the activation: a rising function and a maximum commute, and it is cheaper.
            values = self.act(pool(norm(conv(values))))
            if i in STAGES:
                stages[STAGES[i]] = values
        return stages


class Model(recogniser.Recogniser):
    """A `Recogniser` at widths that are multiples of 4; the trunk's features: stem, conv3, conv5, conv6."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        if image.height < 32 or image.height % 16:
            raise BadSettings(f"image.height: {image.height}, crnn halves it four times: 32, 48, 64, ...")
        for width in image.edges:
            if width < 8 or width % 4:
                raise BadSettings(f"image.width: {width}, crnn has columns of 4 pixels: 8, 12, 16, ...")
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
