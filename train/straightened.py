"""What a spatial transformer (`train.blocks.stn`) makes of a picture before anything reads it, for people.

Letters: N samples, C channels, H W pixels.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from shards.image import ImageSpec
from train.mistakes import canvas, png

FEATURE = "rectified"  # of the models that straighten: images [N,C,H,W]


def beside(examples: list[dict[str, Any]], model: nn.Module, image: ImageSpec) -> list[dict[str, Any]]:
    """Examples (see `train.mistakes.worst`), each with `rectified`, the PNG of its canvas as the model
    straightens it; of a model that straightens nothing, the same.
    """
    if not examples or getattr(model, "stn", None) is None:
        return examples
    pixels = torch.from_numpy(np.stack([canvas(one["png"]) for one in examples]))
    device = next(iter(model.state_dict().values())).device
    images = ((pixels / 255 - image.mean) / image.std).to(device)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        found = model(images).features[FEATURE]
    model.train(was_training)
    levels = ((found.float() * image.std + image.mean) * 255).round().clamp(0, 255).to(torch.uint8)
    seen = levels.cpu().numpy()
    return [{**one, FEATURE: png(one_seen)} for one, one_seen in zip(examples, seen, strict=True)]
