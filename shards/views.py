"""Views of canvases: what a model sees of them, and where their words stand in it.

Each view is of the canvas of its own picture's edge, so that what a sample looks like depends on no other of
its batch. Letters: N samples, C channels, H W pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from shards.augment import Augment
from shards.engines import Canvases
from shards.placing import focus, placed, stands, whole
from shards.sample import Record


def seen(
    canvases: Canvases, records: Sequence[Record], uids: np.ndarray, view: np.ndarray, edges: np.ndarray,
    augment: Augment, device: torch.device,
) -> tuple[Tensor, list[Record]]:  # fmt: skip
    """Views [N,C,H,W] in 0..1, as wide as the widest of the edges [N], and the records as they stand in
    them.
    """
    pixels = torch.from_numpy(canvases.pixels[..., : edges.max()]).to(device).float() / 255
    moved = list(records)
    for edge in np.unique(edges):
        rows = np.flatnonzero(edges == edge)
        own, size = (uids[rows], view[rows]), (pixels.shape[2], int(edge))
        some = [records[row] for row in rows.tolist()]
        there, about = _placed(some, whole(canvases.affines[rows]), *own, size, augment)
        for row, record in zip(rows.tolist(), there, strict=True):
            moved[row] = record
        if len(rows) == len(edges):
            return augment(pixels, *own, about), moved
        pixels[rows, ..., :edge] = augment(pixels[rows, ..., :edge], *own, about)
    return pixels, moved


def _placed(
    records: list[Record], places: np.ndarray, uids: np.ndarray, view: np.ndarray, size: tuple[int, int],
    augment: Augment,
) -> tuple[list[Record], np.ndarray | None]:  # fmt: skip
    """The records as their words stand in the views, and what enlargements are about; words of crops stand
    nowhere. places: [N,3,3], source to canvas.
    """
    if not any(stands(record) for record in records):
        return records, None
    still = [placed(record, place, size) for record, place in zip(records, places, strict=True)]
    about = focus(still, uids, view, size)
    places = augment.places(uids, view, size, about) @ places
    return [placed(record, place, size) for record, place in zip(records, places, strict=True)], about
