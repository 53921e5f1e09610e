"""Shards back into files that other tools read, one format per file of shards/unpackers.

python -m shards.unpack data/words to=folder out=plain/words
python -m shards.unpack data/ic15 to=coco split=train out=plain/ic15
python -m shards.unpack data/words to=lmdb out=plain/lmdb json=true

What a format cannot hold is named with its reason in out/<split>.left_out.jsonl, never changed to fit. A
split is finished when out/<split>.unpacked.json stands there; until then the same command begins it anew.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config, manifest
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.lock import locked
from shards.lookup import find
from shards.progress import Reporter, run
from shards.read import Shards, located
from shards.sample import SUFFIXES, Sample
from shards.unpackers import Left
from shards.written import canonical, read_json, write_bytes, write_json

FORMAT = 1
WHAT = ("sample", "word")  # what can be left out


@dataclass
class Settings:
    """What becomes of which data, and where."""

    to: Choice = field(metadata={"seam": "shards.unpackers", "flat": True})
    out: Path  # the folder for the files
    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # one folder of shards
    split: list[str] = field(default_factory=list)  # default: all of them
    json: bool = False  # the result as JSON on the last line


def unpack(settings: Settings, root: Path, split: str, report: Reporter) -> dict[str, Any]:
    """Unpacks a split, or says what was unpacked before: the content of its done mark."""
    out, member = settings.out, find("shards.unpackers", settings.to.name)
    shards, mark = Shards([root], split), out / f"{split}.unpacked.json"
    identity = {"format": FORMAT, "to": config.plain(settings.to), "digest": shards.digest}
    if done := _finished(mark, identity):
        shutil.rmtree(out / f"{split}.part", ignore_errors=True)
        return done
    ledger = f"{split}.left_out.jsonl"
    places = [*member.places(split), ledger]
    work = _prepared(out, split, places, mark)
    with closing(member.Unpacker(settings.to.settings, work, split, shards)) as unpacker:
        lines = _all(shards, unpacker, report)
    reasons = {what: Counter(line["reason"] for line in lines if line["what"] == what) for what in WHAT}
    written = len(shards) - reasons["sample"].total()
    if not written:
        shutil.rmtree(work)
        why = f"{_told(reasons['sample'])}; the first is {lines[0]['origin']}: {lines[0]['detail']}"
        raise BadData(f"to={settings.to.name} holds nothing of {split}: {why}")
    write_bytes(work / ledger, b"".join(canonical(line) + b"\n" for line in lines))
    for place in filter(lambda place: (work / place).exists(), places):
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        os.rename(work / place, out / place)
    os.sync()
    done = {**identity, "samples": len(shards), "written": written, "left_out": reasons}
    write_json(mark, done)
    shutil.rmtree(work)
    return done


def _finished(mark: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """What a done mark says, None where there is none or where damage has to be tried again."""
    if not mark.exists():
        return None
    done = read_json(mark)
    if any(done.get(key) != value for key, value in identity.items()):
        raise BadSettings(f"{mark}: of other data or another format; choose another out=")
    return None if done["left_out"]["sample"].get("damaged") else done


def _prepared(out: Path, split: str, places: list[str], mark: Path) -> Path:
    """An empty folder to work in. What a killed run left is removed; what others made is refused."""
    work = out / f"{split}.part"
    ours = work.exists() or mark.exists()
    for path in (out / place for place in places):
        if path.exists() and not ours:
            raise BadSettings(f"{path} stands there already and is not this stage's; choose another out=")
    work.mkdir(exist_ok=True)  # before anything is removed, so that a second kill is recognised too
    mark.unlink(missing_ok=True)
    for path in (out / place for place in places):
        _remove(path)
    _remove(work)
    work.mkdir()
    return work


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _all(shards: Shards, unpacker: Any, report: Reporter) -> list[dict[str, Any]]:
    """Hands every sample over; a line for each sample, and for each word of one, that was left out."""
    lines = []
    for position, uid in enumerate(shards.uids.tolist()):
        origin, what = "", "sample"
        try:
            sample = _sample(shards, position)
            origin = sample.record.origin
            left, what = unpacker.add(manifest.split_uid(uid)[1], sample), "word"
        except Left as error:
            left = [(error.reason, error.detail)]
        except BadData as error:
            left = [("damaged", str(error))]
        known = {"uid": f"{uid:016x}", "origin": origin, "what": what}
        lines += [{**known, "reason": reason, "detail": detail} for reason, detail in left]
        report.line(f"{shards.split}: {position + 1} of {len(shards)}")
    return lines


def _told(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def _sample(shards: Shards, position: int) -> Sample:
    data = shards.image(position)
    return Sample(data, SUFFIXES[data[:2] != b"\xff\xd8"], shards.record(position))


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "unpack", argv)
    if len(settings.dirs) != 1:
        raise BadSettings("one folder of shards is needed: python -m shards.unpack DIR to=folder out=DIR")
    places = {split: root for root, split in located(settings.dirs[0])}
    chosen = settings.split or list(places)
    if strange := [split for split in chosen if split not in places]:
        raise BadData(f"{settings.dirs[0]}: no split {strange[0]!r} (there are: {', '.join(places)})")
    report = Reporter("shards.unpack", settings.json)
    report.header(data=settings.dirs[0], to=settings.to.name, out=str(settings.out))
    with locked(settings.out):
        done = {split: unpack(settings, places[split], split, report) for split in chosen}
    rows = [
        (split, d["samples"], d["written"], *(_told(d["left_out"][what]) for what in WHAT))
        for split, d in done.items()
    ]
    report.table(str(settings.out), ["split", "samples", "written", "left out", "words left out"], rows)
    damaged = sum(d["left_out"]["sample"].get("damaged", 0) for d in done.values())
    next_ = find("shards.unpackers", settings.to.name).again(settings.out, chosen)
    if damaged:
        error = BadData(f"{damaged} samples are damaged and were left out; mend the shards and run it again")
        raise report.failed(error, next_, splits=done)
    report.done(next_, splits=done)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
