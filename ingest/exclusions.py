"""Rows that are left out on purpose: the duplicates that `shards.verify out=` listed.

A row is addressed by data set name, split and its place in the listing, and known again by the sha256 of its
image: a list made from another listing, or before the images changed, is refused and never applied to other
samples. The rows left out are part of the identity of a split that loses any, so its uids differ from those
of the whole split; a split that loses none keeps its uids.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shards import duplicates
from shards.duplicates import Duplicate
from shards.errors import BadData, BadSettings
from shards.manifest import Rejected
from shards.sample import Sample
from shards.written import digest

REASON = "excluded"
OPTION = "excluded"  # the key among a manifest's options


@dataclass(frozen=True, slots=True)
class Excluded:
    """A row to leave out: the sha256 of its image, in hex, and why."""

    row: int
    sha256: str
    why: str


def of(files: Sequence[str], name: str, split: str, rows: int) -> tuple[Excluded, ...]:
    """The rows of a split that the lists name, in order. Lists of other data sets alone are refused."""
    listed = [one for file in files for one in duplicates.load(Path(file))]
    names = {one.drop.name for one in listed}
    if names and name not in names:
        raise BadSettings(
            f"exclude={','.join(files)} names samples of {', '.join(sorted(names))}, none of {name}; "
            "name= must be what it was when shards.verify made the list"
        )
    found = {one.drop.row: one for one in listed if (one.drop.name, one.drop.split) == (name, split)}
    if found and max(found) >= rows:
        raise BadSettings(
            f"exclude={','.join(files)} names row {max(found)} of {name} {split}, which has {rows} rows; "
            "run shards.verify again"
        )
    return tuple(Excluded(row, found[row].drop.sha256, _why(found[row])) for row in sorted(found))


def _why(one: Duplicate) -> str:
    alike = f"{one.kind} {one.correlation:.2f}" if one.kind == "near" else f"same {one.kind}"
    return f"{alike} as {one.keep.name} {one.keep.split} row {one.keep.row}, {one.keep.origin}"


def options(excluded: Sequence[Excluded]) -> dict[str, object]:
    """What the exclusion adds to the identity of a split: nothing where no row is left out."""
    return {OPTION: digest([[one.row, one.sha256] for one in excluded])} if excluded else {}


def left_out(item: Sample | Rejected, excluded: Excluded | None) -> Sample | Rejected:
    """The row's outcome: a sample that is excluded becomes a reject; BadData if it is another sample."""
    if excluded is None or isinstance(item, Rejected):
        return item
    if hashlib.sha256(item.image).hexdigest() != excluded.sha256:
        raise BadData(
            f"row {excluded.row} ({item.record.origin}) is not the sample that exclude= names: the listing "
            "or its images have changed; run shards.verify on shards of the present ones"
        )
    return Rejected(excluded.row, REASON, item.record.origin, excluded.why)
