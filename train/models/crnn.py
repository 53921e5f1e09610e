"""CRNN (Shi, Bai, Yao 2015): seven convolutions, two bidirectional LSTMs, one classifier per column.

Sizes and parameter names are those of GitYCC/crnn-pytorch, so published weights load by name: at 37 classes
and 32x100 grey the defaults have 7,839,077 parameters, channels 16,32,64,64,128,128,128 with map_to_seq 32
and rnn_hidden 128 have 922,629. A column is 4 pixels wide: L = W/4 - 1, 24 at width 100.
Letters: N samples, L time steps, C classes, D numbers per step, H W pixels.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.models import Output

LEAK = 0.2  # the slope of GitYCC/crnn-pytorch's leaky_relu


@dataclass(frozen=True, slots=True)
class Settings:
    """Widths of the seven convolutions, of the column vector and of one direction of each LSTM."""

    channels: list[int] = field(
        default_factory=lambda: [64, 128, 256, 256, 512, 512, 512]
    )  # of the convolutions
    map_to_seq: int = 64  # width of the column vector that the first LSTM reads
    rnn_hidden: int = 256  # width of one direction of each LSTM
    leaky_relu: bool = False  # leaky instead of plain ReLU between the convolutions

    def __post_init__(self) -> None:
        if len(self.channels) != 7 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs seven positive widths")
        for name in ("map_to_seq", "rnn_hidden"):
            if getattr(self, name) < 1:
                raise BadSettings(f"model.{name}: {getattr(self, name)}, must be at least 1")


class Trunk(nn.Module):
    """Images [N,C,H,W] to columns [N,D,H/16-1,W/4-1], with the stages on the way."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        c0, c1, c2, c3, c4, c5, c6 = settings.channels
        self.conv0 = nn.Conv2d(depth, c0, 3, padding=1)
        self.conv1 = nn.Conv2d(c0, c1, 3, padding=1)
        self.conv2 = nn.Conv2d(c1, c2, 3, padding=1)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1)
        self.batchnorm4 = nn.BatchNorm2d(c4)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1)
        self.batchnorm5 = nn.BatchNorm2d(c5)
        self.conv6 = nn.Conv2d(c5, c6, 2)
        self.square, self.flat = nn.MaxPool2d(2), nn.MaxPool2d((2, 1))
        self.act = nn.LeakyReLU(LEAK, inplace=True) if settings.leaky_relu else nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The stages by name, the columns last."""
        # Pooling before the activation: a rising function and a maximum commute, and it is 4 times cheaper.
        stem = self.act(self.square(self.conv0(images)))
        stem = self.act(self.square(self.conv1(stem)))
        conv3 = self.act(self.flat(self.conv3(self.act(self.conv2(stem)))))
        conv4 = self.act(self.batchnorm4(self.conv4(conv3)))
        conv5 = self.act(self.flat(self.batchnorm5(self.conv5(conv4))))
        return {"stem": stem, "conv3": conv3, "conv5": conv5, "conv6": self.act(self.conv6(conv5))}


class Model(nn.Module):
    """Images [N,C,H,W] to `Output` with logits [N,L,channels]; any width that is a multiple of 4 runs.

    Features: stem, conv3, conv5, conv6 [N,D,h,w]; sequence, rnn1, rnn2 [N,L,D].
    """

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__()
        if image.height < 32 or image.height % 16:
            raise BadSettings(f"image.height: {image.height}, crnn halves it four times: 32, 48, 64, ...")
        if image.width < 8 or image.width % 4:
            raise BadSettings(f"image.width: {image.width}, crnn has columns of 4 pixels: 8, 12, 16, ...")
        self.settings, self.image, self.channels = settings, image, channels
        self.frames = image.width // 4 - 1
        hidden = settings.rnn_hidden
        self.cnn = Trunk(settings, image.depth)
        self.map_to_seq = nn.Linear(settings.channels[6] * (image.height // 16 - 1), settings.map_to_seq)
        # Single-layer stacks with batch_first: a two-layer LSTM does not export to ONNX with a free width.
        self.rnn1 = nn.LSTM(settings.map_to_seq, hidden, bidirectional=True, batch_first=True)
        self.rnn2 = nn.LSTM(2 * hidden, hidden, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(2 * hidden, channels)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Output:
        """Logits [N,L,C] and every intermediate by name."""
        features = self.cnn(images)
        # [N,D,h,L] -> [N,L,D*h], the channel outermost as in the published weights
        columns = features["conv6"].permute(0, 3, 1, 2).flatten(2)
        features["sequence"] = self.map_to_seq(columns)
        features["rnn1"] = self.rnn1(features["sequence"])[0]
        features["rnn2"] = self.rnn2(features["rnn1"])[0]
        return Output(self.dense(features["rnn2"]), features=features)


def _initialise(module: nn.Module) -> None:
    """He for what precedes a rectifier, Glorot elsewhere, orthogonal recurrences with an open forget gate."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.LSTM):
        for name, value in module.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(value)
                if name.startswith("bias_ih"):
                    nn.init.ones_(value.data.chunk(4)[1])  # gates: i, f, g, o
            else:
                for gate in value.data.chunk(4):
                    (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)
