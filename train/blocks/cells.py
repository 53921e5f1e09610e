"""A model that answers for every cell of static grids laid over the whole canvas: what all such share.

Where the image spec has buckets, each image is looked at up to its own edge, whatever stands beside it in the
batch, and the cells beyond say that nothing is there: so an answer has one layout, in every batch and cache.
Letters: N samples, L cells of all levels, C terms of a cell, H W pixels, D channels, h w of a level.
"""

import math
from abc import ABC, abstractmethod
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


class Finder(nn.Module, ABC):
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

    @abstractmethod
    def of_edge(self, images: Tensor) -> Output:
        """The answer to images of any one size: a member says how."""

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Output:
        """Logits by level, then row, then column, and the features by name, none where the images of a batch
        are of several edges; widths: see `Batch`, None: all are full.
        """
        if not self.image.buckets:
            return self.of_edge(images)
        return edges.find(self.of_edge, self.image, self.grids, images, widths)

    def steps_of(self, spans: np.ndarray) -> np.ndarray:
        """All cells are every image's, int64 [N]."""
        return np.full(len(spans), self.frames)


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
