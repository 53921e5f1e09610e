"""What the header of a picture says, before a pixel is decoded."""

import io
import struct
import zlib

import pytest
from PIL import Image

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
