"""Seam: one file per model. A member offers `Settings` (a dataclass) and `Model(settings, image, channels)`.

`Model.forward(images [N,C,H,W], widths [N] or None)` returns an `Output`; widths are those of a `Batch`, and
matter where the image spec has buckets; `Model.frames` is L for the canvas of its image spec, and
`Model.steps_of(widths)`, of a model that trains, how many of them are each image's.
A member whose trunk takes torchvision's weights has an `IMAGENET` (`train.imagenet.Published`).
A member that only answers says `Model.trains = False`: a run that chooses it is refused.
Letters: N samples, L time steps or grid cells, C classes or box terms, H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from shards.loader import Batch


@dataclass  # no slots: the hooks of DeepSpeed ZeRO-3 look into vars(output)
class Output:
    """What every model answers, in one layout for loop, cache and evaluation.

    logits [N,L,C] in the precision of the model; grids: the static (h, w) of each level for two-dimensional
    tasks, empty for sequences; features: every named intermediate, always filled, dropped on export.
    steps int64 [N]: how many of the L belong to a sample, the others being blank for certain; None: all.
    there bool [N,L]: which cells lie on a sample's own part of the canvas, the others being empty for
    certain; None: all.
    """

    logits: Tensor
    grids: tuple[tuple[int, int], ...] = ()
    features: dict[str, Tensor] = field(default_factory=dict)
    steps: Tensor | None = None
    there: Tensor | None = None

    @property
    def own_steps(self) -> Tensor:
        """How many of the L are each sample's, int64 [N]."""
        n, steps, _ = self.logits.shape
        return torch.full((n,), steps, device=self.logits.device) if self.steps is None else self.steps


def answer(model: Callable[..., Output], batch: Batch) -> Output:
    """What a model answers to a batch, its images in the layout that convolutions like best."""
    return model(batch.images.contiguous(memory_format=torch.channels_last), batch.widths)
