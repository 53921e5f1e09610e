"""A model that answers for every cell of static grids laid over the whole canvas: what all such share.

Where the image spec has buckets, each image is looked at up to its own edge, whatever stands beside it in the
batch, and the cells beyond say that nothing is there: so an answer has one layout, in every batch and cache.
Letters: N samples, L cells of all levels, C terms of a cell, H W pixels, D channels, h w of a level.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks import edges
from train.models import Output

COARSEST = 32  # pixels to a cell of a trunk's last map
NOTHING = -14.0  # the logit of a cell that no image reaches: a probability below a millionth


class Finder(nn.Module):
    """Images [N,C,H,W] to `Output` with logits [N,L,channels] and the grids of levels of these strides."""

    def __init__(self, settings: Any, image: ImageSpec, channels: int, strides: Sequence[int]) -> None:
        super().__init__()
        name = type(self).__module__.rpartition(".")[2]
        for edge in image.edges:
            if image.height % COARSEST or edge % COARSEST:
                raise BadSettings(
                    f"image: a canvas of {image.height}x{edge}; {name} needs multiples of {COARSEST}"
                )
        self.settings, self.image, self.channels = settings, image, channels
        self.grids = tuple((image.height // stride, image.width // stride) for stride in strides)
        self.frames = sum(h * w for h, w in self.grids)

    def see(self, images: Tensor) -> Output:
        """The answer to images of any one size: a member says how."""
        raise NotImplementedError

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Output:
        """Logits by level, then row, then column, and the features by name, none where the images of a batch
        are of several edges; widths: see `Batch`, None: all are full.
        """
        if not self.image.buckets:
            return self.see(images)
        groups = edges.cut(images, edges.spans_of(images, widths, self.image), self.image)
        parts = [self.see(own) for _, own in groups]
        back = torch.cat([rows for rows, _ in groups]).argsort()
        logits = torch.cat([self._widened(part.logits, part.grids, NOTHING) for part in parts])
        marks = [torch.ones_like(part.logits[..., :1], dtype=torch.bool) for part in parts]
        there = torch.cat([self._widened(m, p.grids, 0) for m, p in zip(marks, parts, strict=True)])[..., 0]
        features = parts[0].features if len(parts) == 1 else {}
        return Output(logits[back], self.grids, features, there=there[back])

    def _widened(self, values: Tensor, grids: Sequence[tuple[int, int]], empty: float) -> Tensor:
        """Values [n,l,C] of narrower grids on those of the whole canvas, [n,L,C]; of cells beyond, the first
        is `empty`, the others are 0.
        """
        levels = values.split([h * w for h, w in grids], 1)
        pairs = zip(levels, grids, self.grids, strict=True)
        return torch.cat([_wide(level.unflatten(1, own), all_[1], empty) for level, own, all_ in pairs], 1)

    def steps_of(self, spans: np.ndarray) -> np.ndarray:
        """All cells are every image's, int64 [N]."""
        return np.full(len(spans), self.frames)


def _wide(level: Tensor, columns: int, empty: float) -> Tensor:
    """A level [n,h,w,C] with so many columns, [n,L,C]."""
    beyond = level.new_zeros(*level.shape[:2], columns - level.shape[2], level.shape[3])
    beyond[..., 0] = empty
    return torch.cat([level, beyond], 2).flatten(1, 2)


def joined(answers: Sequence[Tensor], features: dict[str, Tensor]) -> Output:
    """The answers [N,C,h,w] of the levels: logits by level, then row, then column."""
    grids = tuple((int(a.shape[2]), int(a.shape[3])) for a in answers)
    return Output(torch.cat([a.flatten(2) for a in answers], 2).transpose(1, 2), grids, features)


def answers(width: int, channels: int, rare: float) -> nn.Conv2d:
    """[N,width,h,w] to [N,channels,h,w]; at first the first logit says of a share `rare` of cells that
    they are text (Lin et al. 2017, section 4.1).
    """
    level = nn.Conv2d(width, channels, 1)
    nn.init.normal_(level.weight, std=0.01)
    bias = torch.zeros(channels)
    bias[0] = -math.log((1 - rare) / rare)
    level.bias = nn.Parameter(bias)
    return level
