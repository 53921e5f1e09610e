"""Benches: named collections of test sets, with the counts that the literature gives them.

`std6` is IIIT5K, SVT, ICDAR2013, ICDAR2015, SVT-Perspective and CUTE80, ICDAR2013 and 2015 in both of their
usual selections (857 and 1,015; 1,811 and 2,077 words): figures of one are not figures of the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards import manifest
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.read import located

STD6 = {
    "iiit5k": 3000, "svt": 647, "ic13_857": 857, "ic13_1015": 1015, "ic15_1811": 1811, "ic15_2077": 2077,
    "svtp": 645, "cute80": 288,
}  # fmt: skip
RELEASED = {  # the folders of data_lmdb_release/evaluation, of deep-text-recognition-benchmark
    "iiit5k": "IIIT5k_3000", "svt": "SVT", "ic13_857": "IC13_857", "ic13_1015": "IC13_1015",
    "ic15_1811": "IC15_1811", "ic15_2077": "IC15_2077", "svtp": "SVTP", "cute80": "CUTE80",
}  # fmt: skip
SIX = {
    "six sets (IC13 857, IC15 1811)": ("iiit5k", "svt", "ic13_857", "ic15_1811", "svtp", "cute80"),
    "six sets (IC13 1015, IC15 2077)": ("iiit5k", "svt", "ic13_1015", "ic15_2077", "svtp", "cute80"),
}
BENCHES = {"std6": (STD6, SIX)}
PROTOCOL = "36"  # which the literature compares by


@dataclass(frozen=True, slots=True)
class Average:
    """Over some sets: each set alike, and each word alike; shares of words read right."""

    name: str
    of_sets: float
    of_words: float
    n: int


def roots(name: str, split: str, folders: Sequence[str]) -> list[str]:
    """The data set folders of a bench below a single folder, one for each of its sets; all is checked."""
    if name not in BENCHES:
        raise BadSettings(unknown("bench", name, list(BENCHES)))
    if split != "test":
        raise BadSettings(f"bench={name} reads the split test, not data.split={split}")
    if len(folders) != 1:
        raise BadSettings(f"bench={name}: data.root= is the one folder that holds its sets")
    folder, counts, missing = folders[0], BENCHES[name][0], []
    for each, count in counts.items():
        place = Path(folder) / each
        if not place.is_dir():
            missing.append(each)
            continue
        found = [manifest.load(at / split) for at, split in located(place) if split == "test"]
        words = sum(one.written for one in found)
        if words != count or [one.name for one in found] != [each]:
            names = ", ".join(one.name for one in found) or "nothing"
            raise BadData(
                f"{place}: split test holds {words} words of {names}; {name} wants {count} of {each}"
            )
    if missing:
        commands = [
            f"python -m ingest.shard source=lmdb_pairs root=data_lmdb_release/evaluation/{RELEASED[each]} "
            f"name={each} split=test out={folder}/{each}"
            for each in missing
        ]
        raise BadSettings(
            f"bench={name}: {folder} lacks {', '.join(missing)}; from the LMDB release of "
            "deep-text-recognition-benchmark (PARSeq's: data/test, the first set is IIIT5k there):\n"
            + "\n".join(commands)
        )
    return [str(Path(folder) / each) for each in counts]


def averages(name: str, by_source: Mapping[str, Mapping[str, int]]) -> list[Average]:
    """The averages that a bench is quoted by."""
    out = []
    for title, sets in BENCHES[name][1].items():
        shares = [by_source[each]["right"] / by_source[each]["n"] for each in sets]
        right, n = (sum(by_source[each][key] for each in sets) for key in ("right", "n"))
        out.append(Average(title, sum(shares) / len(shares), right / n, n))
    return out
