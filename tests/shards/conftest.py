"""Shards made by hand: scenes with polygons, crops with labels that are hard to write down."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from shards import manifest, pack
from shards.sample import Meta, Record, Sample, Word

HARD = (
    "a,b", 'say "hi"', "it's;|", " led", "tail ", "a  b", "", "ﬁn", "naïve", "מילה", "שלום, abc", "日本語",
    "\u202eevil", "zero\u200bwidth", "\u2028sep", "<b>&amp;</b>", "\\n", "#1", "\ufeffbom", "e\u0301", "🙂",
    "a/b",
)  # fmt: skip
EVIL = "<script>alert('x')</script>"


def picture(seed: int, size: tuple[int, int] = (40, 16), suffix: str = "jpg") -> bytes:
    """An encoded picture of noise, another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 4 + 1, size[0] // 4 + 1), np.uint8)
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "png": "PNG"}[suffix]
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def crop(seed: int, text: str | None, suffix: str = "jpg", **more) -> Sample:
    size = (40 + seed % 9, 16)
    record = Record((Word(text, **more),), size, f"crops/{seed}.{suffix}", Meta(group=f"g{seed % 3}"))
    return Sample(picture(seed, size, suffix), suffix, record)


def box(left, top, right, bottom):
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def scene(seed: int, *words: Word) -> Sample:
    return Sample(picture(seed, (160, 90)), "jpg", Record(words, (160, 90), f"img_{seed}.jpg"))


def written(folder: Path, split: str, items: list, name: str = "toy", per_shard: int = 8) -> Path:
    """A finished split of the given samples and rejects, row by row."""
    dataset = manifest.dataset_id(name, split, {})
    rows = [(r, pack.Rejected(r, *item) if isinstance(item, tuple) else item) for r, item in enumerate(items)]
    infos = []
    for number, first in enumerate(range(0, len(rows), per_shard)):
        part = rows[first : first + per_shard]
        stem = pack.stem_of(number)
        infos.append(pack.write_shard(folder / split, stem, first, first + len(part), part, dataset))
    whole = manifest.Manifest(name, split, "toy", "CC0 <i>", {}, len(rows), per_shard, tuple(infos))
    manifest.save(folder / split, whole)
    return folder


@pytest.fixture(scope="session")
def hand() -> SimpleNamespace:
    """What makes shards by hand."""
    return SimpleNamespace(
        crop=crop, scene=scene, box=box, written=written, picture=picture, hard=HARD, evil=EVIL
    )


@pytest.fixture(scope="session")
def crops(tmp_path_factory) -> Path:
    """train: a word for each hard label, and two rejects; test: some of the same words, others."""
    out = tmp_path_factory.mktemp("crops") / "crops"
    train = [crop(seed, text, "png" if seed % 2 else "jpg") for seed, text in enumerate(HARD)]
    train[5:5] = [("missing_image", "crops/x.jpg", EVIL), ("truncated", "crops/y.jpg")]
    written(out, "train", train)
    written(
        out, "test", [crop(100 + seed, text) for seed, text in enumerate(('SAY "HI"', "a,b", "Ω", "new"))]
    )
    return out


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """Six scenes: skewed words, one illegible, one across the edge, one outside, a scene without text."""
    out = tmp_path_factory.mktemp("scenes") / "scenes"
    skewed = ((10.0, 10.0), (60.5, 14.0), (58.0, 30.25), (8.0, 26.0))
    items = [
        scene(0, Word("North", skewed), Word(None, box(70, 10, 90, 20), legible=False)),
        scene(1, Word("edge", box(140, 70, 200, 120)), Word("Tower", box(20, 40, 60, 60))),
        scene(2),
        scene(3, Word("gone", box(300, 10, 340, 20)), Word("ab,c", box(5, 5, 25, 15))),
        scene(4, Word(EVIL, box(0, 0, 160, 90))),
        scene(5, Word("\u202eabc", box(30, 30, 60, 40)), Word("five", (*box(80, 40, 120, 60), (75.0, 50.0)))),
    ]
    written(out, "train", items)
    return out
