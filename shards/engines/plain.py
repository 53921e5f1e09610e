"""The reference engine: memory map, libjpeg-turbo or Pillow decode, Pillow's antialiased resampling,
threads.
"""

import io
import struct
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from shards.engines import ASKED, Canvases, threads_of
from shards.errors import BadData
from shards.image import ImageSpec
from shards.pictures import PIXEL_LIMIT
from shards.read import Shards

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"  # how their files begin


class Engine:
    """Reads positions of `shards` as canvases of `image`; decodes on the CPU, whatever the device."""

    why = ASKED

    def __init__(self, shards: Shards, image: ImageSpec, threads: int = 0, device: object = "cpu") -> None:
        self.shards, self.image = shards, image
        self.threads = threads_of(threads)
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

        def fill(first: int) -> None:
            for i in range(first, n, self.threads):
                try:
                    picture = decode(self.shards.image(int(positions[i])), spec)
                    affines[i] = spec.affine(*picture.size)
                    pixels[i] = spec.canvas(picture)
                except (BadData, OSError) as error:
                    damage[i] = str(error)

        if self._pool is None:
            fill(0)
        else:  # one task a thread: handing over each picture costs as much as decoding a word
            list(self._pool.map(fill, range(self.threads)))
        return Canvases(pixels, affines, dict(sorted(damage.items())))


def decode(data: bytes, spec: ImageSpec) -> Image.Image:
    """Encoded bytes as a picture: JPEG by libjpeg-turbo (accurate DCT and upsampling), PNG by Pillow.

    The header's size is checked first. Whatever a decoder raises is a BadData: it is the image's fault.
    """
    size_of(data)
    try:
        if data[:2] == JPEG:
            return _jpeg(data, "GRAY" if spec.channels == "grey" else "RGB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
                _check(*picture.size)  # a second header in a broken file may say another size
                picture.load()
                return picture
    except BadData:
        raise
    except Exception as error:
        raise BadData(f"{type(error).__name__}: {error}") from None


def size_of(data: bytes) -> tuple[int, int]:
    """(width, height) by the header; BadData if it is no JPEG or PNG or promises too many pixels."""
    if data[:2] == JPEG:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
        except ValueError as error:
            raise BadData(f"{type(error).__name__}: {error}") from None
    elif data[: len(PNG)] == PNG and data[12:16] == b"IHDR" and len(data) > 24:
        width, height = struct.unpack(">2I", data[16:24])
    else:
        raise BadData(f"{len(data)} bytes that begin neither a JPEG nor a PNG")
    _check(int(width), int(height))
    return int(width), int(height)


def _jpeg(data: bytes, colours: str) -> Image.Image:
    pixels = simplejpeg.decode_jpeg(data, colours, fastdct=False, fastupsample=False)
    return Image.fromarray(pixels.reshape(pixels.shape[:2]) if colours == "GRAY" else pixels)


def _check(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise BadData(f"{width}x{height} pixels")
    if width * height > PIXEL_LIMIT:
        raise BadData(f"{width}x{height}, at most {PIXEL_LIMIT} pixels are decoded")
