"""Verifies folders of shards against their manifests: that the shards cover the listing row by row, that
written and rejected rows add up to it, that every file of every shard has its sha256, and that sidecars and
ledger say what the manifest does. Of a tar that is all there is to check: its members are what was hashed.

Then all splits are compared with each other (but not train with another data set's train), and with those of
against=: what stands in both is named, with the sample that had better be left out: the one in train before
the one in val before the one in test, and never one of against=. `ingest.shard exclude=` leaves them out.

python -m shards.verify data/own
python -m shards.verify data/own/train json=true
python -m shards.verify data/mine against=data/ic13,data/ic15 out=duplicates.jsonl strict=true
"""

import sys
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from shards import config, duplicates, manifest, storage
from shards.duplicates import Comparison, Side
from shards.errors import BadData, BadSettings, GateFailed
from shards.manifest import Manifest
from shards.pack import FILES, sha256_of
from shards.progress import Reporter, run
from shards.read import Shards, located

REPAIR = "run ingest.shard again with the same settings"
SHOWN = 10  # duplicates named on the console
LAST = ("val", "test")  # these keep their samples where another split has them too
Place = tuple[Path, str]  # the root and the split of a folder of shards


@dataclass
class Settings:
    """What to verify."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # data set or split folders
    against: list[str] = field(default_factory=list)  # folders whose samples must not stand in dirs
    near: bool = True  # also pictures that are only alike; decodes all whose label stands in both splits
    out: str = ""  # where the duplicates are listed, for ingest.shard exclude=
    strict: bool = False  # exit code 4 where there are duplicates
    json: bool = False  # print the result as JSON on the last line


def faults(folder: Path) -> list[str]:
    """What is wrong with a split folder, one sentence per fault; empty = whole."""
    found = []
    content = manifest.load(folder)
    edges = [0, *(shard.stop for shard in content.shards)]
    if [shard.first for shard in content.shards] != edges[:-1] or edges[-1] != content.rows:
        found.append(f"{folder}/manifest.json: shards do not cover rows 0 to {content.rows}")
    for shard in content.shards:
        found += [_wrong(folder / f"{shard.stem}.{suffix}", shard.sha256[suffix]) for suffix in FILES]
        found.append(_told_otherwise(folder / f"{shard.stem}.json", shard))
    found.append(_ledger(folder, content))
    return [fault for fault in found if fault]


def _ledger(folder: Path, content: Manifest) -> str:
    """What is wrong with the ledger; "" = nothing, or a sidecar that cannot be read and is named already."""
    try:
        return _wrong(folder / manifest.LEDGER, manifest.ledger_sha256(folder, content.shards))
    except BadData:
        return ""


def _wrong(path: Path, sha256: str) -> str:
    """What is wrong with a file that has a sha256; "" = nothing."""
    try:
        return "" if sha256_of(path) == sha256 else f"{path}: sha256 differs from the manifest; {REPAIR}"
    except FileNotFoundError:
        return f"{path}: missing; {REPAIR}"
    except OSError as error:
        return f"{path}: {error}; {REPAIR}"


def _told_otherwise(sidecar: Path, shard: manifest.ShardInfo) -> str:
    """What is wrong with a sidecar: it says of a shard what the manifest does; "" = nothing."""
    try:
        same = manifest.shard_info(sidecar).slim == shard
    except BadData as error:
        return str(error)
    return "" if same else f"{sidecar}: differs from the manifest; {REPAIR}"


def pairs(dirs: list[str], against: list[str]) -> list[tuple[Place, Place]]:
    """(what may lose samples, what keeps them): splits of the dirs with each other, then with against=."""
    own = sorted((place for folder in dirs for place in located(folder) if _written(place)), key=_worth)
    others = [place for folder in against for place in located(folder) if _written(place)]
    within = [(one, other) for one, other in combinations(own, 2) if _worth(other) >= 0 or one[0] == other[0]]
    outside = [(place, other) for place in own for other in others]
    chosen: dict[frozenset[Path], tuple[Place, Place]] = {}
    for one, other in [*within, *outside]:
        if _path(one) != _path(other):
            chosen.setdefault(frozenset((_path(one), _path(other))), (one, other))
    return list(chosen.values())


def _worth(place: Place) -> int:
    return LAST.index(place[1]) if place[1] in LAST else -1


def _path(place: Place) -> Path:
    return (place[0] / place[1]).resolve()


def _written(place: Place) -> int:
    return manifest.load(_path(place)).written


def compared(
    chosen: list[tuple[Place, Place]], near: bool, report: Reporter
) -> dict[tuple[Place, Place], Comparison]:
    """Every pair's comparison; each split is opened once."""
    sides: dict[Place, Side] = {}
    for place in (place for pair in chosen for place in pair):
        if place not in sides:
            sides[place] = Side(Shards([place[0]], place[1]))
    return {
        (one, other): duplicates.compare(
            sides[one], sides[other], near, lambda text: report.line(f"comparing: {text}")
        )
        for one, other in chosen
    }


