"""What a model answers, by one forward pass on the device `meta`: nothing is computed."""

import copy
from typing import Any

import torch
from torch import nn

from shards.image import ImageSpec


def features_of(model: nn.Module, image: ImageSpec) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each feature of one sample."""
    shell: Any = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad():
        answer = shell(torch.zeros(1, image.depth, image.height, image.width, device="meta"))
    return {name: tuple(value.shape[1:]) for name, value in answer.features.items()}
