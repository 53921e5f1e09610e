"""The reference engine: memory map, libjpeg-turbo or Pillow decode, Pillow's antialiased resampling,
threads.
"""

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from shards.engines import Canvases
from shards.errors import BadData
from shards.image import ImageSpec
from shards.pictures import PIXEL_LIMIT
from shards.read import Shards


class Engine:
    """Reads positions of `shards` as canvases of `image`. threads=0: one for every two cores, at most 8."""

    def __init__(self, shards: Shards, image: ImageSpec, threads: int = 0) -> None:
        self.shards, self.image = shards, image
        self.threads = threads or max(1, min(8, (os.cpu_count() or 1) // 2))
        self._pool = ThreadPoolExecutor(self.threads, "decode") if self.threads > 1 else None

    @property
    def triple(self) -> str:
        """Pixels are bit-equal wherever this is equal."""
        return f"plain/cpu/pillow-{PIL.__version__}+simplejpeg-{simplejpeg.__version__}"

    def read(self, positions: Sequence[int] | np.ndarray) -> Canvases:
        """Canvases of the positions, in their order."""
        n, spec = len(positions), self.image
        pixels = np.full((n, spec.depth, spec.height, spec.width), spec.pad, np.uint8)
        affines = np.tile(np.eye(2, 3), (n, 1, 1))
        damage: dict[int, str] = {}

        def fill(i: int) -> None:
            try:
                picture = decode(self.shards.image(int(positions[i])), spec)
                affines[i] = spec.affine(*picture.size)
                pixels[i] = spec.canvas(picture)
            except (BadData, OSError) as error:
                damage[i] = str(error)

        if self._pool is None:  # one thread needs no pool, and handing over costs as much as decoding
            for i in range(n):
                fill(i)
        else:
            list(self._pool.map(fill, range(n)))
        return Canvases(pixels, affines, dict(sorted(damage.items())))


def decode(data: bytes, spec: ImageSpec) -> Image.Image:
    """Encoded bytes as a picture: JPEG by libjpeg-turbo (accurate DCT and upsampling), PNG by Pillow.

    The header's size is checked first. Whatever a decoder raises is a BadData: it is the image's fault.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data, "GRAY" if spec.channels == "grey" else "RGB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
                _check(*picture.size)
                picture.load()
                return picture
    except BadData:
        raise
    except Exception as error:
        raise BadData(f"{type(error).__name__}: {error}") from None


def _jpeg(data: bytes, colours: str) -> Image.Image:
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    _check(int(width), int(height))
    pixels = simplejpeg.decode_jpeg(data, colours, fastdct=False, fastupsample=False)
    return Image.fromarray(pixels.reshape(pixels.shape[:2]) if colours == "GRAY" else pixels)


def _check(width: int, height: int) -> None:
    if width * height > PIXEL_LIMIT:
        raise BadData(f"{width}x{height}, at most {PIXEL_LIMIT} pixels are decoded")
