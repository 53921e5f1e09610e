"""The image spec: how a source picture becomes the canvas that a model sees, and where its points go.

One spec travels with a model from training to export; nobody else decides about size, colour or resampling.
Letters: N samples, C channels, H W canvas pixels, h w source pixels.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image

from shards.errors import BadSettings

CHANNELS = {"grey": 1, "rgb": 3, "bgr": 3}
FITS = ("stretch", "keep", "letterbox")
POLARITIES = ("as_is", "dark_on_light", "light_on_dark")
ENLARGED = 1024  # pixels: no text needs more
LONGEST = 64  # times its height: a longer picture is not enlarged
# PIL's filters of these names are antialiased: the support grows with the shrink factor.
RESAMPLES = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The canvas: size in pixels, colours, fit, resampling and normalisation ((x / 255 - mean) / std).

    fit: stretch = fill the canvas; keep = full height, at most the full width, padded on the right;
    letterbox = as large as possible, centred. pad is the grey value (0..255) of the padding.
    polarity: other than as_is, a picture whose ink is found to be of the other kind is inverted. Ink is what
    is rarer: it is dark where the mean of the picture lies below its median.
    min_height: a picture that is lower is first enlarged to it, by bicubic resampling, keeping its aspect:
    small words get smooth edges instead of steps.
    buckets: a picture is given to the model on the narrowest of these widths that it fits on, at fit=keep:
    which one, is a function of its own size. The canvas is one of full width all the same; the model cuts it.
    """

    height: int = 32  # of the canvas, pixels
    width: int = 100  # of the canvas, pixels
    channels: str = "grey"  # grey, rgb or bgr
    fit: str = "stretch"  # stretch to the canvas, keep the aspect and pad on the right, or letterbox
    resample: str = "bilinear"  # bilinear, bicubic or nearest; the first two are antialiased
    mean: float = 0.5  # taken off the pixels, which are in 0..1
    std: float = 0.5  # what they are then divided by
    pad: int = 127  # grey value of the padding, 0..255
    polarity: str = "as_is"  # as_is, or what all pictures are brought to: dark_on_light or light_on_dark
    min_height: int = 0  # pixels to which lower pictures are enlarged before all else, 0 = as they are
    buckets: list[int] = field(default_factory=list)  # rising widths, the last of them `width`; empty = one

    def __post_init__(self) -> None:
        for name, value, known in (
            ("channels", self.channels, CHANNELS),
            ("fit", self.fit, FITS),
            ("resample", self.resample, RESAMPLES),
            ("polarity", self.polarity, POLARITIES),
        ):
            if value not in known:
                raise BadSettings(f"image.{name}: no {value!r} (there are: {', '.join(known)})")
        numbers = math.isfinite(self.mean) and 0 < self.std < math.inf
        if self.height < 1 or self.width < 1 or not numbers or not 0 <= self.pad <= 255:
            raise BadSettings(f"image: impossible size, mean, std or pad in {self}")
        if not 0 <= self.min_height <= ENLARGED:
            raise BadSettings(f"image.min_height: {self.min_height}, must be between 0 and {ENLARGED}")
        if self.buckets and self.fit != "keep":
            raise BadSettings(f"image.buckets: only image.fit=keep leaves widths to choose, not {self.fit}")
        if self.edges[-1] != self.width or any(a >= b for a, b in pairwise([0, *self.edges])):
            raise BadSettings(
                f"image.buckets: {self.buckets}, must be rising widths that end in image.width={self.width}"
            )

    @property
    def depth(self) -> int:
        """C: how many channels the canvas has."""
        return CHANNELS[self.channels]

    @property
    def edges(self) -> tuple[int, ...]:
        """The widths, rising, that a model sees: the buckets, or the canvas's one."""
        return tuple(self.buckets) or (self.width,)

    def edge(self, widths: np.ndarray) -> np.ndarray:
        """The edge [n] that each picture is cut at, by the width [n] of its part of the canvas."""
        return np.asarray(self.edges)[np.searchsorted(self.edges, widths)]

    def spans(self, w: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Canvas columns [n], from the left, that w x h pictures take; beyond them is only padding."""
        kept = np.rint(w.astype(np.float64) * self.height / h)  # as `placement` says, for many at once
        return np.clip(kept, 1, self.width).astype(np.int64)

    def placement(self, w: int, h: int) -> tuple[int, int, int, int]:
        """(left, top, width, height) of a w x h picture on the canvas, in canvas pixels."""
        if self.fit == "stretch":
            return 0, 0, self.width, self.height
        scale = min(self.height / h, self.width / w)
        if self.fit == "keep":
            return 0, 0, max(1, min(self.width, round(w * self.height / h))), self.height
        width, height = max(1, round(w * scale)), max(1, round(h * scale))
        return (self.width - width) // 2, (self.height - height) // 2, width, height

    def affine(self, w: int, h: int) -> np.ndarray:
        """The 2x3 float64 map from source pixel coordinates to canvas pixel coordinates."""
        left, top, width, height = self.placement(w, h)
        return np.array([[width / w, 0.0, left], [0.0, height / h, top]])

    def canvas(self, picture: Image.Image) -> np.ndarray:
        """A picture as a uint8 canvas [C,H,W]."""
        mode = "L" if self.channels == "grey" else "RGB"
        picture = picture if picture.mode == mode else picture.convert(mode)
        left, top, width, height = self.placement(*picture.size)
        picture = self._enlarged(picture)
        if picture.size != (width, height):
            picture = picture.resize((width, height), RESAMPLES[self.resample])
        pixels = np.asarray(picture)
        if self._other(picture):
            pixels = 255 - pixels
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if self.channels == "bgr":
            pixels = pixels[::-1]
        if (width, height) == (self.width, self.height):
            return np.ascontiguousarray(pixels)
        out = np.full((self.depth, self.height, self.width), self.pad, dtype=np.uint8)
        out[:, top : top + height, left : left + width] = pixels
        return out

    def _enlarged(self, picture: Image.Image) -> Image.Image:
        """A picture of at least min_height; one over 64 times as long as high stays as it is."""
        w, h = picture.size
        if h >= self.min_height or w > LONGEST * h:
            return picture
        return picture.resize((max(1, round(w * self.min_height / h)), self.min_height), RESAMPLES["bicubic"])

    def _other(self, picture: Image.Image) -> bool:
        """Whether its ink is of another kind than the one asked for, by its grey values."""
        if self.polarity == "as_is":
            return False
        grey = np.asarray(picture.convert("L"))
        dark = grey.mean() <= np.median(grey)
        return dark != (self.polarity == "dark_on_light")
