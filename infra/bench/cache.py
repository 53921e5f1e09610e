"""What reading a cache costs: packed and decoded rows a second, beside zarr's own fancy index.

    python infra/bench/cache.py
    python infra/bench/cache.py chunks=15 views=4 rounds=9
    python infra/bench/cache.py classes=5990 bytes=160 rows=512

A temporary cache of each codec, of made-up answers with decided steps; batches are shuffled over all chunks
and views. Packed: as it is stored, in the order that was asked for; decoded: as dense log-probabilities.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zarr
from rounds import at_least, machine, table, take_turns

from distill import canvases, chunks, fingerprint, layout
from distill.cache import Cache
from distill.codecs import Kept, sequence
from distill.fingerprint import Beam, Card, Data, Teacher
from shards import augment, config, progress
from shards.image import ImageSpec
from shards.manifest import ROW_BITS
from shards.written import write_bytes, write_json

KEY, IDENTITY, AIM = "words-train-000000", 5, 1_000_000
READ = 64  # batches of a pass


@dataclass
class Settings:
    """What is measured, and how often."""

    chunks: int = 15  # of a view
    rows: int = 8192  # of a chunk
    views: int = 4  # of each row
    frames: int = 24  # steps of an answer
    classes: int = 37
    bytes: int = 96  # of a record of codec=sequence
    k: int = 8  # classes a step of codec=topk
    batch: int = 512  # rows read at a time
    rounds: int = 7  # turns of every contender
    threads: int = 1  # of torch

    def __post_init__(self) -> None:
        at_least(self, chunks=1, rows=1, views=1, frames=1, classes=2, batch=1, rounds=1, threads=1)


def answers(settings: Settings, count: int) -> torch.Tensor:
    """Log-probabilities [N,T,C] of steps that are sure of themselves, two of three of them blank."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(count, settings.frames, settings.classes, generator=draw)
    best = torch.randint(1, settings.classes, (count, settings.frames, 1), generator=draw)
    best[torch.rand(best.shape, generator=draw) < 0.67] = 0
    return logits.scatter_add_(-1, best, torch.full(best.shape, 9.0)).log_softmax(-1)


def card(settings: Settings, kept: Kept, pictures: str) -> Card:
    """Of a cache of made-up answers."""
    rows = settings.chunks * settings.rows
    data = Data(IDENTITY, "train", "0", rows, settings.rows, settings.rows, settings.views)
    return Card(
        Teacher("0", {}, "fp32"), {}, {}, settings.frames, settings.classes, {KEY: data}, ImageSpec(), "",
        augment.Settings(), "", "", settings.views, settings.batch, ["frames"], kept, Beam(), {}, {},
        pictures,
    )  # fmt: skip


def write(folder: Path, settings: Settings, kept: Kept) -> str:
    """A cache; every chunk holds other rows of the same few answers."""
    made = card(settings, kept, "")
    codec = made.make_codec()
    few = min(settings.rows, 512)
    arrays, lost = codec.encode(answers(settings, few))
    folder.mkdir()
    write_bytes(folder / canvases.NAME, b"")
    fingerprint.save(folder / fingerprint.NAME, made)
    for name, content in layout.documents(made).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / name, content)
    draw = np.random.default_rng(0)
    for job in layout.jobs(made):
        some, sums = draw.integers(few, size=settings.rows), {}
        for array in codec.arrays:
            name = layout.file_of(job, array, job.shard)
            chunks.write(folder / name, arrays[array.name][some])
            sums[name] = ""
        mark = layout.Mark(settings.rows, {str(job.shard): {"frames": lost}}, {}, sums)
        (folder / job.mark).parent.mkdir(parents=True, exist_ok=True)
        write_json(folder / job.mark, mark.told(made.digest))
    return f"{lost.kl:.4f} nats/step"


def reading(settings: Settings, read: Callable[[np.ndarray, np.ndarray], object], batches: int = READ):
    """A pass: so many shuffled batches."""
    draw, rows = np.random.default_rng(1), settings.chunks * settings.rows

    def go() -> int:
        for _ in range(batches):
            read(draw.integers(rows, size=settings.batch), draw.integers(settings.views, size=settings.batch))
        return batches * settings.batch

    return go


def fancy(folder: Path, settings: Settings):
    """zarr's own index of the same rows, view by view."""
    group = zarr.open_group(folder / KEY, mode="r")
    arrays = [group[f"view{view}/records"] for view in range(settings.views)]

    def read(rows: np.ndarray, views: np.ndarray) -> None:
        for view, array in enumerate(arrays):
            array.oindex[np.sort(rows[views == view])]  # type: ignore[union-attr]

    return read


def main(argv: list[str]) -> None:
    """One table."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(settings.threads)
    print(f"### Cache\n\n{machine(settings.threads)}; batches of {settings.batch}\n")
    prior = sequence.prior(answers(settings, 64))
    kinds = {
        "sequence": Kept("sequence", bytes=settings.bytes, prior=prior),
        "topk": Kept("topk", k=settings.k), "dense": Kept("dense"),
    }  # fmt: skip
    contenders, sizes = {}, {}
    with tempfile.TemporaryDirectory() as place:
        for name, kept in kinds.items():
            folder = Path(place) / name
            loss, cache = write(folder, settings, kept), Cache(folder)
            sizes[name] = f"{layout.bytes_per_view(cache.card)} bytes, {loss}"
            contenders |= _of(name, cache, settings)
        contenders["sequence, zarr"] = reading(settings, fancy(Path(place) / "sequence", settings), 2)
        found = take_turns(contenders, settings.rounds)
    rows = [(name, sizes[name.partition(",")[0]], found.speed(name), found.speed(name, "cpu"),
             found.ratio(name, "sequence, zarr")) for name in found.passes]  # fmt: skip
    columns = (
        "",
        "a row",
        f"rows/s (packed: aim {AIM:,})",
        "rows/s of processor time",
        "x zarr's fancy index",
    )
    total = settings.chunks * settings.rows
    table(f"{total:,} rows in {settings.chunks} chunks and {settings.views} views", columns, rows)


def _of(name: str, cache: Cache, settings: Settings) -> dict[str, Callable[[], int]]:
    def packed(rows: np.ndarray, views: np.ndarray) -> None:
        cache.packed("frames", (IDENTITY << ROW_BITS) + rows, views)

    def decoded(rows: np.ndarray, views: np.ndarray) -> None:
        cache.rows((IDENTITY << ROW_BITS) + rows, views)

    slow = max(1, READ // 16 * 37 // settings.classes)
    return {
        f"{name}, packed": reading(settings, packed),
        f"{name}, decoded": reading(settings, decoded, min(slow, READ)),
    }


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
