"""Mosaics: views of scenes in which parts of four scenes stand side by side.

Whether a view is one, which three others it shows, where the four meet and what part of each is seen are
hashes of (uid, view), and of the population: the samples that are trained on, never those held out. So view k
is the same in any batch, rank, engine and day, as long as the population is. Partners may lie in any shard:
of a remote set, all that an epoch needs are fetched, and one that does not fit into data.room is refused.
A partner that is damaged leaves its quarter grey. Letters: M mosaics, N samples, C channels, H W pixels.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards import keyed, written
from shards.engines import Canvases
from shards.errors import BadSettings
from shards.placing import focus, placed, whole, within
from shards.read import Shards
from shards.sample import Record

PARTS = 4
MIDDLE = 0.3  # of the canvas, from each side: there the four do not meet
SMALLEST = 0.5  # times as large as on its own canvas a part is seen, at least; at most 1
GREY = 0.5


class Mosaics:
    """Of a population: the positions of `shards` that are trained on. share: of the views above 0."""

    def __init__(self, shards: Shards, positions: np.ndarray, share: float) -> None:
        self.share = share
        if share and not shards.scenes():
            raise BadSettings(f"augment.mosaic={share}: mosaics are of scenes, these are crops of words")
        if share and len(positions) < PARTS:
            raise BadSettings(f"augment.mosaic={share}: of {PARTS} samples, there are {len(positions)}")
        order = np.argsort(shards.uids[positions]) if share else np.zeros(0, np.int64)
        self.positions = positions[order]
        self.uids = shards.uids[self.positions].astype(np.uint64)

    @property
    def population(self) -> str:
        """sha256 of the uids that partners are drawn from; empty where there are no mosaics."""
        return written.digest([f"{uid:016x}" for uid in self.uids.tolist()]) if self.share else ""

    def drawn(self, uids: np.ndarray, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the samples [N] show a mosaic, int64 [M], and the positions [M,3] of their partners."""
        draws = keyed.uniform(uids.astype(np.uint64), view, keyed.word("mosaic"))
        rows = np.flatnonzero((draws < self.share) & (view != 0))
        return rows, self._partners(uids[rows].astype(np.uint64), view[rows])

    def _partners(self, uids: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Positions [M,3] of three others, all different, of the population."""
        if not len(uids):
            return np.zeros((0, PARTS - 1), np.int64)
        count = len(self.uids)
        taken = np.searchsorted(self.uids, uids).clip(max=count - 1)
        own = np.where(self.uids[taken] == uids, taken, count)  # count: of no one in the population
        taken = own[:, None]
        for number in range(PARTS - 1):  # the n-th of those that are left
            left = count - (taken < count).sum(1)
            drawn = (keyed.uniform(uids, view, keyed.word("partner"), number) * left).astype(np.int64)
            for other in np.sort(taken, 1).T:
                drawn += drawn >= other
            taken = np.concatenate([taken, drawn[:, None]], 1)
        return self.positions[taken[:, 1:]]


@dataclass(frozen=True, slots=True)
class Three:
    """The partners of a mosaic: pixels uint8 [3,C,H,W], affines [3,2,3]; records, None of a damaged one."""

    pixels: np.ndarray
    affines: np.ndarray
    records: list[Record | None]


@dataclass(frozen=True, slots=True)
class Tiles:
    """The mosaics of a batch: which rows [M] of it they are, and their partners."""

    rows: np.ndarray
    parts: list[Three]

    @classmethod
    def of(
        cls, rows: np.ndarray, found: Canvases, records: Sequence[Record], damage: Container[int]
    ) -> "Tiles":
        """From what was read: of the batch, and then of the partners of its mosaics, three of each."""
        told = [None if i in damage else record for i, record in enumerate(records)]
        firsts = range(len(told) - len(rows) * (PARTS - 1), len(told), PARTS - 1)
        slices = [slice(first, first + PARTS - 1) for first in firsts]
        return cls(rows, [Three(found.pixels[s], found.affines[s], told[s]) for s in slices])


@dataclass(frozen=True, slots=True)
class _Part:
    """A quarter: box (left, top, right, bottom) in pixels, and the map [3,3] from a whole canvas to it."""

    box: tuple[int, int, int, int]
    place: np.ndarray


def shown(
    pixels: np.ndarray, affine: np.ndarray, own: Record, three: Three, uid: int, view: int, edge: int,
    device: torch.device,
) -> tuple[Tensor, Record]:  # fmt: skip
    """A mosaic float [C,H,edge] in 0..1 and its record: words in pixels of the mosaic, cut at their quarter.

    pixels uint8 [C,H,W], affine [2,3], own, uid and view: of the sample whose view it is.
    """
    sources, records = np.concatenate([pixels[None], three.pixels]), [own, *three.records]
    affines = whole(np.concatenate([affine[None], three.affines]))
    height, width = pixels.shape[1:]
    keys = keyed.hashed(uid, keyed.word("looked at"), np.arange(PARTS))
    looked = [
        _looked_at(*one, view, (height, width)) for one in zip(records, affines, keys[:, None], strict=True)
    ]
    parts = _laid_out(uid, view, (height, edge), (height, width), looked)
    out = torch.full((len(pixels), height, edge), GREY, device=device)
    words = []
    for one, place, record, part in zip(sources, affines, records, parts, strict=True):
        left, top, right, bottom = part.box
        if record is not None:
            out[:, top:bottom, left:right] = _cut_out(torch.from_numpy(one).to(device).float() / 255, part)
            words += within(record, part.place @ place, part.box)
    return out, replace(own, words=tuple(words))


def _looked_at(
    record: Record | None, affine: np.ndarray, key: np.ndarray, view: int, size: tuple[int, int]
) -> np.ndarray:
    """[3,2], in pixels of a canvas of a size (height, width): one of the legible words, or the middle, which
    is to be seen; and the corners of the picture, beyond which there is only padding.
    """
    canvas = np.array(size[::-1], np.float64)
    if record is None:
        return np.stack([canvas / 2, 0 * canvas, canvas])
    at = focus([placed(record, affine, size)], key, np.array([view]), size)
    corners = affine @ np.array([[0, 0, 1], [*record.size, 1]]).T
    return np.stack([(at[0] + 1) / 2 * canvas, *corners[:2].T.clip(0, canvas)])


def _laid_out(
    uid: int, view: int, size: tuple[int, int], canvas: tuple[int, int], looked: Sequence[np.ndarray]
) -> list[_Part]:
    """The parts of a mosaic of a size (height, width), out of larger canvases. looked: see `_looked_at`; the
    point stands in the middle half of its quarter, as far as that shows nothing beyond the picture.
    """
    draws = keyed.uniform(uid, view, keyed.word("tiles"), np.arange(3 + 3 * PARTS))
    (height, width), turn, own = size, int(draws[2] * PARTS), draws[3:].reshape(PARTS, 3)
    x, y = (round(n * (MIDDLE + (1 - 2 * MIDDLE) * u)) for n, u in ((width, draws[0]), (height, draws[1])))
    boxes = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    out = []
    for part, ((u, along, down), (point, low, high)) in enumerate(zip(own, looked, strict=True)):
        box = np.array(boxes[(part + turn) % PARTS])
        quarter = box[2:] - box[:2]
        least = min(1.0, max(SMALLEST, *(quarter / (high - low))))
        scale = least + u * (1 - least)
        span = quarter / scale
        begin = point - span * (0.25 + 0.5 * np.array([along, down]))
        begin = np.clip(begin, np.minimum(low, high - span), np.maximum(low, high - span))
        begin = np.clip(begin, 0, np.array(canvas[::-1]) - span)
        x0, y0 = box[:2] - scale * begin
        place = np.array([[scale, 0, x0], [0, scale, y0], [0, 0, 1.0]])
        out.append(_Part(boxes[(part + turn) % PARTS], place))
    return out


def _cut_out(canvas: Tensor, part: _Part) -> Tensor:
    """What a part shows of its canvas [C,H,W], [C,h,w]."""
    (left, top, right, bottom), size = part.box, canvas.shape[1:]
    scale, shift = part.place[0, 0], part.place[:2, 2]
    places = (np.arange(low, high) + 0.5 for low, high in ((left, right), (top, bottom)))
    x, y = (2 * (p - s) / scale / n - 1 for p, s, n in zip(places, shift, size[::-1], strict=True))
    grid = np.stack(np.meshgrid(x, y), -1)[None].astype(np.float32)
    at = torch.from_numpy(grid).to(canvas.device)
    return functional.grid_sample(canvas[None], at, padding_mode="border", align_corners=False)[0]
