"""How runs stand: their state, data, samples that could not teach or were damaged, and differing settings.

Each function but `damage` gives the columns and rows of a table, or None where there is nothing to tell.
"""

import time
from collections.abc import Sequence
from typing import Any

from train.account import Account, number
from train.comparison import DIGEST, Table

REASONS = 20  # damaged samples listed of a run
LAST_SECOND = 253_402_300_800  # of the year 9999
LONGEST = 120  # characters of a setting's value


def states(accounts: Sequence[Account]) -> Table:
    """What status.json says, and the version of the code."""
    columns, rows = ("run", "state", "reason", "step", "best", "last sign of life", "version"), []
    for one in accounts:
        step, best, at, beat = (
            number(one.status, k) for k in ("global_step", "best", "best_step", "heartbeat")
        )
        selected = one.settings.get("fit.select", "")
        rows.append([
            one.name, str(one.status.get("state", "unknown")), str(one.status.get("reason", "")),
            "–" if step is None else f"{int(step):,}",
            "–" if best is None or at is None else f"{selected} {best:.4f} at step {int(at):,}",
            "–" if beat is None else _when(beat),
            str(_inside(one.model, "code", "version") or "–"),
        ])  # fmt: skip
    return columns, rows


def _when(seconds: float) -> str:
    known = 0 <= seconds < LAST_SECOND
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if known else f"{seconds:g} s"


def data(accounts: Sequence[Account]) -> Table | None:
    """What was trained and validated on: a row for all runs of which it is true."""
    columns = ("runs", "use", "data set", "split", "samples", "digest", "licence")
    users: dict[tuple[str, ...], list[str]] = {}
    for one in accounts:
        for facts in _facts(one):
            users.setdefault(facts, []).append(one.name)
    rows = [[", ".join(names), *facts] for facts, names in users.items()]
    return (columns, rows) if rows else None


def _facts(one: Account) -> list[tuple[str, ...]]:
    held, found = one.model.get("data"), []
    for key, facts in (held if isinstance(held, dict) else {}).items():
        told = (_inside(facts, name) for name in ("split", "samples", "digest", "licence"))
        split, samples, digest, licence = ("–" if fact is None else fact for fact in told)
        count = f"{samples:,}" if isinstance(samples, int) else str(samples)
        found.append(("training", key, str(split), count, str(digest)[:DIGEST], str(licence)))
    for use, key in (("training, all together", "data.digest"), ("validation", "data.val_digest")):
        if digest := one.settings.get(key):
            found.append((use, "", "", "", str(digest)[:DIGEST], ""))
    return found


def untaught(accounts: Sequence[Account]) -> Table | None:
    """Samples that could not teach, by reason: columns and rows."""
    counts = {
        one.name: {key[5:]: value for key, value in one.lines[0].items() if key.startswith("data/")}
        for one in accounts
        if one.lines
    }
    reasons = list(dict.fromkeys(reason for found in counts.values() for reason in found))
    rows = [
        [name, *(found.get(reason, "–") for reason in reasons)] for name, found in counts.items() if found
    ]
    return (["run", *reasons], rows) if rows else None


def damage(accounts: Sequence[Account]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """Where samples were damaged: run or result, how many, and the first REASONS of them (uid, reason)."""
    found = [(f"{one.name}, training", len(one.damage), one.damage) for one in accounts]
    found += [(f"{r.name} on {r.set}", r.damaged, r.damage) for one in accounts for r in one.results]
    return [(name, count, list(named.items())[:REASONS]) for name, count, named in found if count]


def differing(accounts: Sequence[Account]) -> Table | None:
    """The settings in which the runs differ: columns and rows."""
    told = [one for one in accounts if one.settings]
    keys = sorted({key for one in told for key in one.settings})
    values = {key: [str(one.settings.get(key, ""))[:LONGEST] or "–" for one in told] for key in keys}
    rows = [[key, *found] for key, found in values.items() if len(set(found)) > 1]
    return (["setting", *(one.name for one in told)], rows) if rows else None


def _inside(found: Any, *path: str) -> Any:
    """A value in nested objects; None where the way ends."""
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found