def _folders(given: list[str]) -> list[Path]:
    """The split folders, those that hold shards and no manifest included."""
    finished = [root / split for folder in given for root, split in located(folder)]
    begun = [tar.parent for folder in given for tar in sorted(storage.place(folder).glob("*/[0-9]*.tar"))]
    return list(dict.fromkeys([*finished, *begun]))


def _whole(folders: list[Path], report: Reporter) -> None:
    """Prints the table of faults; any of them ends the stage."""
    rows, found = [], []
    for folder in folders:
        report.line(f"hashing {folder}")
        try:
            content, wrong = manifest.load(folder), faults(folder)
        except BadData as error:
            found.append(str(error))
            rows.append((str(folder), 0, 0, 0, 1))
            continue
        found += wrong
        rows.append((str(folder), content.rows, content.written, content.rows - content.written, len(wrong)))
    report.table("shards", ["folder", "rows", "written", "rejected", "faults"], rows)
    report.result.update(faults=found, samples=sum(row[2] for row in rows))
    if found:
        raise report.failed(BadData("; ".join(found)))


def _duplicates(settings: Settings, report: Reporter) -> int:
    """Prints and writes what stands in two places; how many samples are to be left out."""
    found = compared(pairs(settings.dirs, settings.against), settings.near, report)
    rows = [
        (f"{_path(one)}", f"{_path(other)}", result.pairs, *result.counts())
        for (one, other), result in found.items()
    ]
    if rows:
        report.table("samples that also stand in another split",
                     ["in", "and in", "pairs compared", *duplicates.KINDS], rows)  # fmt: skip
    every = [one for result in found.values() for one in result.duplicates]
    for one in every[:SHOWN]:
        report.say(
            f"  {one.kind} {one.correlation:.2f} {one.drop.text!r}: {_told(one.drop)} = {_told(one.keep)}"
        )
    if settings.out:
        duplicates.save(Path(settings.out), every)
        report.say(f"{settings.out}: {len(every)} lines")
    leave_out = len({one.drop.uid for one in every})
    report.result.update(duplicates=leave_out, pairs=sum(result.pairs for result in found.values()))
    return leave_out


def _told(one: duplicates.Named) -> str:
    return f"{one.name} {one.split} {one.origin}"


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "verify", argv)
    if not settings.dirs:
        raise BadSettings("a folder of shards is needed: python -m shards.verify DIR, for example data/own")
    report = Reporter("shards.verify", settings.json)
    report.header(dirs=", ".join(settings.dirs))
    _whole(_folders([*settings.dirs, *settings.against]), report)
    count = _duplicates(settings, report)
    if count and settings.strict:
        raise report.failed(GateFailed(f"{count} samples stand in two places"), _next(settings, count))
    report.done(_next(settings, count))


def _next(settings: Settings, count: int) -> str:
    if not count:
        return f"python -m shards.show {' '.join(settings.dirs)}"
    if not settings.out:
        against = f" against={','.join(settings.against)}" if settings.against else ""
        return f"python -m shards.verify {' '.join(settings.dirs)}{against} out={duplicates.FILE}"
    return f"the ingest.shard command of the data set with another out= and exclude={settings.out}"


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
