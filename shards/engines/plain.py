"""The reference engine: memory map, libjpeg-turbo or Pillow decode, Pillow's antialiased resampling,
threads.
"""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from shards.engines import Canvases
from shards.errors import BadData
from shards.image import ImageSpec
from shards.read import Shards


class Engine:
    """Reads positions of `shards` as canvases of `image`. threads=0 takes one per core, at most 8."""

    def __init__(self, shards: Shards, image: ImageSpec, threads: int = 0) -> None:
        self.shards, self.image = shards, image
        self.threads = threads or min(8, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self.threads, "decode")

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
            except (BadData, ValueError, OSError, SyntaxError) as error:
                damage[i] = str(error)

        list(self._pool.map(fill, range(n), chunksize=max(1, n // (4 * self.threads))))
        return Canvases(pixels, affines, dict(sorted(damage.items())))


def decode(data: bytes, spec: ImageSpec) -> Image.Image:
    """Encoded bytes as a picture: JPEG by libjpeg-turbo (accurate DCT and upsampling), all else by Pillow."""
    if data[:2] == b"\xff\xd8":
        colours = "GRAY" if spec.channels == "grey" else "RGB"
        pixels = simplejpeg.decode_jpeg(data, colours, fastdct=False, fastupsample=False)
        return Image.fromarray(pixels[:, :, 0] if colours == "GRAY" else pixels)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture
