"""Seam: one file per model. A member offers `Settings` (a dataclass) and `Model(settings, image, channels)`.

`Model.forward(images [N,C,H,W])` returns an `Output`; `Model.frames` is L for the canvas of its image spec.
A member whose trunk takes torchvision's weights has an `IMAGENET` (`train.imagenet.Published`).
A member that only answers says `Model.trains = False`: a run that chooses it is refused.
Letters: N samples, L time steps or grid cells, C classes or box terms, H W pixels.
"""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass  # no slots: the hooks of DeepSpeed ZeRO-3 look into vars(output)
class Output:
    """What every model answers, in one layout for loop, cache and evaluation.

    logits [N,L,C] in the precision of the model; grids: the static (h, w) of each level for two-dimensional
    tasks, empty for sequences; features: every named intermediate, always filled, dropped on export.
    """

    logits: Tensor
    grids: tuple[tuple[int, int], ...] = ()
    features: dict[str, Tensor] = field(default_factory=dict)
