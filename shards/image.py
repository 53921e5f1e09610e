"""The image spec: how a source picture becomes the canvas that a model sees, and where its points go.

One spec travels with a model from training to export; nobody else decides about size, colour or resampling.
Letters: N samples, C channels, H W canvas pixels, h w source pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shards.errors import BadSettings

CHANNELS = {"grey": 1, "rgb": 3, "bgr": 3}
FITS = ("stretch", "keep", "letterbox")
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
    """

    height: int = 32  # of the canvas, pixels
    width: int = 100  # of the canvas, pixels
    channels: str = "grey"  # grey, rgb or bgr
    fit: str = "stretch"  # stretch to the canvas, keep the aspect and pad on the right, or letterbox
    resample: str = "bilinear"  # bilinear, bicubic or nearest; the first two are antialiased
    mean: float = 0.5  # taken off the pixels, which are in 0..1
    std: float = 0.5  # what they are then divided by
    pad: int = 127  # grey value of the padding, 0..255

    def __post_init__(self) -> None:
        for field, value, known in (
            ("channels", self.channels, CHANNELS),
            ("fit", self.fit, FITS),
            ("resample", self.resample, RESAMPLES),
        ):
            if value not in known:
                raise BadSettings(f"image.{field}: no {value!r} (there are: {', '.join(known)})")
        numbers = math.isfinite(self.mean) and 0 < self.std < math.inf
        if self.height < 1 or self.width < 1 or not numbers or not 0 <= self.pad <= 255:
            raise BadSettings(f"image: impossible size, mean, std or pad in {self}")

    @property
    def depth(self) -> int:
        """C: how many channels the canvas has."""
        return CHANNELS[self.channels]

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
        if picture.size != (width, height):
            picture = picture.resize((width, height), RESAMPLES[self.resample])
        pixels = np.asarray(picture)
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if self.channels == "bgr":
            pixels = pixels[::-1]
        if (width, height) == (self.width, self.height):
            return np.ascontiguousarray(pixels)
        out = np.full((self.depth, self.height, self.width), self.pad, dtype=np.uint8)
        out[:, top : top + height, left : left + width] = pixels
        return out
