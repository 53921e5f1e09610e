"""Verifies folders of shards against their manifests: that the shards cover the listing row by row, that
written and rejected rows add up to it, and that every file of every shard has its sha256. Of a tar that is
all there is to check: its members are what was hashed.

python -m shards.verify data/own
python -m shards.verify data/own/train json=true
python -m shards.verify data/mj data/ic15
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from shards import config, manifest
from shards.errors import BadData, BadSettings
from shards.pack import FILES, sha256_of
from shards.progress import Reporter, run
from shards.read import splits_of

REPAIR = "run ingest.shard again with the same settings"


@dataclass
class Settings:
    """What to verify."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # data set or split folders
    json: bool = False  # print the result as JSON on the last line


def faults(folder: Path) -> list[str]:
    """What is wrong with a split folder, one sentence per fault; empty = whole."""
    found = []
    content = manifest.load(folder)
    edges = [0, *(shard.stop for shard in content.shards)]
    if [shard.first for shard in content.shards] != edges[:-1] or edges[-1] != content.rows:
        found.append(f"{folder}/manifest.json: shards do not cover rows 0 to {content.rows}")
    for shard in content.shards:
        for suffix in FILES:
            path = folder / f"{shard.stem}.{suffix}"
            if not path.exists():
                found.append(f"{path}: missing; {REPAIR}")
            elif sha256_of(path) != shard.sha256[suffix]:
                found.append(f"{path}: sha256 differs from the manifest; {REPAIR}")
    return found


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "verify", argv)
    if not settings.dirs:
        raise BadSettings("a folder of shards is needed: python -m shards.verify DIR, for example data/own")
    folders = [split for d in settings.dirs for split in _splits(Path(d))]
    report = Reporter("shards.verify", settings.json)
    rows, found = [], []
    for folder in folders:
        wrong = faults(folder)
        content = manifest.load(folder)
        found += wrong
        rows.append((str(folder), content.rows, content.written, content.rows - content.written, len(wrong)))
    report.table("shards", ["folder", "rows", "written", "rejected", "faults"], rows)
    report.done(faults=found, samples=sum(row[2] for row in rows))
    if found:
        raise BadData("; ".join(found))


def _splits(path: Path) -> list[Path]:
    if (path / "manifest.json").exists():
        return [path]
    splits = splits_of(path)
    if not splits:
        raise BadData(f"{path}: no manifest.json here or one folder below")
    return [path / split for split in splits]


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
