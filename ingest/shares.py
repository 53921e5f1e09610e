"""Splits that nobody published: each group of rows goes to one split by a seeded hash of its name.

So a photo, a page or whatever else rows have in common never stands on two sides, and neither the order of
the rows nor what is added to them later moves any other group. Shares are those of the groups, by chance: of
10,000 groups a share of 0.1 gets about 1,000. A source takes part in it by two things:

- `source.per_split` is false: it gives the same rows whatever the split;
- `source.group(row)`: the name of what a row shares with others, found without reading the image.
"""

import hashlib
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from shards.errors import BadData, BadSettings
from shards.lookup import find
from shards.sample import Sample

WHOLE = 1e-6  # by how much the shares may miss 1


@dataclass(frozen=True, slots=True)
class Shares:
    """Which share of the groups each split gets, in this order. by: a regular expression whose groups, or
    else whose match, are what counts in the name of a row's group; empty: all of it.
    """

    splits: tuple[str, ...]
    parts: tuple[float, ...]
    seed: int
    by: str

    def group_of(self, name: str) -> str:
        """What counts in the group of a row; where `by` finds nothing in it, a BadSettings."""
        found = re.search(self.by, name)
        if not found:
            raise BadSettings(f"share_by={self.by} finds nothing in {name!r}, which rows have in common")
        return "/".join(part or "" for part in found.groups() or (found[0],)) if self.by else name

    def split_of(self, group: str) -> str:
        """The split that owns a group."""
        said = hashlib.sha256(f"{self.seed}/{group}".encode()).digest()
        place = int.from_bytes(said[:8], "big") / 2**64
        ends = zip(self.splits, accumulate(self.parts), strict=True)
        return next((split for split, end in ends if place < end), self.splits[-1])


def shares_of(splits: list[str], parts: list[float], seed: int, by: str) -> Shares | None:
    """The shares that `shares=` and its neighbours describe, None without any; else a BadSettings."""
    if not parts:
        if seed or by:
            raise BadSettings(
                f"share_seed={seed} share_by={by}: only with shares=, a number for each of split="
            )
        return None
    if len(parts) != len(splits) or len(set(splits)) != len(splits) or len(splits) < 2:
        raise BadSettings(
            f"shares={_said(parts)}: one number for each of split={','.join(splits)}, two or more"
        )
    if min(parts) <= 0 or abs(sum(parts) - 1) > WHOLE:
        raise BadSettings(f"shares={_said(parts)}: all above 0, 1 together")
    try:
        re.compile(by)
    except re.error as error:
        raise BadSettings(f"share_by={by}: no regular expression ({error})") from None
    return Shares(tuple(splits), tuple(parts), seed, by)


def _said(parts: list[float]) -> str:
    return ",".join(f"{part:g}" for part in parts)


def opened(name: str, settings: Any, root: str, split: str, shares: Shares | None) -> Any:
    """The source of a name, as `ingest.sources` describes it, or the part of it that a split gets."""
    member = find("ingest.sources", name)
    if shares is None:
        return member.Source(settings, root, split)
    return Part(name, member.Source(settings, root, shares.splits[0]), split, shares)


class Part:
    """The rows of a source whose groups belong to a split, in their order."""

    per_split = True

    def __init__(self, name: str, source: Any, split: str, shares: Shares) -> None:
        if getattr(source, "per_split", True) or not hasattr(source, "group"):
            raise BadSettings(
                f"shares={_said(list(shares.parts))}: source={name} has splits of its own here; shares are "
                "for sources that give the same rows whatever the split"
            )
        self.source = source
        groups = [shares.group_of(source.group(row)) for row in range(len(source))]
        mine = {group for group in set(groups) if shares.split_of(group) == split}
        self.rows = [row for row, group in enumerate(groups) if group in mine]
        if not self.rows:
            raise BadData(
                f"none of the {len(set(groups))} groups of source={name} falls to split={split}; another "
                "share_seed=, larger shares or smaller groups (share_by=) would give it some"
            )
        made = f"{len(mine)} of {len(set(groups))} groups, by shares and seed {shares.seed}"
        self.notes = [*getattr(source, "notes", ()), f"{len(self.rows)} of {len(groups)} rows, {made}"]
        parts = dict(zip(shares.splits, shares.parts, strict=True))
        chosen = {"parts": parts, "seed": shares.seed, "by": shares.by}
        self.options: dict[str, object] = {**source.options, "shares": chosen}

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Sample:
        """The sample of a row of this part; see the source."""
        return self.source.read(self.rows[row])
