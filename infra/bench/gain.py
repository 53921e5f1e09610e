"""The table of gain.sh: each method against nobody, over seeds and words.

    python infra/bench/gain.py WORK/runs
    python infra/bench/gain.py WORK/runs without=iiit5k

Reads runs/<method>-s<seed>/words.json (which words were read right) of the same words; a difference is
averaged over the seeds that both have, its interval a bootstrap's over words and seeds.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rounds import table

from shards import manifest
from shards.manifest import split_uid
from train.searching.pairing import Words, over_words, words


def read(runs: Path, leave: frozenset[int]) -> dict[str, dict[int, Words]]:
    """Method -> seed -> which words were read right. leave: data sets, by id, that do not count."""
    out: dict[str, dict[int, Words]] = {}
    for path in sorted(runs.glob("*-s*/words.json")):
        method, _, seed = path.parent.name.rpartition("-s")
        (right,) = json.loads(path.read_text())["models"].values()
        kept = {uid: hit for uid, hit in right.items() if split_uid(int(uid, 16))[0] not in leave}
        out.setdefault(method, {})[int(seed)] = words(kept)
    return out


def sets_of(runs: Path, names: Sequence[str]) -> frozenset[int]:
    """The ids of data sets of these names, from the roots that stand beside the runs."""
    places = [path.parent for name in names for path in (runs.parent / "data" / name).glob("*/manifest.json")]
    return frozenset(manifest.load(place).dataset_id for place in places)


def main(argv: list[str]) -> None:
    """Entry."""
    runs = Path(argv[0])
    without = [name for a in argv[1:] if a.startswith("without=") for name in a.partition("=")[2].split(",")]
    found = read(runs, sets_of(runs, without))
    control, rows = found["none"], []
    for method, seeds in found.items():
        shared = sorted(seeds.keys() & control.keys())
        own = over_words([seeds[s] for s in shared])
        gain = (
            over_words([seeds[s] for s in shared], [control[s] for s in shared]) if method != "none" else None
        )
        if own is None:
            continue
        row = [method, str(len(shared)), f"{100 * own.mean:.2f}"]
        if gain is not None:
            low, high = 100 * gain.low, 100 * gain.high
            row += [
                f"{100 * gain.mean:+.2f} [{low:+.2f}, {high:+.2f}]",
                f"{100 * gain.half:.2f}",
                gain.verdict,
            ]
        rows.append((gain.mean if gain else 0.0, [*row, "", "", ""][:6]))
    columns = ("method", "seeds", "word accuracy, %", "gain, points [95 %]", "smallest resolvable", "verdict")
    ordered = [row for _, row in sorted(rows, key=lambda one: -one[0])]
    table(f"{len(found)} methods on {len(next(iter(control.values())).uids):,} words", columns, ordered)


if __name__ == "__main__":
    main(sys.argv[1:])
