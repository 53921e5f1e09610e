"""What the tests of engines share: pictures of every kind, and shards that hold them."""

import io
from types import SimpleNamespace

import numpy as np
from PIL import Image

from shards.read import Shards

KINDS = [
    "L jpeg",
    "RGB jpeg",
    "444 jpeg",
    "progressive jpeg",
    "turned jpeg",
    "L png",
    "RGB png",
    "P png",
    "1 png",
]


def encoded(kind: str, width: int, height: int) -> bytes:
    """A soft coloured pattern of a size, as one of KINDS."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    waves = [127 + 120 * np.sin(across / (4 + c) + down / (3 + 2 * c) + c) for c in range(3)]
    picture, file = Image.fromarray(np.stack(waves, -1).astype(np.uint8)), io.BytesIO()
    mode, suffix = kind.split()
    turned = Image.Exif()
    turned[0x112] = 6
    options = {"444": {"subsampling": 0}, "progressive": {"progressive": True}, "turned": {"exif": turned}}
    picture = picture.convert(mode) if mode in ("L", "P", "1") else picture
    picture.save(file, suffix, **options.get(mode, {}))
    return file.getvalue()


def given(*images: bytes) -> Shards:
    """A double for shards: pictures by position."""
    return SimpleNamespace(image=lambda position: images[position])  # pyright: ignore[reportReturnType]
