"""Picks the engine that serves canvases and device best, and says why.

On a CPU that is `plain`: its pixels are those that a served model gets, and for JPEG, words and scenes, it
gave as many images per processor second as `dali` or more; for PNG words `dali` gave a fifth more
(RESULTS.md). Scenes that a GPU will use are decoded there by `dali`, where it is installed: not measured.
"""

from collections.abc import Sequence

import numpy as np
import torch

from shards.engines import Canvases, dali, plain
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards

WHY_PLAIN = "auto: on CPUs as fast as dali or faster for JPEG, a sixth slower for PNG"
WHY_WORDS = "auto: small canvases are decoded on the host, by plain"
WHY_SCENES = "auto: the GPU decodes scenes"


class Engine:
    """The chosen engine behind its own name: `triple` is the chosen one's."""

    def __init__(
        self, shards: Shards, image: ImageSpec, threads: int = 0, device: str | torch.device = "cpu"
    ) -> None:
        self.image = image
        self._engine, self.why = _choose(shards, image, threads, torch.device(device))
        self.triple = self._engine.triple

    def read(self, positions: Sequence[int] | np.ndarray) -> Canvases:
        """Canvases of the positions, in their order."""
        return self._engine.read(positions)


def _choose(
    shards: Shards, image: ImageSpec, threads: int, device: torch.device
) -> tuple[plain.Engine | dali.Engine, str]:
    """(engine, reason)."""
    if device.type != "cuda":
        return plain.Engine(shards, image, threads), WHY_PLAIN
    if dali.gpu_of(device, image) is None:
        return plain.Engine(shards, image, threads), WHY_WORDS
    try:
        return dali.Engine(shards, image, threads, device), WHY_SCENES
    except BadSettings as error:
        return plain.Engine(shards, image, threads), f"auto: {error}"
