"""A split of a source becomes a folder of shards, its manifest written last; run again, it resumes."""

import hashlib
import os
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest import exclusions, jobs
from ingest.claim import IDENTITY, claim
from ingest.executors import local
from ingest.shares import Shares, opened, shares_of
from shards import columns, manifest
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.lock import locked
from shards.lookup import find
from shards.manifest import Manifest, ShardInfo, canonical
from shards.pack import FILES, SUFFIX_COLUMNS, finished
from shards.progress import Reporter
from shards.sample import Sample


@dataclass(frozen=True)
class Settings:
    """What `python -m ingest.shard` is told; the source's own keys stand beside these."""

    source: Choice = field(metadata={"seam": "ingest.sources", "flat": True})
    out: Path  # shards go to out/<split>/
    root: str = ""  # the folder of the raw data; mjsynth takes an uncompressed tar of it, too
    name: str = ""  # of the data set, part of every uid; default: the source
    split: list[str] = field(default_factory=lambda: ["train"])  # one or several
    shares: list[float] = field(default_factory=list)  # of split=, where none was published: .8,.1,.1
    share_seed: int = 0  # of the hash that gives each group of rows to one of the splits
    share_by: str = ""  # a regular expression: what in a row's group (photo, page, path) makes rows one group
    workers: int = 0  # processes; 0 = one per core
    exclude: list[str] = field(default_factory=list)  # lists of shards.verify out=: rows to leave out
    complete: bool = False  # refuse a listing that has not as many rows as the published set
    max_reject_frac: float = 0.01  # more rejects than this share of the rows stop the run; not the excluded
    rows_per_shard: int = manifest.ROWS_PER_SHARD  # rows of the listing in each shard
    dry_run: bool = False  # say what would be done, write nothing
    json: bool = False  # the result as JSON on the last line


def describe(settings: Settings, split: str, notes: list[str] | None = None) -> Manifest:
    """The manifest-to-be, without shards. Builds the source, so bad data shows before anything is written.

    notes: takes what the source says of its listing.
    """
    member = find("ingest.sources", settings.source.name)
    source = opened(settings.source.name, settings.source.settings, settings.root, split, _shares(settings))
    if len(source) == 0:
        raise BadData(f"{settings.source.name} root={settings.root} split={split}: the listing is empty")
    kind = member.Source.__module__.rpartition(".")[2]  # a second name of a source makes no second data set
    published = _published(settings, split, source)
    name = settings.name or kind
    options = {**source.options, **exclusions.options(_excluded(settings, name, split, len(source)))}
    plan = Manifest(name, split, kind, member.LICENCE, options, len(source),
                    settings.rows_per_shard, ())  # fmt: skip
    if not getattr(source, "per_split", True):
        _refuse_twins(settings, plan, source)
    if notes is not None:
        notes += [f"{split}: {note}" for note in (*published, *getattr(source, "notes", ()))]
    return plan


def _shares(settings: Settings) -> Shares | None:
    return shares_of(settings.split, settings.shares, settings.share_seed, settings.share_by)


def _published(settings: Settings, split: str, source: Any) -> list[str]:
    """What is said of the rows of the published set, where their number is known; see `complete`."""
    rows, known = len(source), getattr(source, "official", None)
    if settings.complete and known is None:
        raise BadSettings(
            f"complete=true: how many rows source={settings.source.name} split={split} should have is not "
            "known with these settings; leave complete= out"
        )
    if settings.complete and rows != known:
        raise BadData(
            f"{settings.source.name} root={settings.root} split={split}: {rows} rows, the published set has "
            f"{known}; complete=false takes what is there"
        )
    return [] if known is None else [f"{rows} of the {known} rows of the published set"]


def _excluded(settings: Settings, name: str, split: str, rows: int) -> tuple[exclusions.Excluded, ...]:
    return exclusions.of(settings.exclude, name, split, rows)


def _refuse_twins(settings: Settings, plan: Manifest, source: Any) -> None:
    """Nobody trains on what they test on: a source that knows no splits fills one of them only."""
    if len(set(settings.split)) > 1:
        raise BadSettings(
            f"split={','.join(settings.split)}: source={plan.source} would write the same images into each; "
            "name a list per split by {split}, as in labels={split}.tsv, or give each a share: shares=.8,.2"
        )
    for done in sorted(settings.out.glob("*/manifest.json")):
        if done.parent.name != plan.split and _same_images(done.parent, plan, source):
            raise BadSettings(
                f"{done.parent} holds this very listing already: split={plan.split} would be a copy of it; "
                "choose another root= or labels=, or delete that folder"
            )


