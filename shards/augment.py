"""Augmentation that can be replayed: batched torch operations whose parameters are hashes of (uid, view,
operation).

View 0 is untouched. View k of a sample has the same parameters on any engine, rank and day; its pixels do not
depend on the
batch it stands in. Every operation is elementwise or per sample, in a fixed order of sums, for that reason.
Letters: N samples, C channels, H W pixels; images are floats in 0..1.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards import dct, keyed
from shards.dct import jpeg
from shards.typed import check_ranges


@dataclass(frozen=True)
class Settings:
    """Strengths; 0 switches an operation off. Lengths are fractions of the canvas unless said otherwise."""

    chance: float = 0.5  # probability of each operation, per sample and view
    rotation: float = 0.0  # degrees to either side
    perspective: float = 0.0  # how far a corner moves, fraction of the height
    stretch: float = 0.0  # horizontal squeeze or stretch
    crop: float = 0.0  # jitter of each edge of the crop, fraction of the height
    colour: float = 0.0  # contrast and brightness, 0..1; above .5 also inversion
    shadow: float = 0.0  # darkness of a soft edge of shadow, 0..1
    blur: float = 0.0  # largest sigma, pixels
    noise: float = 0.0  # largest standard deviation, of the full range
    jpeg: float = 0.0  # 0..1: lowest quality is 100 - 90 x this

    def __post_init__(self) -> None:
        shares = dict.fromkeys(("chance", "colour", "shadow", "jpeg"), (0.0, 1.0))
        lengths = ("rotation", "perspective", "stretch", "crop", "blur", "noise")
        check_ranges(self, "augment.", **shares, **dict.fromkeys(lengths, (0.0, math.inf)))

    @property
    def active(self) -> bool:
        """Whether any view differs from view 0."""
        return self.chance > 0 and any(v for k, v in vars(self).items() if k != "chance")


def code_hash() -> str:
    """sha256 of the code that makes a view out of a canvas; part of a cache's fingerprint."""
    sources = [Path(str(module)).read_bytes() for module in (__file__, keyed.__file__, dct.__file__)]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


class Augment:
    """Callable: (images [N,C,H,W] in 0..1, uids [N], view [N] or one for all) -> images of those views."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def parameters(self, uids: np.ndarray, view: np.ndarray | int) -> dict[str, np.ndarray]:
        """Operation -> float64 draws [N, k] in 0..1; column 0 is compared with `chance`."""
        uids, views = np.asarray(uids), np.broadcast_to(view, len(uids))
        sizes = {
            "rotation": 2,
            "perspective": 9,
            "stretch": 2,
            "crop": 5,
            "colour": 5,
            "shadow": 5,
            "blur": 2,
            "noise": 2,
            "jpeg": 2,
        }
        return {
            name: keyed.uniform(uids[:, None], views[:, None], keyed.word(name), np.arange(size)[None])
            for name, size in sizes.items()
        }

    def __call__(self, images: Tensor, uids: np.ndarray, view: np.ndarray | int) -> Tensor:
        s = self.settings
        uids, view = np.asarray(uids), np.broadcast_to(view, len(uids))
        if not view.any() or not s.active:
            return images
        draws = self.parameters(uids, view)
        on = {name: (draw[:, 0] < s.chance) & (view != 0) for name, draw in draws.items()}
        images = self._geometry(images, draws, on)
        images = _rows(
            images, on["colour"] & (s.colour > 0), lambda x, i: _colour(x, draws["colour"][i], s.colour)
        )
        images = _rows(
            images, on["shadow"] & (s.shadow > 0), lambda x, i: _shadow(x, draws["shadow"][i], s.shadow)
        )
        images = _rows(images, on["blur"] & (s.blur > 0), lambda x, i: _blur(x, draws["blur"][i, 1] * s.blur))
        images = _rows(
            images,
            on["noise"] & (s.noise > 0),
            lambda x, i: _noise(x, uids[i], view[i], draws["noise"][i, 1] * s.noise),
        )
        images = _rows(
            images, on["jpeg"] & (s.jpeg > 0), lambda x, i: jpeg(x, 100 - 90 * s.jpeg * draws["jpeg"][i, 1])
        )
        return images

    def _geometry(self, images: Tensor, draws: dict[str, np.ndarray], on: dict[str, np.ndarray]) -> Tensor:
        """Rotation, stretch, crop and perspective as one homography and one resampling."""
        s, (height, width) = self.settings, images.shape[-2:]
        moved = np.zeros(len(images), bool)
        for name, strength in (
            ("rotation", s.rotation),
            ("stretch", s.stretch),
            ("crop", s.crop),
            ("perspective", s.perspective),
        ):
            moved |= on[name] & (strength > 0)
        rows = np.flatnonzero(moved)
        if not len(rows):
            return images
        draw = {name: np.where(on[name][rows, None], 2 * d[rows] - 1, 0.0) for name, d in draws.items()}
        corners = _corners(draw, s, width / height)
        grid = _grid(homography(corners), height, width, images.device)
        warped = functional.grid_sample(
            images[rows], grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return _put(images, rows, warped)


def _corners(draw: dict[str, np.ndarray], s: Settings, aspect: float) -> np.ndarray:
    """Where the canvas corners (order -- +- ++ -+) are read from, [N,4,2], in units of half the canvas."""
    unit = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    angle = np.deg2rad(s.rotation) * draw["rotation"][:, 1, None]
    x, y = unit[:, 0] * aspect, unit[:, 1]
    turned = np.stack(
        [(np.cos(angle) * x - np.sin(angle) * y) / aspect, np.sin(angle) * x + np.cos(angle) * y], -1
    )
    turned[..., 0] *= 1 + s.stretch * draw["stretch"][:, 1, None]
    edges = s.crop * draw["crop"][:, 1:]  # left, right, top, bottom
    turned[..., 0] += np.where(unit[:, 0] < 0, edges[:, 0, None], edges[:, 1, None]) / aspect
    turned[..., 1] += np.where(unit[:, 1] < 0, edges[:, 2, None], edges[:, 3, None])
    jitter = s.perspective * draw["perspective"][:, 1:].reshape(-1, 4, 2)
    return turned + jitter / np.array([aspect, 1.0])


def homography(corners: np.ndarray) -> np.ndarray:
    """[N,3,3] maps taking the unit square's corners (00 10 11 01) to corners [N,4,2]; closed form of
    Heckbert (1989).
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (corners[:, i].T for i in range(4))
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    dx1, dx2, dy1, dy2 = x1 - x2, x3 - x2, y1 - y2, y3 - y2
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    rows = [
        x1 - x0 + g * x1,
        x3 - x0 + h * x3,
        x0,
        y1 - y0 + g * y1,
        y3 - y0 + h * y3,
        y0,
        g,
        h,
        np.ones_like(g),
    ]
    return np.stack(rows, -1).reshape(-1, 3, 3)


