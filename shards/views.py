"""Views of canvases: what a model sees of them, and where their words stand in it.

Each view is of the canvas of its own picture's edge, so that what a sample looks like depends on no other of
its batch. Letters: N samples, C channels, H W pixels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shards import augment, dct, geometry, keyed, mosaic, placing, warp
from shards.augment import Augment
from shards.engines import Canvases
from shards.mosaic import Tiles
from shards.placing import focus, placed, stands, whole
from shards.sample import Record


def code_hash() -> str:
    """sha256 of the code that makes a view out of canvases; part of a cache's fingerprint."""
    modules = (augment, warp, keyed, dct, mosaic, placing, geometry)
    sources = [Path(str(file)).read_bytes() for file in (__file__, *(module.__file__ for module in modules))]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def seen(
    canvases: Canvases, records: Sequence[Record], tiles: Tiles, uids: np.ndarray, view: np.ndarray,
    edges: np.ndarray, change: Augment, device: torch.device,
) -> tuple[Tensor, list[Record]]:  # fmt: skip
    """Views [N,C,H,W] in 0..1, as wide as the widest of the edges [N], and the records as they stand in
    them.
    """
    pixels = torch.from_numpy(canvases.pixels[..., : edges.max()]).to(device).float() / 255
    places, moved = whole(canvases.affines), list(records)
    for row, three in zip(tiles.rows.tolist(), tiles.parts, strict=True):
        mine = canvases.pixels[row], canvases.affines[row], records[row], three
        key = int(uids[row]), int(view[row]), int(edges[row])
        pixels[row, ..., : edges[row]], moved[row] = mosaic.shown(*mine, *key, device)
        places[row] = np.eye(3)
    for edge in np.unique(edges):
        rows = np.flatnonzero(edges == edge)
        own, size = (uids[rows], view[rows]), (pixels.shape[2], int(edge))
        some = [moved[row] for row in rows.tolist()]
        there, about = _placed(some, places[rows], *own, size, change)
        for row, record in zip(rows.tolist(), there, strict=True):
            moved[row] = record
        if len(rows) == len(edges):
            return change(pixels, *own, about), moved
        pixels[rows, ..., :edge] = change(pixels[rows, ..., :edge], *own, about)
    return pixels, moved


def _placed(
    records: list[Record], places: np.ndarray, uids: np.ndarray, view: np.ndarray, size: tuple[int, int],
    change: Augment,
) -> tuple[list[Record], np.ndarray | None]:  # fmt: skip
    """The records as their words stand in the views, and what enlargements are about; words of crops stand
    nowhere. places: [N,3,3], source to canvas.
    """
    if not any(stands(record) for record in records):
        return records, None
    still = [placed(record, place, size) for record, place in zip(records, places, strict=True)]
    about = focus(still, uids, view, size)
    places = change.places(uids, view, size, about) @ places
    return [placed(record, place, size) for record, place in zip(records, places, strict=True)], about
