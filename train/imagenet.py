"""ImageNet weights as torchvision publishes them, under our trunks: what goes where, and what is said of it.

A model that can be filled has torchvision's state names, `cnn` for `features`, and says in its file what else
there is to know of them (`IMAGENET`). The first convolution is adapted by a rule that keeps its answer to an
even grey: to a smaller kernel by adding up the area that each new cell covers, to grey by adding up the
colours, to bgr by turning them round, to our range of pixels by torchvision's deviations (its means are left
out).
Letters: D filters, K k sides of a kernel before and after, in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lookup import find

STD = (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue in 0..1, as torchvision normalises
FIT = "what fits: model=densenet121_wide with densenet121's file, model=mobilenetv2 with mobilenet_v2's"


@dataclass(frozen=True, slots=True)
class Account:
    """Names of ours that were taken, adapted and left fresh, and of theirs that have no place here."""

    taken: list[str]
    adapted: list[str]
    fresh: list[str]
    unused: list[str]

    def notes(self) -> list[str]:
        """A line for each kind."""
        told = {"taken": self.taken, "adapted": self.adapted, "left fresh": self.fresh, "unused": self.unused}
        return [f"{kind}: {len(names)} tensors ({_some(names)})" for kind, names in told.items()]


@dataclass(frozen=True, slots=True)
class Published:
    """How torchvision names the weights of a trunk: its first convolution, behind `features.`; renamed(name),
    what an older file may call otherwise; without: the beginning of names that have no counterpart here.
    """

    stem: str
    renamed: Callable[[str], str] = str
    without: str | None = None


def published(name: str) -> Published:
    """What the file of the model of that name says."""
    found: Any = getattr(find("train.models", name), "IMAGENET", None)
    if found is None:
        raise BadSettings(f"model={name}: torchvision's weights have no place in it; {FIT}")
    return found


def landmark(name: str) -> str:
    """The tensor by which a file for the model of that name is known."""
    return f"features.{published(name).stem}.weight"


def take(model: nn.Module, name: str, tensors: dict[str, Tensor], image: ImageSpec, where: str) -> Account:
    """Fills the trunk of a model; BadData names what has another shape, no counterpart or no place."""
    first, known = landmark(name), published(name)
    renamed = {known.renamed(theirs): value for theirs, value in tensors.items()}
    placed = {
        theirs.replace("features", "cnn", 1): value
        for theirs, value in renamed.items()
        if theirs.startswith("features.") and not (known.without and theirs.startswith(known.without))
    }
    own, stem = model.state_dict(), first.replace("features", "cnn", 1)
    shape = placed[stem].shape if stem in placed else ()
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise BadData(f"{where}: no {first} over three colours; holds {_some(list(tensors))}; {FIT}")
    placed[stem] = adapted(placed[stem], own[stem].shape[-1], image)
    counts = [key for key in own if key.endswith("num_batches_tracked") and key not in placed]
    wrong = [f"no {key}" for key in own if key.startswith("cnn.") and key not in {*placed, *counts}]
    wrong += [f"no place for {key}" for key in placed if key not in own]
    wrong += [
        f"{key} is {list(value.shape)}, the model has {list(own[key].shape)}"
        for key, value in placed.items()
        if key in own and value.shape != own[key].shape
    ]
    if wrong:
        raise BadData(f"{where}: not the weights of this trunk: {_some(wrong, '; ')}; {FIT}")
    model.load_state_dict({**own, **placed})
    unused = [theirs for theirs in renamed if theirs.replace("features", "cnn", 1) not in placed]
    fresh = [key for key in own if key not in placed]
    return Account([key for key in placed if key != stem], [stem], fresh, unused)


def adapted(kernel: Tensor, side: int, image: ImageSpec) -> Tensor:
    """Kernels [D,3,K,K] for red, green, blue to [D,channels,side,side] for the pixels of an image spec."""
    kernel = kernel.float() * (image.std / torch.tensor(STD))[:, None, None]
    if image.channels == "grey":
        kernel = kernel.sum(1, keepdim=True)
    elif image.channels == "bgr":
        kernel = kernel.flip(1)
    covered = _covered(kernel.shape[-1], side)
    return covered @ kernel @ covered.T


def _covered(before: int, after: int) -> Tensor:
    """[after, before]: how much of each old cell lies in each new one, both laid over the same length."""
    edges = torch.arange(after + 1) * (before / after)
    cells = torch.arange(before)
    return (torch.minimum(edges[1:, None], cells + 1) - torch.maximum(edges[:-1, None], cells)).clamp(min=0)


def _some(names: list[str], between: str = ", ") -> str:
    return between.join(names[:4]) + (f"{between}..." if len(names) > 4 else "") or "none"
