"""Every engine gives the canvases of the reference, within a stated bound, and survives what is damaged."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from shards import lookup, manifest, pack
from shards.augment import Augment, Settings
from shards.engines import dali, plain
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from shards.sample import Record, Sample, Word
from tests.shards.encoded import KINDS, encoded, given

NAMES = lookup.members("shards.engines")
SIZES = [(1, 1), (50, 2), (23, 17), (104, 31), (400, 33), (200, 300), (5, 90)]
# Levels by which a canvas may differ: (inside, in the outermost pixels, on average over a canvas). The border
# is treated otherwise, and Pillow clips what a bicubic filter overshoots after each direction.
BOUNDS = {"bilinear": (1, 32, 1.0), "bicubic": (32, 32, 4.0)}


@pytest.fixture(params=NAMES)
def opened(request):
    """opened(shards, spec, threads, device) for each engine in turn; skipped where it is not installed."""
    if request.param == "dali":
        pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")
    return lookup.find("shards.engines", request.param).Engine


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", ["grey", "rgb", "bgr"])
@pytest.mark.parametrize(
    ("fit", "resample"),
    [("stretch", "bilinear"), ("keep", "bilinear"), ("letterbox", "bilinear"), ("stretch", "bicubic")],
)
def test_every_engine_agrees_with_the_reference(opened, kind, channels, fit, resample):
    spec = ImageSpec(32, 100, channels, fit, resample)
    source = given(*(encoded(kind, *size) for size in SIZES))
    read, wanted = (make(source, spec, 1).read(range(len(SIZES))) for make in (opened, plain.Engine))
    assert read.damage == wanted.damage == {}
    assert np.array_equal(read.affines, wanted.affines)
    inside, border, average = BOUNDS[resample]
    # a coloured PNG is made grey by another rounding
    more = channels == "grey" and kind in ("RGB png", "P png")
    for i, size in enumerate(SIZES):
        left, top, width, height = spec.placement(*size)
        gap = np.abs(read.pixels[i].astype(int) - wanted.pixels[i])
        picture = gap[:, top : top + height, left : left + width]
        assert gap.sum() == picture.sum()  # the padding is the same
        assert gap.mean() <= average + more
        assert picture.max() <= border
        assert picture[:, 1:-1, 1:-1].max(initial=0) <= inside + more


def test_every_engine_reads_words_alike_in_any_order_batch_and_thread(opened, words):
    shards, spec = Shards([words], "train"), ImageSpec()
    one, two = opened(shards, spec, 1), opened(shards, spec, 2)
    whole = one.read(np.arange(96))
    assert one.triple == two.triple
    assert one.why
    for batch in (1, 7, 50):
        order = np.random.default_rng(batch).permutation(96)
        parts = [two.read(order[start : start + batch]) for start in range(0, 96, batch)]
        assert np.array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels[order])
        assert np.array_equal(np.concatenate([part.affines for part in parts]), whole.affines[order])
    wanted = np.stack([spec.canvas(plain.decode(shards.image(i), spec)) for i in range(96)])
    gap = np.abs(whole.pixels.astype(int) - wanted)
    assert gap.mean() < 0.5
    assert gap[:, :, 1:-1, 1:-1].max() <= 1


def test_every_engine_shows_the_same_views(opened, words):
    # A view's parameters are a function of uid and view alone: only what the canvases differ by differs.
    shards, name = Shards([words], "train"), opened.__module__.rpartition(".")[2]
    settings = Settings(chance=1, rotation=5, stretch=0.2, colour=0.5)

    def batches(engine: str, views: int):
        augment, plan = Augment(settings), Plan(shards.uids, 32, seed=1)
        return list(Loader(shards, plan, ImageSpec(), Targets, augment, views, engine).batches(1))

    for mine, theirs, still in zip(batches(name, 0), batches("plain", 0), batches("plain", 1), strict=True):
        assert torch.equal(mine.uids, theirs.uids)
        assert np.array_equal(mine.view, theirs.view)
        assert float((mine.images - theirs.images).abs().mean()) < 0.01
        assert float((mine.images - still.images).abs().mean()) > 0.1


class Targets:
    """A double for a task's targets."""

    def __init__(self, records):
        self.records = records

    def to(self, device):
        return self


