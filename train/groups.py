"""Groups of words by what is known of them: data set, length, adjacent repeats, and the fields of Meta."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import pairwise

from shards.errors import BadSettings
from shards.lookup import unknown
from shards.manifest import split_uid
from shards.read import Shards
from shards.sample import Meta

KNOWN = [field.name for field in fields(Meta)]
WAYS = ["source", "length", "repeats", *KNOWN]
Counts = dict[str, dict[str, int]]


def check(way: str) -> None:
    """Refuses what words cannot be told apart by."""
    if way not in WAYS:
        raise BadSettings(unknown("by", way, WAYS))


def grouped(
    way: str, right: Mapping[int, int], scored: Mapping[int, str], shards: Shards,
    among: Mapping[int, int] | None = None,
) -> Counts:  # fmt: skip
    """Group -> n words and how many were read right; the largest first, lengths ascending.

    right: uid -> whether it was, or how many of `among`; scored: uid -> the truth as it was compared.
    "?": nothing is known.
    """
    of, out = _asked(way, scored, shards), {}
    for uid, hit in right.items():
        one = out.setdefault(of(uid), {"n": 0, "right": 0})
        one["n"] += 1 if among is None else among[uid]
        one["right"] += hit
    ordered = (lambda item: int(item[0])) if way == "length" else (lambda item: (-item[1]["n"], item[0]))
    return dict(sorted(out.items(), key=ordered))


def _asked(way: str, scored: Mapping[int, str], shards: Shards) -> Callable[[int], str]:
    """A function from a uid to the name of its group."""
    check(way)
    if way == "length":
        return lambda uid: str(len(scored[uid]))
    if way == "repeats":
        return lambda uid: "with equal neighbours" if _repeats(scored[uid]) else "without"
    if way == "source":
        called = _names(shards)
        return lambda uid: called[split_uid(uid)[0]]
    return lambda uid: str(getattr(shards.record(shards.position(uid)).meta, way) or "?")


def _names(shards: Shards) -> dict[int, str]:
    """Data set id -> its manifest's name; where two have one name, the key that tells them apart."""
    names = Counter(m.name for m in shards.manifests)
    return {m.dataset_id: m.name if names[m.name] == 1 else m.key for m in shards.manifests}


def _repeats(text: str) -> bool:
    """Whether equal characters stand side by side: CTC needs a blank between them."""
    return any(a == b for a, b in pairwise(text))