def _grid(maps: np.ndarray, height: int, width: int, device: torch.device) -> Tensor:
    """Sampling positions [N,H,W,2] for grid_sample."""
    m = _tensor(maps, device)[:, :, :, None, None]
    u = ((torch.arange(width, device=device) + 0.5) / width)[None, None]
    v = ((torch.arange(height, device=device) + 0.5) / height)[None, :, None]
    x, y, z = (m[:, i, 0] * u + m[:, i, 1] * v + m[:, i, 2] for i in range(3))
    return torch.stack([x / z, y / z], -1)


def _rows(images: Tensor, which: np.ndarray, operation) -> Tensor:
    """Applies an operation to the chosen rows alone, so that the others stay bit-equal and cost nothing."""
    rows = np.flatnonzero(which)
    return _put(images, rows, operation(images[rows], rows)) if len(rows) else images


def _put(images: Tensor, rows: np.ndarray, values: Tensor) -> Tensor:
    return images.index_copy(0, torch.as_tensor(rows, device=images.device), values)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(values.astype(np.float32), device=device)


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return _tensor(values, like.device)[:, None, None, None]


def _colour(x: Tensor, draw: np.ndarray, strength: float) -> Tensor:
    contrast = _column(1 + strength * (2 * draw[:, 1] - 1), x)
    brightness = _column(0.5 * strength * (2 * draw[:, 2] - 1), x)
    x = ((x - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    inverted = _column((draw[:, 3] < max(0.0, strength - 0.5)).astype(np.float64), x)
    return x + inverted * (1 - 2 * x)


def _shadow(x: Tensor, draw: np.ndarray, strength: float) -> Tensor:
    """A soft straight edge through the canvas; one side is darker."""
    slope, height, width = _column(2 * draw[:, 1] - 1, x), x.shape[-2], x.shape[-1]
    u = torch.linspace(-1, 1, width, device=x.device)[None, None, None]
    v = torch.linspace(-1, 1, height, device=x.device)[None, None, :, None]
    side = _column(np.where(draw[:, 2] < 0.5, -1.0, 1.0), x)
    ramp = (side * (u + slope * v + _column(1.2 * (2 * draw[:, 3] - 1), x)) * 3 + 0.5).clamp(0, 1)
    return x * (1 - _column(strength * draw[:, 4], x) * ramp)


def _blur(x: Tensor, sigma: np.ndarray) -> Tensor:
    """Gaussian blur by seven taps along each axis, edges repeated."""
    offsets = np.arange(-3, 4)
    taps = np.exp(-(offsets**2) / (2 * np.maximum(sigma, 1e-3)[:, None] ** 2))
    taps /= taps.sum(1, keepdims=True)
    for pad, axis in (((3, 3, 0, 0), 3), ((0, 0, 3, 3), 2)):
        wide, size = functional.pad(x, pad, mode="replicate"), x.shape[axis]
        x = torch.zeros_like(x)
        for k in range(7):
            x = x + _column(taps[:, k], x) * wide.narrow(axis, k, size)
    return x


def _noise(x: Tensor, uids: np.ndarray, view: np.ndarray, deviation: np.ndarray) -> Tensor:
    """Near-Gaussian noise: four 16-bit pieces of a hash of (uid, view, pixel), summed and standardised."""
    keys = keyed.hashed(uids, view, keyed.word("noise pixels")).view(np.int64)
    pixels = torch.arange(x[0].numel(), device=x.device, dtype=torch.int64)
    h = torch.as_tensor(keys, device=x.device)[:, None] + pixels[None] * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        h = (h ^ ((h >> shift) & ((1 << (64 - shift)) - 1))) * factor
    h = h ^ ((h >> 31) & ((1 << 33) - 1))
    total = torch.stack([(h >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]).sum(0)
    normal = (total.to(torch.float32) / 65536 - 2 + 2 / 65536) * 3**0.5
    return (x + _column(deviation, x) * normal.view(x.shape)).clamp(0, 1)
