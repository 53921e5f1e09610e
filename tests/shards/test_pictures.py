"""What the header of a picture says, before a pixel is decoded."""

import io
import struct
import zlib

import pytest
from PIL import Image

from shards import pictures
from shards.pictures import PIXEL_LIMIT, pixels


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_the_pixels_of_a_header_are_counted_in_every_format_cut_off_or_not(kind):
    file = io.BytesIO()
    Image.effect_noise((90, 70), 9).save(file, kind)
    assert pixels(file.getvalue()) == 90 * 70
    if kind != "WEBP" and kind != "TIFF":  # these keep what describes them at the end, or check their length
        assert pixels(file.getvalue()[:1500]) == 90 * 70


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_has_no_header_has_no_pixels(data):
    assert pixels(data) == 0


def test_more_than_any_decoder_takes_is_more_than_the_limit():
    head = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\x20IDAT"
    assert pixels(data + bytes(40)) > PIXEL_LIMIT


TURNED = Image.Exif()
TURNED[pictures.ORIENTATION] = 6
PUBLISHED = {
    "a grey jpeg": ("L", "JPEG", {}, True),
    "a coloured jpeg": ("RGB", "JPEG", {"progressive": True}, True),
    "a jpeg of four inks": ("CMYK", "JPEG", {}, False),
    "a jpeg turned by EXIF": ("RGB", "JPEG", {"exif": TURNED}, False),
    "a coloured png": ("RGB", "PNG", {}, True),
    "a png of two tones": ("1", "PNG", {}, True),
    "a png with a palette": ("P", "PNG", {}, True),
    "a png of 16 bits": ("I;16", "PNG", {}, False),
    "a transparent png": ("RGBA", "PNG", {}, False),
    "a png with a transparent colour": ("P", "PNG", {"transparency": 3}, False),
    "a png turned by EXIF": ("RGB", "PNG", {"exif": TURNED}, False),
    "a bitmap": ("RGB", "BMP", {}, False),
}


@pytest.mark.parametrize("size", [(9, 7), (400, 300)], ids=["small", "large"])
@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_header_tells_what_is_kept_as_it_is(kind, size):
    mode, suffix, more, kept = PUBLISHED[kind]
    file = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode if mode != "I;16" else "I").convert(mode).save(
        file, suffix, **more
    )
    assert pictures.ordinary(file.getvalue()) == kept
    assert pictures.published(file.getvalue()).transcoded == (not kept)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_has_no_header_is_not_ordinary(data):
    assert not pictures.ordinary(data)


@pytest.mark.parametrize("size", [0, pictures.SMALL], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("height", [8192, 8193])
def test_the_limit_of_pixels_holds_for_every_header(kind, size, height):
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, kind)
    data = bytearray(file.getvalue() + bytes(size))
    place, form = (data.index(b"IHDR") + 4, ">2I") if kind == "PNG" else (data.index(b"\xff\xc0") + 5, ">2H")
    struct.pack_into(form, data, place, *((8192, height) if kind == "PNG" else (height, 8192)))
    if kind == "PNG":
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    assert pictures.ordinary(bytes(data)) == (8192 * height <= PIXEL_LIMIT)
