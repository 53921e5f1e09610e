"""Words as maps at a quarter of the canvas, after DBNet (Liao et al. 2020, arXiv 1911.08947).

A residual trunk of pre-activation blocks whose stages have strides 4, 8, 16 and 32; a feature pyramid (Lin et
al. 2017) whose levels, each brought to a quarter of its width, stand side by side at stride 4; one hidden
convolution; and for each cell the logits of `train.tasks.maps`. The paper's answers at the size of the canvas
by two deconvolutions are left out: cells tell shares of themselves. The default has 12,312,258
parameters over three colours, 11.2 million of them the trunk's.
Letters: N samples, L cells, C terms of a cell, H W pixels, D channels, h w of a map.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks.cells import Finder, answers, joined
from train.blocks.convolution import conv
from train.blocks.initial import initialise
from train.blocks.residual import Block
from train.models import Output

STRIDE = 4  # pixels to a cell
RARE = 0.05  # of the cells are text, says an untrained head


@dataclass(frozen=True, slots=True)
class Settings:
    """Widths and depth; the default is as wide as ResNet-18."""

    channels: list[int] = field(default_factory=lambda: [64, 128, 256, 512])  # of the stages
    blocks: int = 2  # in a stage
    neck: int = 256  # channels of the feature pyramid, a multiple of 4

    def __post_init__(self) -> None:
        if len(self.channels) != 4 or min(self.channels) < 1:
            raise BadSettings(f"model.channels: {self.channels}, the trunk needs four positive widths")
        if self.blocks < 1:
            raise BadSettings(f"model.blocks: {self.blocks}, must be at least 1")
        if self.neck < 4 or self.neck % 4:
            raise BadSettings(f"model.neck: {self.neck}, must be a multiple of 4: four levels share it")


class Model(Finder):
    """A `Finder` of one level; features: stage1 to stage4 [N,D,h,w], neck [N,D,H/4,W/4]."""

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__(settings, image, channels, (STRIDE,))
        widths, neck = settings.channels, settings.neck
        self.stem = nn.Conv2d(image.depth, widths[0], 7, 2, 3, bias=False)
        self.stages = nn.ModuleList(
            _stage(into, out, settings.blocks)
            for into, out in zip([widths[0], *widths], widths, strict=False)
        )
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, neck, 1)) for width in widths
        )
        self.smooth = nn.ModuleList(conv(neck, neck // 4, 3) for _ in widths)
        self.hidden = conv(neck, neck // 2, 3)
        self.apply(initialise)
        self.answers = answers(neck // 2, channels, RARE)

    def of_edge(self, images: Tensor) -> Output:
        """Logits by row, then column, and the features by name."""
        values, features = self.stem(images), {}
        for i, stage in enumerate(self.stages, 1):
            values = features[f"stage{i}"] = stage(values)
        neck = features["neck"] = self._neck(list(features.values()))
        return joined([self.answers(self.hidden(neck))], features)

    def _neck(self, stages: list[Tensor]) -> Tensor:
        """What the stages see, the coarser handed on to the finer, all at the size of the finest."""
        level, levels = None, []
        for stage, lateral, smooth in zip(
            reversed(stages), reversed(self.lateral), reversed(self.smooth), strict=True
        ):
            level = lateral(stage) if level is None else lateral(stage) + _enlarged(level, stage)
            levels.append(_enlarged(smooth(level), stages[0]))
        return torch.cat(levels, 1)


def _stage(into: int, out: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(Block(into, out, (2, 2)), *(Block(out, out, (1, 1)) for _ in range(blocks - 1)))


def _enlarged(values: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(values, size=like.shape[2:])
