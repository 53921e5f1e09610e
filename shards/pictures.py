"""What becomes of an image that somebody published: kept byte for byte, transcoded to PNG, or refused.

Kept: ordinary 8-bit JPEG and PNG. Transcoded, because decoders disagree about them: an EXIF turn, CMYK,
16 bit, transparency, and every format that is neither JPEG nor PNG. Each image is decoded once, in full: a
JPEG by the strict decoder that will read it, since Pillow passes grey rubble where libjpeg has only warned.
"""

import io
import re
import struct
import warnings
from dataclasses import dataclass

import simplejpeg
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from shards.errors import BadData

PIXEL_LIMIT = 64 << 20  # checked on the header, before a pixel is decoded
# Formats that run another program (EPS) or fetch other files are never opened.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
KEPT = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}  # MPO: a JPEG with previews behind it
KEPT_MODES = ("1", "L", "P", "RGB")
ORIENTATION = 0x0112
# What may say more of a JPEG or PNG than its first header does: a turn, transparency, several frames.
MORE = (b"Exif", b"exif", b"eXIf", b"ns.adobe.com", b"tRNS", b"acTL", b"XMP", b"xmp")
SMALL = 1 << 15  # bytes that are searched for these sooner than Pillow opens an image
PLAIN_PNG = re.compile(rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR.{8}[\x01-\x08][\0\x02\x03]", re.DOTALL)
WHITE = 255


class Refused(BadData):
    """An image that is not taken. reason: a short fixed word; detail: what exactly."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Published:
    """Bytes to store, their suffix (jpg or png), (width, height), whether they were made here, and whether
    EXIF had the pixels turned.
    """

    image: bytes
    suffix: str
    size: tuple[int, int]
    transcoded: bool
    turned: bool = False


def ordinary(data: bytes) -> bool:
    """Whether the header promises an image that `published` keeps as it is; its pixels are not decoded."""
    if len(data) <= SMALL and not any(word in data for word in MORE) and _promised(data):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
            _check(image)
            return image.format in KEPT and _agreed(image, data)
    except Exception:
        return False


def _promised(data: bytes) -> bool:
    """Whether the first header alone promises a grey or coloured image of 8 bits within the limit."""
    if PLAIN_PNG.match(data):
        width, height = struct.unpack(">2I", data[16:24])
        return 0 < width * height <= PIXEL_LIMIT
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return colours in ("Gray", "YCbCr") and int(height) * int(width) <= PIXEL_LIMIT


def pixels(data: bytes) -> int:
    """How many the header promises, 0 where no header can be read; none of them is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(data), formats=FORMATS).size
            return width * height
    except Image.DecompressionBombError:
        return PIXEL_LIMIT + 1
    except Exception:
        return 0


def published(data: bytes) -> Published:
    """The image as it will be stored; Refused: empty, too_large, animated, truncated or undecodable."""
    if not data:
        raise Refused("empty", "0 bytes")
    image, kept = _opened(data)
    if kept and image.format:
        return Published(data, KEPT[image.format], image.size, False)
    try:
        upright = plain(image)
    except MemoryError:  # says nothing of the image
        raise
    except Exception as error:
        raise Refused("undecodable", _judged(error)) from None
    file = io.BytesIO()
    upright.save(file, "PNG")
    return Published(file.getvalue(), "png", upright.size, True, _turned(image))


def _opened(data: bytes) -> tuple[ImageFile.ImageFile, bool]:
    """The decoded image, and whether its bytes are kept. Whatever a decoder raises is a Refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is judged here: size, metadata, truncation
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check(image)
            if image.format in ("JPEG", "MPO") and _agreed(image, data):
                simplejpeg.decode_jpeg(data, "GRAY" if image.mode == "L" else "RGB")
                return image, True
            image.load()
            return image, image.format in KEPT and _agreed(image, data)
    except (Refused, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise Refused("too_large", f"more than {PIXEL_LIMIT} pixels") from None
    except UnidentifiedImageError:
        raise Refused("undecodable", f"{len(data)} bytes of no known image format") from None
    except Exception as error:
        said = _judged(error)
        cut = any(words in said.lower() for words in ("truncated", "premature end"))
        raise Refused("truncated" if cut else "undecodable", said) from None


def limited(width: int, height: int) -> None:
    """Refused where a picture of such a size is: empty or too_large."""
    if width < 1 or height < 1:
        raise Refused("empty", f"{width}x{height} pixels")
    if width * height > PIXEL_LIMIT:
        raise Refused("too_large", f"{width}x{height}, at most {PIXEL_LIMIT} pixels are decoded")


def _check(image: ImageFile.ImageFile) -> None:
    limited(*image.size)
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Refused("animated", f"{getattr(image, 'n_frames', 2)} frames")


def _agreed(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether every decoder gives the same pixels for a JPEG or PNG."""
    deep = image.format == "PNG" and data[24] == 16  # Pillow hides the depth of RGB; byte 24 of IHDR has it
    return image.mode in KEPT_MODES and not deep and "transparency" not in image.info and not _turned(image)


def _turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ORIENTATION, 1) in range(2, 9)
    except Exception:  # damaged metadata of a sound image: no decoder can act on it
        return False


def plain(image: Image.Image) -> Image.Image:
    """Upright, 8 bits, grey or RGB, transparency laid on white, nothing but pixels."""
    if _turned(image):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = image.convert("I").point([value >> 8 for value in range(65536)], "L")
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no agreed range of values")
    grey = image.mode in ("1", "L", "LA", "La")
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, WHITE))
        image = Image.alpha_composite(white, image)
    image = image.convert("L" if grey else "RGB")
    image.info = {}  # profiles and comments would be written again
    return image


def _judged(error: Exception) -> str:
    """The error's words without memory addresses, so that equal inputs give equal ledgers; a MemoryError
    where a decoder says in its own way that memory ran out.
    """
    if re.search("out of memory|insufficient memory|cannot allocate", f"{error}", re.IGNORECASE):
        raise MemoryError(f"{error}") from None
    return re.sub(r"<[^>]* at 0x[0-9a-f]+>", "image", f"{error}") or type(error).__name__
