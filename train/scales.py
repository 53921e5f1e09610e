"""A detector that looks at each canvas at several scales: small words are found larger, large ones smaller.

Its task says how the answers are merged (`merged`). Nothing is mirrored: text is not the same backwards.
Letters: N samples, n of one edge, C channels, H W pixels.
"""

import copy
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks import edges
from train.blocks.cells import COARSEST
from train.modelfolder import Loaded
from train.models import Output
from train.tasks import Read

SCALES = (0.75, 1.0, 1.25)
Answers = list[tuple[Tensor, list[Output]]]  # rows int64 [n], and what is answered to them at each scale


class Scaled(nn.Module):
    """Images [N,C,H,W] to the answers of a model at each of SCALES, one edge of their spec after another."""

    def __init__(self, model: Any, image: ImageSpec) -> None:
        super().__init__()
        self.model, self.image = model, image
        steps = [round(image.height * scale / COARSEST) for scale in SCALES]
        self.heights = [COARSEST * step for step in dict.fromkeys(steps) if step]

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Answers:
        """widths: see `Batch`."""
        groups = edges.cut(images, edges.spans_of(images, widths, self.image), self.image)
        return [
            (rows, [self.model.of_edge(self._resized(own, height)) for height in self.heights])
            for rows, own in groups
        ]

    def _resized(self, images: Tensor, height: int) -> Tensor:
        """Images [n,C,H,W] at another height, padded on the right until a model can take them."""
        if height == images.shape[2]:
            return images
        width = max(1, round(images.shape[3] * height / images.shape[2]))
        out = functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
        spec = self.image
        return functional.pad(out, (0, -width % COARSEST), value=(spec.pad / 255 - spec.mean) / spec.std)


def several(loaded: Loaded) -> Loaded:
    """The same model, to be asked in the same way, that looks at several scales; a BadSettings of one that
    cannot.
    """
    if not loaded.task.finds or not getattr(loaded.model, "trains", True):
        name = loaded.config["model"]["name"]
        raise BadSettings(
            f"tta: model {name} looks at canvases of one size; tta is of models that find words"
        )
    task = copy.copy(loaded.task)
    task.decode = partial(_decoded, loaded.task)
    return replace(loaded, model=Scaled(loaded.model, loaded.task.image).eval(), task=task)


def _decoded(task: Any, answers: Answers) -> list[tuple[Read, ...]]:
    """The words found on each canvas, as `Task.decode` tells them."""
    found = {}
    for rows, outputs in answers:
        found |= dict(zip(rows.tolist(), task.merged(outputs), strict=True))
    return [found[row] for row in sorted(found)]
