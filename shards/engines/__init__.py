"""Seam: one file per engine. Engines do pixels only: order, labels and augmentation live outside.

A member offers `Engine(shards, image, threads)` with `read(positions) -> Canvases` and `triple`, the name of
(engine, device, library) for which pixels are bit-equal.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Canvases:
    """pixels uint8 [n,C,H,W]; affines float64 [n,2,3], source to canvas; damage: index in the batch -> what
    is wrong.

    A damaged sample has a canvas of padding and is masked by the loader.
    """

    pixels: np.ndarray
    affines: np.ndarray
    damage: dict[int, str] = field(default_factory=dict)
