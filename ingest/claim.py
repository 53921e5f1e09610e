"""Whose a folder of shards is: no run writes into that of another data set, and damage is no other's name."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from shards import manifest
from shards.errors import BadSettings
from shards.manifest import Manifest, split_uid
from shards.written import Damaged, canonical

IDENTITY = ("name", "split", "source", "options", "rows", "rows_per_shard")
WAY_OUT = "choose another out= or delete that folder"


def claim(folder: Path, plan: Manifest) -> Manifest | None:
    """The manifest of a finished folder; None where there is none, or none of the shards that stand there.

    BadSettings where the folder is another data set's.
    """
    old = _manifest(folder)
    mine = old is not None and old.dataset_id == plan.dataset_id
    datasets = {} if mine else {index: _dataset(index) for index in folder.glob("[0-9]*.idx")}
    if old and set(datasets.values()) - {None} != {plan.dataset_id}:
        _compare(folder, asdict(old), {key: getattr(plan, key) for key in IDENTITY})
        return old
    for index, theirs in datasets.items():
        if theirs is None:  # nothing in it says whose it is
            index.with_suffix(".json").unlink(missing_ok=True)
        elif theirs != plan.dataset_id:
            raise BadSettings(
                f"{folder} holds unfinished shards of another data set: its uids begin with {theirs:x}, "
                f"those of {plan.name} {plan.split} with these settings with {plan.dataset_id:x}; {WAY_OUT}"
            )
    return None


def _manifest(folder: Path) -> Manifest | None:
    """A manifest that is damaged is none: the shards are looked at."""
    try:
        return manifest.load(folder) if (folder / "manifest.json").exists() else None
    except Damaged:
        return None


def _dataset(index: Path) -> int | None:
    """The dataset_id in the first key of a shard, read from its index; None where that holds none."""
    try:
        with index.open() as file:
            file.readline()
            key = file.readline().split()[3]
        return split_uid(int(key.split(".")[0], 16))[0]
    except (ValueError, IndexError):  # no samples, or damage
        return None


def _compare(folder: Path, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
    ours, others = _flat(mine), _flat(theirs)
    for key in ours | others:
        value, other = ours.get(key), others.get(key)
        if canonical(other) != canonical(value):
            raise BadSettings(
                f"{folder} holds another data set: {key} is {other!r} there and {value!r} here; {WAY_OUT}"
            )


def _flat(identity: dict[str, Any]) -> dict[str, Any]:
    options = {f"option {key}": value for key, value in (identity.get("options") or {}).items()}
    return {**{key: identity.get(key) for key in IDENTITY if key != "options"}, **options}
