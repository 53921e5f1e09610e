"""SVTR (Du et al. 2022; as SVTRv2, Du et al. 2024): mixing blocks, near by convolution, far by attention.

After SVTRv2-T (5.13 M parameters), whose widths, depths and heads the defaults are; 5,110,917 at 37 classes
on grey. What differs: the height is halved twice, where SVTRv2 halves it once; norms precede what they feed;
of the rearrangement before CTC only the choice among a column's rows is kept (`columns=attended`), a fourth
block of the last stage stands for the rest; there is no semantic guidance.
There is no table of positions: zero padding tells the convolutions where they are, so any width runs.
L = W/4, rounded up: 25 at width 100. Weights begin as every recogniser's do: with the normal distribution of
.02 that is usual for transformers in the classifier alone, svtr_nano was still among the blanks after 400
steps of 32 rendered words, and begins to leave them before 300 from here (optim.lr=.003).
Letters: N samples, D numbers per position, H W pixels, h w rows and columns of a stage.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.typed import check_ranges
from train.blocks import recogniser
from train.blocks.convolution import conv, halved

REACH = 5  # rows and columns that a local block looks over, its own in the middle
STAGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(recogniser.Settings):
    """Widths and depths of the three stages."""

    channels: list[int] = field(default_factory=lambda: [64, 128, 256])  # of the stages
    blocks: list[int] = field(default_factory=lambda: [3, 6, 4])  # of the stages
    local: int = 6  # blocks, counted from the first, that mix neighbours; the others mix all positions
    head_width: int = 32  # channels of an attention head, and of a group of a convolution
    expansion: int = 4  # inner width of an MLP, in widths of its stage
    drop_path: float = 0.0  # share of samples that pass by the last block; earlier ones less, from 0 on
    columns: recogniser.Columns = "attended"

    def __post_init__(self) -> None:
        recogniser.Settings.__post_init__(self)
        for name in ("head_width", "expansion"):
            if getattr(self, name) < 1:
                raise BadSettings(f"model.{name}: {getattr(self, name)}, must be at least 1")
        for name in ("channels", "blocks"):
            if len(getattr(self, name)) != STAGES or min(getattr(self, name)) < 1:
                raise BadSettings(f"model.{name}: {getattr(self, name)}, give one for each of three stages")
        check_ranges(self, "model.", drop_path=(0, 0.99), local=(0, sum(self.blocks)))
        if odd := [width for width in self.channels if width % self.head_width]:
            raise BadSettings(f"model.channels: {odd[0]}, must be a multiple of head_width={self.head_width}")


class Local(nn.Module):
    """Each group of channels among REACH x REACH neighbours: [N,h,w,D] to the same."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, REACH, padding=REACH // 2, groups=groups)

    def forward(self, values: Tensor) -> Tensor:
        """The convolution; in memory [N,h,w,D] is channels_last, so that nothing is moved."""
        return self.conv(values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Global(nn.Module):
    """Self-attention of several heads over all positions (Vaswani et al. 2017): [N,h,w,D] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        """Queries, keys and values are the thirds of one product."""
        apart = self.enter(values.flatten(1, 2)).unflatten(-1, (3, self.heads, -1))
        queries, keys, told = apart.permute(2, 0, 3, 1, 4)  # each [N,heads,h*w,D/heads]
        mixed = functional.scaled_dot_product_attention(queries, keys, told)
        return self.leave(mixed.transpose(1, 2).reshape(values.shape))


class DropPath(nn.Dropout):
    """Zeroes whole samples of what a block adds and scales the others up (Huang et al. 2016)."""

    def forward(self, input: Tensor) -> Tensor:
        """[N,h,w,D] to the same."""
        if not self.training or not self.p:
            return input
        return input * super().forward(torch.ones_like(input[:, :1, :1, :1]))


class Block(nn.Module):
    """What mixing positions adds to [N,h,w,D], then what an MLP on each adds. at: 0 is the trunk's first."""

    def __init__(self, settings: Settings, width: int, at: int) -> None:
        super().__init__()
        mixing, inner = Local if at < settings.local else Global, settings.expansion * width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixing = mixing(width, width // settings.head_width)
        self.mlp = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.drop = DropPath(settings.drop_path * at / max(1, sum(settings.blocks) - 1))

    def forward(self, values: Tensor) -> Tensor:
        """Both sums."""
        values = values + self.drop(self.mixing(self.norm1(values)))
        return values + self.drop(self.mlp(self.norm2(values)))


class Stage(nn.Module):
    """What leads in, blocks and a norm: [N,into,h,w] to [N,D,h,w], or [N,D,h/2,w] where `first` halves."""

    def __init__(self, first: nn.Module, blocks: list[Block], width: int) -> None:
        super().__init__()
        self.first, self.blocks, self.norm = first, nn.Sequential(*blocks), nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """The channel last within, second without."""
        values = self.first(values).permute(0, 2, 3, 1)
        return self.norm(self.blocks(values)).permute(0, 3, 1, 2)


class Trunk(recogniser.Trunk):
    """Images [N,C,H,W] to [N,D,H/16,W/4]."""

    def __init__(self, settings: Settings, depth: int) -> None:
        super().__init__()
        self.width, into = settings.channels[-1], settings.channels[0]
        self.stem = nn.Sequential(
            conv(depth, into // 2, 3, stride=(2, 2), act=None), nn.GELU(),
            conv(into // 2, into, 3, stride=(2, 2), act=None), nn.GELU(),
        )  # fmt: skip
        first: nn.Module = nn.Identity()
        done = 0
        for i, (width, count) in enumerate(zip(settings.channels, settings.blocks, strict=True), 1):
            if i > 1:
                first = conv(into, width, 3, stride=(2, 1), act=None)
            blocks = [Block(settings, width, at) for at in range(done, done + count)]
            self.add_module(f"stage{i}", Stage(first, blocks, width))
            into, done = width, done + count

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage."""
        return halved(height, 16), halved(width, 4)


class Model(recogniser.Recogniser):
    """A `Recogniser` at any size; the trunk's features: stem, stage1 to stage3."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, Trunk(settings, image.depth))
