"""Published images: kept byte for byte, transcoded where decoders disagree, refused with a reason."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from ingest.images import published
from ingest.sources import Reject
from shards.engines.plain import decode
from shards.image import ImageSpec


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def chunked(width, height, depth, pixels):
    """An RGB PNG of raw scan lines, for what Pillow would not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    data = zlib.compress(pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


KEPT = [
    ("jpg", {"format": "JPEG"}),
    ("jpg", {"format": "JPEG", "mode": "L"}),
    ("jpg", {"format": "JPEG", "progressive": True}),
    ("jpg", {"format": "JPEG", "exif": exif(1)}),
    ("png", {"format": "PNG"}),
    ("png", {"format": "PNG", "mode": "L"}),
    ("png", {"format": "PNG", "mode": "1"}),
    ("png", {"format": "PNG", "mode": "P"}),
]
TRANSCODED = [
    ((20, 10), {"format": "JPEG", "mode": "CMYK"}),
    ((20, 10), {"format": "JPEG", "exif": exif(3)}),
    ((10, 20), {"format": "JPEG", "exif": exif(6)}),
    ((10, 20), {"format": "PNG", "exif": exif(8)}),
    ((20, 10), {"format": "PNG", "mode": "I;16"}),
    ((20, 10), {"format": "PNG", "mode": "RGBA"}),
    ((20, 10), {"format": "PNG", "mode": "LA"}),
    ((20, 10), {"format": "PNG", "mode": "P", "transparency": 3}),
    ((20, 10), {"format": "GIF", "mode": "P"}),
    ((20, 10), {"format": "BMP"}),
    ((20, 10), {"format": "TIFF", "mode": "L"}),
    ((20, 10), {"format": "TIFF", "mode": "I;16"}),
    ((20, 10), {"format": "WEBP", "lossless": True}),
    ((20, 10), {"format": "PPM"}),
]


@pytest.mark.parametrize(("suffix", "options"), KEPT)
def test_ordinary_images_stay_as_published(encoded, suffix, options):
    data = encoded(**options)
    got = published(data, "x")
    assert (got.image, got.suffix, got.size, got.transcoded) == (data, suffix, (20, 10), False)


@pytest.mark.parametrize(("size", "options"), TRANSCODED)
def test_images_that_decoders_disagree_on_become_plain_png(encoded, size, options):
    got = published(encoded(**options), "x")
    assert (got.suffix, got.size, got.transcoded) == ("png", size, True)
    with Image.open(io.BytesIO(got.image)) as image:
        assert image.size == size
        assert image.mode in ("L", "RGB")
        assert image.getexif().get(0x0112, 1) == 1
    assert published(got.image, "x").transcoded is False


def test_sixteen_bits_keep_the_upper_eight():
    got = published(chunked(2, 1, 16, b"\0" + struct.pack(">6H", 65535, 0, 256, 0, 65535, 512)), "x")
    with Image.open(io.BytesIO(got.image)) as image:
        assert np.asarray(image).tolist() == [[[255, 0, 1], [0, 255, 2]]]


def test_a_turned_image_is_stored_upright(encoded):
    plain, turned = encoded(format="PNG"), encoded(format="PNG", exif=exif(3))
    with (
        Image.open(io.BytesIO(plain)) as image,
        Image.open(io.BytesIO(published(turned, "x").image)) as upright,
    ):
        assert np.array_equal(np.asarray(image)[::-1, ::-1], np.asarray(upright))


def test_transparency_is_laid_on_white():
    file = io.BytesIO()
    Image.new("RGBA", (3, 2), (9, 9, 9, 0)).save(file, "PNG")
    with Image.open(io.BytesIO(published(file.getvalue(), "x").image)) as image:
        assert np.asarray(image).min() == 255


def animation():
    file = io.BytesIO()
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("empty", lambda encoded: b""),
        ("undecodable", lambda encoded: b"not an image at all"),
        ("undecodable", lambda encoded: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("undecodable", lambda encoded: encoded("TIFF", "F")),
        ("truncated", lambda encoded: encoded("JPEG")[:40]),
        ("truncated", lambda encoded: encoded("JPEG", size=(99, 99))[:-200]),
        ("truncated", lambda encoded: encoded("PNG", size=(99, 99))[:-60]),
        ("too_large", lambda encoded: chunked(9000, 9000, 8, b"")),
        ("too_large", lambda encoded: chunked(60000, 60000, 8, b"")),
        ("animated", lambda encoded: animation()),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_reason(encoded, reason, make):
    with pytest.raises(Reject) as caught:
        published(make(encoded), "some/where.png")
    assert (caught.value.reason, caught.value.origin) == (reason, "some/where.png")
    assert " at 0x" not in caught.value.detail


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_damaged_bytes_never_raise_anything_but_reject(encoded, format):
    data, rng = encoded(format, "RGB" if format != "GIF" else "P", size=(40, 16)), np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data[: int(rng.integers(1, len(data) + 1))])
        for place in rng.integers(0, len(broken), 3):
            broken[place] = int(rng.integers(256))
        with suppress(Reject):
            assert min(published(bytes(broken), "x").size) >= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_what_is_kept_is_what_the_reference_decodes(encoded, format):
    data, rng, refused = encoded(format, "RGB", size=(60, 24)), np.random.default_rng(0), 0
    for _ in range(300):
        broken = bytearray(data)
        broken[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        try:
            kept = published(bytes(broken), "x")
        except Reject:
            refused += 1
        else:
            assert decode(kept.image, ImageSpec(channels="rgb")).size == kept.size
    assert refused > 30
