"""A recogniser: [straighten] -> trunk -> columns [centred] -> head -> classifier, whatever the trunk is.

A file of train/models adds its trunk and the trunk's settings; everything else is here, named alike for all.
Letters: N samples, L time steps, C classes, D numbers per step, H W pixels, h rows of the trunk's last map.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.typed import check_ranges
from train.blocks import edges
from train.blocks.columns import COLUMNS, Centred
from train.blocks.heads import HEADS, inside
from train.blocks.initial import initialise
from train.blocks.stn import Rectifier
from train.charset import Charset
from train.models import Output

Columns = Literal["joined", "mean", "attended"]
Head = Literal["lstm", "gru", "linear", "mixer"]
SURE = 1e4  # a logit so far below another that its probability is 0, and finite in every precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every recogniser has beside its trunk."""

    stn: bool = False  # straighten the picture first: a spatial transformer, affine
    columns: Columns = "mean"  # a column's rows: one long vector, their mean, or weighted
    map_to_seq: int = 0  # width of the vector made of a column, 0 = the column as it is
    column_norm: bool = False  # normalise the column vectors over the batch, before the head
    head: Head = "linear"  # what looks along the columns
    rnn_hidden: int = 256  # width of one direction of a recurrent layer, or of a mixer's inner layer
    between: Literal["joined", "summed", "dense"] = "joined"  # how lstm or gru hand on both directions
    dropout: float = 0.0  # share zeroed in the column vectors and after each layer of the head

    def __post_init__(self) -> None:
        check_ranges(self, "model.", dropout=(0, 0.99))
        for name, least in (("map_to_seq", 0), ("rnn_hidden", 1)):
            if getattr(self, name) < least:
                raise BadSettings(f"model.{name}: {getattr(self, name)}, must be at least {least}")
        if self.between != "joined" and self.head not in ("lstm", "gru"):
            raise BadSettings(
                f"model.between: {self.between}, head={self.head} has no recurrent layers: say "
                "model.between=joined, too"
            )


class Trunk(nn.Module, ABC):
    """A trunk; unless it says otherwise, its stages are its children, one after the other."""

    width: int  # D of the last stage

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, L) of the last stage for images of that size; each trunk knows its own."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """[N,C,H,W] to the stages by name, the last [N,width,h,L]."""
        stages = {}
        for name, part in self.named_children():
            images = stages[name] = part(images)
        return stages


class Recogniser(nn.Module):
    """Images [N,C,H,W] to `Output` with logits [N,L,channels], at any width that the trunk takes.

    Where the image spec has buckets, each image is read at its own edge, with nothing of the padding beyond
    its last column heard by the head, and answers L steps like all others: those beyond it are the blank.
    Features: rectified [N,C,H,W] with stn; the trunk's stages [N,D,h,w]; sequence [N,L,D]; the head's layers
    by name [N,L,D]; none where the images of a batch are of several edges.
    """

    def __init__(self, settings: Settings, image: ImageSpec, channels: int, trunk: Trunk) -> None:
        super().__init__()
        self.settings, self.image, self.channels = settings, image, channels
        rows, self.frames = trunk.grid(image.height, image.width)
        for edge in image.edges:
            if min(trunk.grid(image.height, edge)) < 1:
                raise BadSettings(f"image: a canvas of {image.height}x{edge} leaves the trunk no column")
        if image.buckets and settings.stn:
            raise BadSettings("model.stn: it moves what image.buckets measured; choose one of the two")
        steps = [max(1, trunk.grid(image.height, span)[1]) for span in range(image.width + 1)]
        self._steps = np.array(steps) if image.buckets else np.full(image.width + 1, self.frames)
        self.stn = Rectifier(image) if settings.stn else None
        self.cnn = trunk
        self.columns = COLUMNS[settings.columns](trunk.width, rows)
        width = self.columns.width
        self.map_to_seq = nn.Linear(width, settings.map_to_seq) if settings.map_to_seq else nn.Identity()
        width = settings.map_to_seq or width
        self.norm = Centred(width) if settings.column_norm else nn.Identity()
        layers, width = HEADS[settings.head](width, settings.rnn_hidden, settings.between)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.layers = tuple(layers)
        self.drop = nn.Dropout(settings.dropout)
        self.dense = nn.Linear(width, channels)
        self.apply(initialise)
        if self.stn is not None:
            self.stn.rest()

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Output:
        """Logits [N,L,C] and every intermediate by name; widths: see `Batch`, None: all are full."""
        if not self.image.buckets:
            return self.of_edge(images)
        return edges.read(self.of_edge, self.image, self._steps, images, widths)

    def steps_of(self, spans: np.ndarray) -> np.ndarray:
        """How many of the L steps belong to images that take so many columns of their canvas, int64 [N]."""
        return self._steps[spans]

    def of_edge(self, images: Tensor, steps: Tensor | None = None) -> Output:
        """The answer to images of one edge; steps [N]: how many are each one's own."""
        features: dict[str, Tensor] = {}
        if self.stn is not None:
            images = features["rectified"] = self.stn(images)
        features |= self.cnn(images)
        columns = self.columns(next(reversed(features.values())))
        values = features["sequence"] = self.norm(self.map_to_seq(columns))
        for name in self.layers:
            values = features[name] = self.get_submodule(name)(self.drop(values), steps)
        logits = self.dense(self.drop(values))
        if steps is not None:
            logits = self._silent(logits, steps)
        return Output(logits, features=features, steps=steps)

    def _silent(self, logits: Tensor, steps: Tensor) -> Tensor:
        """Logits [N,L of the edge,C] as [N,L,C], the blank for certain beyond each one's steps."""
        blank = logits.new_full((self.channels,), -SURE)
        blank[Charset.BLANK] = 0.0
        whole = functional.pad(logits, (0, 0, 0, self.frames - logits.shape[1]))
        return torch.where(inside(steps, self.frames)[..., None], whole, blank)
