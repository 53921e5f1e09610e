"""A split of a source becomes a folder of shards, its manifest written last; run again, it resumes."""

import hashlib
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest import exclusions, jobs
from ingest.claim import claim
from ingest.ledger import Ledger
from ingest.mapping import mapped
from ingest.shares import Shares, opened, shares_of
from shards import columns, manifest, storage
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.lock import locked
from shards.lookup import find
from shards.manifest import Manifest
from shards.pack import FILES, SUFFIX_COLUMNS, finished, sha256_of
from shards.progress import Reporter
from shards.sample import Sample
from shards.written import canonical


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
    executor: Any = field(
        default="local", metadata={"seam": "ingest.executors", "flat": True}
    )  # where jobs run
    workers: int = 0  # jobs under way; 0 = one per core
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
    with jobs.reading(settings.source.name, settings.root):
        source = opened(
            settings.source.name, settings.source.settings, settings.root, split, _shares(settings)
        )
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
    with jobs.writing(folder), locked(folder):
        old = claim(folder, plan)
        known = {info.stem: info for info in old.shards} if old else {}
        pieces = jobs.cut(plan.rows, plan.rows_per_shard)
        ledger = Ledger(folder, plan.rows, settings.max_reject_frac)
        for piece in pieces:
            info = finished(folder, *piece)
            if info and known.get(info.stem, info.slim) == info.slim:  # whole, and not of other data
                ledger.add(info)
        if old and _whole(folder, old, ledger):
            return old
        missing = [piece for piece in pieces if piece[0] not in ledger.known]
        _sweep(folder, {stem for stem, *_ in pieces}, {stem for stem, *_ in missing})
        _run(settings, plan, folder, missing, ledger, reporter)
        manifest.save(folder, replace(plan, shards=tuple(ledger.shards)))
        return manifest.load(folder)


def _whole(folder: Path, old: Manifest, ledger: Ledger) -> bool:
    """Whether a finished folder holds all that its manifest says."""
    if ledger.shards != list(old.shards):
        return False
    rejects = folder / manifest.LEDGER
    return rejects.exists() and sha256_of(rejects) == manifest.ledger_sha256(folder, old.shards)


def _sweep(folder: Path, stems: set[str], missing: set[str]) -> None:
    """Removes what a killed run left half written, and the done marks of what is whole no more."""
    for mark in ("manifest", *missing):
        (folder / f"{mark}.json").unlink(missing_ok=True)
    for part in folder.glob(f"*{storage.PART}"):
        if (name := part.name.split(".")[0]) in stems | {"manifest", "rejects"}:
            storage.sweep(folder, name)
    for index in folder.glob("[0-9]*.idx"):  # of a listing cut into smaller shards
        if index.stem not in stems:
            for suffix in ("json", *FILES):
                index.with_suffix(f".{suffix}").unlink(missing_ok=True)


def _run(
    settings: Settings, plan: Manifest, folder: Path, missing: list[tuple[str, int, int]], ledger: Ledger,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Writes the missing shards; stops as soon as more rows are rejected than may be."""
    todo = jobs.iterate(
        missing, source=plan.source, settings=settings.source.settings, root=settings.root, split=plan.split,
        folder=folder, dataset=plan.dataset_id, shares=_shares(settings),
        excluded=_excluded(settings, plan.name, plan.split, plan.rows),
    )  # fmt: skip
    ledger.start()
    try:
        ledger.judge()
        member = find("ingest.executors", settings.executor.name)
        pool = member.opened(settings.executor.settings, jobs.run, settings.workers, len(missing))
        with closing(mapped(pool, todo)) as results:
            for info in results:
                ledger.add(info)
                ledger.judge()
                reporter.line(f"{plan.split}: {ledger.told()}")
    except jobs.Full:
        raise
    except BadData:  # the next run tries again what was rejected: the data may have been mended
        for sidecar in folder.glob("[0-9]*.json"):
            if manifest.shard_info(sidecar).rejects:
                sidecar.unlink()
        raise
