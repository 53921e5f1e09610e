"""What a model answers, by one forward pass on the device `meta`: nothing is computed."""

import copy
from typing import Any

import torch
from torch import nn

from shards.image import ImageSpec
from train.models import Output


def answer_of(model: nn.Module, image: ImageSpec) -> Output:
    """The answer to one sample, without values."""
    shell: Any = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad():
        return shell(torch.zeros(1, image.depth, image.height, image.width, device="meta"))


def features_of(model: nn.Module, image: ImageSpec) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each feature of one sample."""
    return sizes(answer_of(model, image))


def sizes(answer: Output) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each feature of one sample of an answer."""
    return {name: tuple(value.shape[1:]) for name, value in answer.features.items()}
