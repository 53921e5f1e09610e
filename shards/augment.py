"""Augmentation that can be replayed: batched torch operations whose parameters are hashes of (uid, view,
operation).

View 0 is untouched. View k of a sample has the same parameters on any engine, rank and day; its pixels do not
depend on the
batch it stands in. Every operation is elementwise or per sample, in a fixed order of sums, for that reason.
Letters: N samples, C channels, H W pixels; images are floats in 0..1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards import keyed, warp
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
    zoom: float = 0.0  # up to this factor - 1 larger or smaller; a scene is enlarged about one of its words
    shift: float = 0.0  # how far the picture moves, fraction of the canvas
    outside: Literal["edge", "grey"] = "edge"  # what is seen beyond the canvas: its edge on and on, or grey
    colour: float = 0.0  # contrast and brightness, 0..1; above .5 also inversion
    shadow: float = 0.0  # darkness of a soft edge of shadow, 0..1
    blur: float = 0.0  # largest sigma, pixels
    noise: float = 0.0  # largest standard deviation, of the full range
    jpeg: float = 0.0  # 0..1: lowest quality is 100 - 90 x this
    mosaic: float = 0.0  # probability that a view of a scene shows parts of four of them (shards.mosaic)

    def __post_init__(self) -> None:
        shares = dict.fromkeys(("chance", "colour", "shadow", "jpeg", "mosaic"), (0.0, 1.0))
        lengths = ("rotation", "perspective", "stretch", "crop", "zoom", "shift", "blur", "noise")
        check_ranges(self, "augment.", **shares, **dict.fromkeys(lengths, (0.0, math.inf)))

    @property
    def active(self) -> bool:
        """Whether any view differs from view 0."""
        others = any(v for k, v in vars(self).items() if k not in ("chance", "outside", "mosaic"))
        return self.mosaic > 0 or (self.chance > 0 and others)


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
            "zoom": 2,
            "shift": 3,
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

    def __call__(
        self, images: Tensor, uids: np.ndarray, view: np.ndarray | int, focus: np.ndarray | None = None
    ) -> Tensor:
        """focus: see `warp.corners`."""
        s = self.settings
        uids, view = np.asarray(uids), np.broadcast_to(view, len(uids))
        if not view.any() or not s.active:
            return images
        draws = self.parameters(uids, view)
        on = self._on(draws, view)
        images = self._geometry(images, draws, view, focus)
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

    def places(self, uids: np.ndarray, view: np.ndarray | int, size: tuple[int, int],
               focus: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
        """Where the points of canvases of a size (height, width) stand in those views: float64 [N,3,3] maps
        of (x, y, 1). focus: see `warp.corners`.
        """
        uids, view, (height, width) = np.asarray(uids), np.broadcast_to(view, len(uids)), size
        rows, maps = self._warps(self.parameters(uids, view), view, size, focus)
        out = np.tile(np.eye(3), (len(uids), 1, 1))
        seen = np.diag([1 / width, 1 / height, 1.0])  # a view's pixels to its unit square
        read = np.array([[width / 2, 0.0, width / 2], [0.0, height / 2, height / 2], [0.0, 0.0, 1.0]])
        out[rows] = np.linalg.inv(read @ maps @ seen)
        return out

    def _warps(self, draws: dict[str, np.ndarray], view: np.ndarray, size: tuple[int, int],
               focus: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Which samples an operation of the geometry moves, and the maps of `warp.grid` for them."""
        on = self._on(draws, view)
        moved = np.zeros(len(view), bool)
        for name in warp.OPERATIONS:
            moved |= on[name] & (getattr(self.settings, name) > 0)
        rows = np.flatnonzero(moved)
        draw = {name: np.where(on[name][rows, None], 2 * d[rows] - 1, 0.0) for name, d in draws.items()}
        chosen = None if focus is None else focus[rows]
        return rows, warp.homography(warp.corners(draw, self.settings, size[1] / size[0], chosen))

    def _on(self, draws: dict[str, np.ndarray], view: np.ndarray) -> dict[str, np.ndarray]:
        """Which samples each operation touches."""
        return {name: (draw[:, 0] < self.settings.chance) & (view != 0) for name, draw in draws.items()}

    def _geometry(self, images: Tensor, draws: dict[str, np.ndarray], view: np.ndarray,
                  focus: np.ndarray | None) -> Tensor:  # fmt: skip
        """All that moves points, as one homography and one resampling."""
        height, width = images.shape[-2:]
        rows, maps = self._warps(draws, view, (height, width), focus)
        if not len(rows):
            return images
        grid = warp.grid(maps, height, width, images.device)
        grey = 0.5 if self.settings.outside == "grey" else 0.0
        padding = "border" if self.settings.outside == "edge" else "zeros"
        warped = functional.grid_sample(
            images[rows] - grey, grid, mode="bilinear", padding_mode=padding, align_corners=False
        )
        return _put(images, rows, warped + grey)


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