def chunk(kind: bytes, data: bytes, wrong: int = 0) -> bytes:
    """A PNG's chunk; wrong: what its checksum is off by."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ wrong)


def png(width: int, height: int, wrong: int = 0) -> bytes:
    """A black PNG whose header says a size."""
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height) if width < 1000 else b"")
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels, wrong) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def broken(bad: str) -> bytes:
    """An image of 64 x 64 pixels that is broken in some way."""
    gif = io.BytesIO()
    Image.new("L", (9, 9)).save(gif, "GIF")
    whole = encoded("L jpeg", 64, 64)
    return {
        "bomb": png(60000, 60000),
        "no pixels": png(0, 5),
        "large jpeg": encoded("L jpeg", 80, 64),
        "cut jpeg": whole[: len(whole) * 2 // 3],
        "cut header": whole[:100],
        "cut png": encoded("RGB png", 64, 64)[:200],
        "gif": gif.getvalue(),
        "nothing": b"",
        "chunk": b"\x89PNG\r\n\x1a\n\0\0\0\0IDAT",
    }[bad]


@pytest.mark.parametrize(
    "bad",
    ["bomb", "no pixels", "large jpeg", "cut jpeg", "cut header", "cut png", "gif", "nothing", "chunk"],
)
def test_whatever_a_decoder_refuses_is_that_samples_damage(opened, bad, monkeypatch):
    if bad == "large jpeg":
        monkeypatch.setattr(plain, "PIXEL_LIMIT", 64 * 64)
    whole, spec = encoded("RGB jpeg", 64, 64), ImageSpec()
    engine = opened(given(whole, broken(bad)), spec, 1)
    clean, read = engine.read([0, 0, 0]), engine.read([0, 1, 0])
    assert list(read.damage) == [1]
    assert read.damage[1]
    assert np.array_equal(read.pixels[[0, 2]], clean.pixels[[0, 2]])
    assert (read.pixels[1] == spec.pad).all()
    assert np.array_equal(read.affines[1], np.eye(2, 3))
    assert np.array_equal(engine.read([0]).pixels, clean.pixels[:1])


def test_many_broken_images_in_one_batch_are_all_found(opened):
    images = [encoded("RGB jpeg", 40 + i, 30) for i in range(150)]  # more than dali takes at a time
    clean = opened(given(*images), ImageSpec(), 2).read(range(150))
    bad = [0, 1, 17, 64, 127, 128, 149]
    for i in bad:
        images[i] = images[i][:-200]
    read = opened(given(*images), ImageSpec(), 2).read(range(150))
    assert list(read.damage) == bad
    sound = np.setdiff1d(np.arange(150), bad)
    assert np.array_equal(read.pixels[sound], clean.pixels[sound])


def test_what_only_the_reference_reads_has_the_reference_canvas(opened):
    # Pillow, and so ingest, takes a PNG whose checksum is wrong; libpng refuses it.
    source = given(encoded("L png", 64, 64), png(64, 64, wrong=1))
    read, wanted = (make(source, ImageSpec(), 1).read([0, 1, 0]) for make in (opened, plain.Engine))
    assert read.damage == wanted.damage == {}
    assert np.array_equal(read.pixels[1], wanted.pixels[1])


def test_a_corrupt_image_in_a_sound_tar_is_named_and_spares_its_neighbours(opened, tmp_path):
    def write(name: str, corrupt: bool) -> Shards:
        images = [encoded("RGB jpeg", 60 + row, 30) for row in range(20)]
        images[7] = images[7][: len(images[7]) // 2] if corrupt else images[7]
        samples = (
            (row, Sample(data, "jpg", Record((Word(f"w{row}"),), (60 + row, 30), f"row {row}")))
            for row, data in enumerate(images)
        )
        folder = tmp_path / name / "train"
        info = pack.write_shard(folder, "000000", 0, 20, samples, manifest.dataset_id("toy", "train", {}))
        manifest.save(folder, manifest.Manifest("toy", "train", "toy", "none", {}, 20, 20, (info,)))
        return Shards([tmp_path / name], "train")

    def epoch(shards: Shards):
        plan, name = Plan(shards.uids, 6, seed=1), opened.__module__.rpartition(".")[2]
        return list(Loader(shards, plan, ImageSpec(), Targets, Augment(Settings()), 1, name).batches(0))

    shards = write("corrupt", True)
    uid, seen = int(shards.uids[7]), 0
    for mine, theirs in zip(epoch(shards), epoch(write("clean", False)), strict=True):
        assert torch.equal(mine.uids, theirs.uids)
        for i in mine.damage:
            assert int(mine.uids[i]) == uid
            assert f"sample {uid:016x}: " in mine.damage[i]
        seen += len(mine.damage)
        assert torch.equal(mine.images[mine.valid], theirs.images[mine.valid])
        assert int(theirs.valid.sum() - mine.valid.sum()) == len(mine.damage)
    assert seen == 1


def test_pictures_are_decoded_in_runs_of_bounded_size(monkeypatch):
    monkeypatch.setattr(dali, "RUN_PIXELS", 1000)
    sizes = [(10, 50), (10, 50), (1, 1), (100, 100), (2, 2)]
    jobs = [dali._Job(row, b"", size, (0, 0, 1, 1)) for row, size in enumerate(sizes)]
    assert [[job.row for job in run] for run in dali._runs(jobs)] == [[0, 1], [2], [3], [4]]
    monkeypatch.setattr(dali, "RUN", 2)
    assert [[job.row for job in run] for run in dali._runs([jobs[2]] * 5)] == [[2, 2], [2, 2], [2]]
    assert list(dali._runs([])) == []
