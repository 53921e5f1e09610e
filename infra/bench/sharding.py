"""How fast files become shards: ingest's jobs against decoding each file once and webdataset's writer alone.

    python infra/bench/sharding.py
    python infra/bench/sharding.py data=rendered count=20000 rounds=9
    python infra/bench/sharding.py data=icdar2015 profile=25

One process each, the same files in the same order, decoded once. Ours also checks the record, hashes images
and files, writes columns, labels and index, syncs and renames every file (TMPDIR says on which disk). The
listing is read before the first round. webdataset's writer stands here as it comes, when it puts a broken
second, and so a header more, on every file, and with mtime=0, which is faster. The loop
that makes LMDBs of pairs decodes each image too. profile=N prints the N
costliest functions of one pass of ours.
"""

import cProfile
import io
import json
import pstats
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import webdataset
from peers import unpack
from PIL import Image
from rounds import at_least, machine, table, take_turns
from samples import LISTED, REAL, listed, rendered

from ingest import jobs
from ingest.sources import folder as files
from shards import config, manifest, progress
from shards.errors import BadSettings
from shards.lookup import unknown
from shards.read import Shards

OURS = "ours: ingest.jobs"
PUT = 1000  # images in one transaction of an LMDB
PEERS = {"decode once + TarWriter, mtime=0": {"mtime": 0}, "decode once + TarWriter": {}}


@dataclass
class Settings:
    """What is measured, and how often."""

    data: list[str] = field(default_factory=lambda: ["rendered", *LISTED])  # of rendered, icdar2015, iiit5k
    count: int = 10000  # words rendered
    rounds: int = 7  # turns of each
    profile: int = 0  # lines of a profile of ours, 0 = none

    def __post_init__(self) -> None:
        at_least(self, count=1, rounds=1, profile=0)
        for name in self.data:
            if name not in ("rendered", *LISTED):
                raise BadSettings(unknown("data", name, ["rendered", *LISTED]))


def ours(source: files.Settings, root: str, rows: int, out: Path) -> int:
    """Writes the shards that ingest.shard writes for a folder of files."""
    shutil.rmtree(out, ignore_errors=True)
    pieces = jobs.cut(rows, manifest.ROWS_PER_SHARD)
    common = {"source": "folder", "settings": source, "root": root, "split": "train", "folder": out}
    return sum(jobs.run(job).written for job in jobs.iterate(pieces, **common, dataset=1))


def plainest(listing: files.Source, out: Path, settings: dict[str, int]) -> int:
    """Reads, decodes and writes every file: the least that makes tars that webdataset can read."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    settings = {**settings, "maxcount": manifest.ROWS_PER_SHARD, "encoder": False, "verbose": 0}
    with webdataset.ShardWriter(str(out / "%06d.tar"), **settings) as writer:
        for row, label in enumerate(listing.labels):
            data = (listing.folder / label.path).read_bytes()
            image = Image.open(io.BytesIO(data))
            image.load()
            record = json.dumps({"text": label.text, "size": image.size}).encode()
            suffix = "png" if image.format == "PNG" else "jpg"
            writer.write({"__key__": f"{row:09d}", suffix: data, "json": record})
    return len(listing)


def database(listing: files.Source, out: Path) -> int:
    """The loop that makes LMDBs of pairs for benchmarks: check each image, put them by the thousand."""
    import lmdb

    shutil.rmtree(out, ignore_errors=True)
    pairs: dict[bytes, bytes] = {}
    with lmdb.open(str(out), map_size=1 << 36) as environment:
        for row, label in enumerate(listing.labels, 1):
            data = (listing.folder / label.path).read_bytes()
            Image.open(io.BytesIO(data)).load()
            pairs[b"image-%09d" % row] = data
            pairs[b"label-%09d" % row] = (label.text or "").encode()
            if row % PUT == 0 or row == len(listing):
                pairs[b"num-samples"] = str(row).encode()
                with environment.begin(write=True) as transaction:
                    for key, value in pairs.items():
                        transaction.put(key, value)
                pairs.clear()
    return len(listing)


def sets(names: list[str], count: int, folder: Path) -> Iterator[tuple[str, files.Settings, str]]:
    """(title, settings of source=folder, root) of what is measured."""
    if "rendered" in names:
        shards = Shards([rendered(folder / "rendered", count)], "train")
        found = unpack(shards, folder / "files" / "images")
        lines = [f"{path.relative_to(folder / 'files')}\t{label}\n" for path, label in found]
        (folder / "files" / "labels.tsv").write_text("".join(lines))
        yield f"{count:,} rendered words, JPEG", files.Settings(), str(folder / "files")
    at_hand = listed() if set(names) & set(LISTED) else {}
    for name in (name for name in LISTED if name in names and name in at_hand):
        root, labels, images = LISTED[name]
        source = files.Settings(labels, "icdar", images=images)
        yield f"{name}, training words, PNG", source, str(REAL / root)


def main(argv: list[str]) -> None:
    """One table for each set."""
    settings = config.read(Settings, "bench", argv)
    print(f"### Ingest\n\n{machine(1)}\n")
    with tempfile.TemporaryDirectory() as place:
        for title, source, root in sets(settings.data, settings.count, Path(place)):
            listing = files.Source(source, root, "train")
            mine = partial(ours, source, root, len(listing), Path(place) / "ours")
            out = Path(place) / "theirs"
            theirs = {name: partial(plainest, listing, out, more) for name, more in PEERS.items()}
            theirs["decode + LMDB"] = partial(database, listing, Path(place) / "lmdb")
            found = take_turns({OURS: mine, **theirs}, settings.rounds)
            rows = [
                (name, found.speed(name), found.speed(name, "cpu"), found.ratio(OURS, name),
                 found.ratio(OURS, name, "cpu"))
                for name in found.passes
            ]  # fmt: skip
            columns = (
                "",
                "images/s",
                "images per core-second",
                "ours : this row (aims .6, LMDB .5)",
                "per core",
            )
            table(title, columns, rows)
            if settings.profile:
                with cProfile.Profile() as profile:
                    mine()
                pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(settings.profile)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