def _same_images(folder: Path, plan: Manifest, source: Any) -> bool:
    """Whether a finished split was made of the plan's listing, and of the same first image."""
    old = manifest.load(folder)
    theirs, mine = ({**one.options, exclusions.OPTION: None} for one in (old, plan))
    if (old.source, canonical(theirs)) != (plan.source, canonical(mine)):
        return False
    files = [folder / f"{shard.stem}.{SUFFIX_COLUMNS}" for shard in old.shards if shard.written]
    if not files or not files[0].exists():
        return False
    stored = columns.load(files[0])[0]
    sample = jobs.outcome(source, int(stored["row"]), "")
    same = isinstance(sample, Sample) and hashlib.sha256(sample.image).digest()
    return same == stored["image_sha256"].tobytes()


def write(settings: Settings, plan: Manifest, reporter: Reporter) -> Manifest:
    """Writes what is missing of a split, its manifest last, and returns it."""
    folder = settings.out / plan.split
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        old = claim(folder, plan)
        pieces = jobs.cut(plan.rows, plan.rows_per_shard)
        done = {stem: info for stem, first, stop in pieces if (info := finished(folder, stem, first, stop))}
        if old:  # a shard of other data may be whole, too
            done = {stem: info for stem, info in done.items() if info in old.shards}
            if _whole(folder, old, done):
                return old
        missing = [piece for piece in pieces if piece[0] not in done]
        _sweep(folder, {stem for stem, *_ in pieces}, {stem for stem, *_ in missing})
        done |= _run(settings, plan, folder, missing, done, reporter)
        return _finish(folder, plan, [done[stem] for stem, *_ in pieces])


def _whole(folder: Path, old: Manifest, done: dict[str, ShardInfo]) -> bool:
    """Whether a finished folder holds all that its manifest says."""
    ledger = folder / manifest.LEDGER
    told = ledger.exists() and ledger.read_bytes() == manifest.ledger(old.rejects)
    return told and [done.get(shard.stem) for shard in old.shards] == list(old.shards)


def _sweep(folder: Path, stems: set[str], missing: set[str]) -> None:
    """Removes what a killed run left half written, and the done marks of what is whole no more."""
    for mark in ("manifest", *missing):
        (folder / f"{mark}.json").unlink(missing_ok=True)
    for part in folder.glob("*.part"):
        if part.name.split(".")[0] in stems | {"manifest", "rejects"}:
            part.unlink()
    for index in folder.glob("[0-9]*.idx"):  # of a listing cut into smaller shards
        if index.stem not in stems:
            for suffix in ("json", *FILES):
                index.with_suffix(f".{suffix}").unlink(missing_ok=True)


def _run(
    settings: Settings,
    plan: Manifest,
    folder: Path,
    missing: list[tuple[str, int, int]],
    done: dict[str, ShardInfo],
    reporter: Reporter,
) -> dict[str, ShardInfo]:
    """Writes the missing shards; stops as soon as more rows are rejected than may be."""
    todo = jobs.iterate(
        missing, source=plan.source, settings=settings.source.settings, root=settings.root, split=plan.split,
        folder=folder, dataset=plan.dataset_id, shares=_shares(settings),
        excluded=_excluded(settings, plan.name, plan.split, plan.rows),
    )  # fmt: skip
    workers = min(settings.workers or os.cpu_count() or 1, max(1, len(missing)))
    written: dict[str, ShardInfo] = {}
    try:
        _judge(settings, plan, folder, done)
        with closing(local(jobs.run, todo, workers)) as results:
            for info in results:
                written[info.stem] = info
                so_far = {**done, **written}
                _judge(settings, plan, folder, so_far)
                rows = sum(shard.rows for shard in so_far.values())
                reporter.line(f"{plan.split}: {rows} of {plan.rows} rows, {len(so_far)} shards")
    except BadData:  # the next run tries again what was rejected: the data may have been mended
        for sidecar in folder.glob("[0-9]*.json"):
            if manifest.shard_info(sidecar).rejects:
                sidecar.unlink()
        raise
    return written


def _judge(settings: Settings, plan: Manifest, folder: Path, shards: dict[str, ShardInfo]) -> None:
    """Stops the run when too many rows are rejected; all are named in the ledger."""
    every = (reject for info in shards.values() for reject in info.rejects)
    rejects = [reject for reject in every if reject[1] != exclusions.REASON]
    if len(rejects) <= settings.max_reject_frac * plan.rows:
        return
    ledger = folder / manifest.LEDGER
    manifest.write_bytes(ledger, manifest.ledger(sorted(rejects)))
    counts = ", ".join(f"{count} {reason}" for reason, count in Counter(r[1] for r in rejects).most_common())
    raise BadData(
        f"{len(rejects)} of {plan.rows} rows rejected ({counts}), more than max_reject_frac="
        f"{settings.max_reject_frac}; each is named in {ledger}"
    )


def _finish(folder: Path, plan: Manifest, shards: list[ShardInfo]) -> Manifest:
    rejected = Counter(reject[1] for info in shards for reject in info.rejects)
    fields = {key: getattr(plan, key) for key in (*IDENTITY, "licence")}
    whole = Manifest(**fields, shards=tuple(shards), rejected=dict(sorted(rejected.items())))
    manifest.save(folder, whole)
    return manifest.load(folder)
