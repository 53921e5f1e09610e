"""Seam: one file per engine. Engines do pixels only: order, labels and augmentation live outside.

A member offers `Engine(shards, image, threads, device)` with `read(positions) -> Canvases`, `triple`, the
name of (engine, device, library) for which pixels are bit-equal, and `why`, the reason that this one reads.
device: where the canvases will be used, and an engine may decode; the canvases it gives are numpy's.
"""

import os
from dataclasses import dataclass, field

import numpy as np

ASKED = "data.engine asks for it"


@dataclass(frozen=True, slots=True)
class Canvases:
    """pixels uint8 [n,C,H,W]; affines float64 [n,2,3], source to canvas; damage: index in the batch -> what
    is wrong.

    A damaged sample has a canvas of padding and is masked by the loader.
    """

    pixels: np.ndarray
    affines: np.ndarray
    damage: dict[int, str] = field(default_factory=dict)


def threads_of(asked: int) -> int:
    """Decoding threads: those asked for; 0 = one for every two cores, at most 8."""
    return asked or max(1, min(8, (os.cpu_count() or 1) // 2))
