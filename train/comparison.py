"""Results compared, set by set: accuracy by size, latency, length and data set; what is not evaluated yet."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from shards.charts import lines
from shards.marks import Estimate, estimates, scatter
from train.account import Account, number
from train.headings import MAIN, Heading
from train.metrics import wilson
from train.results import Mistakes, Result

DIGEST = 12  # characters shown
Row = Sequence[Any]
Table = tuple[Sequence[str], Sequence[Row]]  # columns and rows


@dataclass(frozen=True, slots=True)
class Set:
    """The results on one set: charts that compare them, by length and by source as tables (columns, rows)."""

    name: str
    data: str
    n: int
    headings: tuple[Heading, ...]
    results: list[Result]
    charts: list[Markup]
    lengths: Table | None
    sources: Table | None
    reasons: list[str]


def sets(accounts: Sequence[Account]) -> list[Set]:
    """One per evaluated set: its name and the digest of its data, since names are given twice."""
    found: dict[tuple[str, str], list[Result]] = {}
    for one in accounts:
        for result in one.results:
            found.setdefault((result.set, result.data), []).append(result)
    return [_set(name, data[:DIGEST], results) for (name, data), results in found.items()]


def _set(name: str, data: str, results: list[Result]) -> Set:
    mistakes = {result.name: result.mistakes for result in results}
    lengths = {name: {k: (n, right) for k, n, right in m.lengths or ()} for name, m in mistakes.items()}
    sources = {name: m.sources or {} for name, m in mistakes.items()}
    several = any(len(found) > 1 for found in sources.values())
    return Set(
        name, data, results[0].n, results[0].headings, results, _charts(results),
        _slices("characters", lengths) if any(lengths.values()) else None,
        _slices("data set", sources) if several else None,
        [result.reason for result in results if result.reason],
    )  # fmt: skip


def _charts(results: list[Result]) -> list[Markup]:
    """Accuracy by size, by latency and by length, where at least two models can be compared."""
    main, charts = results[0].headings[0].title, []
    title = f"{main[0].upper()}{main[1:]} by"
    if len(results) > 1:
        sizes = {r.name: _estimate(r, r.params, f"{r.params:,} parameters") for r in results}
        charts.append(scatter(f"{title} size", sizes, "parameters"))
    timed = [r for r in results if r.ms_per_image is not None]
    if len(timed) > 1:
        speeds = {r.name: _estimate(r, r.ms_per_image, f"{r.ms_per_image:.2f} ms per image") for r in timed}
        charts.append(scatter(f"{title} latency", speeds, "ms per image, one thread"))
    curves = {r.name: r.curve for r in results if r.curve and r.curve["thresholds"]}
    if curves:
        percent = {
            name: {k: [100 * v for v in values] for k, values in c.items()} for name, c in curves.items()
        }
        over = {name: (c["recall"], c["precision"]) for name, c in percent.items()}
        charts.append(lines("Precision over recall, %", over, "recall, %"))
        at = {name: (c["thresholds"][::-1], c["hmean"][::-1]) for name, c in percent.items()}
        charts.append(lines("H-mean over the threshold, %", at, "threshold, %"))
    with_lengths = {r.name: r.mistakes for r in results if r.mistakes.lengths}
    if len(with_lengths) > 1:
        charts.append(by_length(with_lengths))
    return charts


def _estimate(result: Result, x: float | None, note: str) -> Estimate:
    main = result.headings[0]
    found = result.figures[main.name]
    value, low, high = (main.times * share for share in found.between)
    return Estimate(x or 0.0, value, low, high, f"{result.name}: {value:.2f} [{low:.2f}, {high:.2f}], {note}")


def by_length(found: dict[str, Mistakes]) -> Markup:
    """Accuracy over the length of the truth, with Wilson intervals; bars tell how many words there are."""
    series = {
        name: [_of_length(*counted, name) for counted in one.lengths or ()] for name, one in found.items()
    }
    counts = {float(k): n for one in found.values() for k, n, _ in one.lengths or ()}
    return estimates("Word accuracy, % by length", series, "characters of the truth", counts, 100)


def _of_length(k: int, n: int, right: int, name: str) -> Estimate:
    low, high = wilson(right, n)
    share = right / n if n else 0.0
    return Estimate(k, 100 * share, 100 * low, 100 * high, f"{name}, {k} characters: {right:,} of {n:,}")


def _slices(what: str, found: dict[str, dict[Any, tuple[int, int]]]) -> Table:
    """Columns and rows: slice, words, and each model's accuracy on it."""
    keys = list(dict.fromkeys(key for one in found.values() for key in one))
    rows = []
    for key in sorted(keys) if all(isinstance(key, int) for key in keys) else keys:
        counted = [one.get(key) for one in found.values()]
        rows.append([key, max(n for n, _ in filter(None, counted)), *(_share(one) for one in counted)])
    return [what, "words", *(f"{name}, % [95 %]" for name in found)], rows


def sources(found: Mistakes) -> Table | None:
    """One model's accuracy by data set, where there are several."""
    return _slices("data set", {"right": found.sources}) if found.sources and len(found.sources) > 1 else None


def _share(counted: tuple[int, int] | None) -> str:
    if not counted or not counted[0]:
        return "–"
    n, right = counted
    low, high = wilson(right, n)
    return f"{100 * right / n:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def unevaluated(accounts: Sequence[Account]) -> Table | None:
    """The newest validation of runs without an evaluation."""
    columns, rows = ("run", "step", "validation samples", "selected by", "value, %"), []
    for one in (one for one in accounts if not one.results):
        line = one.newest("val/")
        chosen = one.settings.get("fit.select") or next((h.name for h in MAIN if f"val/{h.name}" in line), "")
        n, value = (number(line, f"val/{key}") for key in ("n", chosen))
        rows.append([
            one.name, f"{line['global_step']:,}" if line else "–", "–" if n is None else f"{n:,.0f}",
            chosen or "–", "–" if value is None else f"{100 * value:.2f}",
        ])  # fmt: skip
    return (columns, rows) if rows else None


def command(accounts: Sequence[Account]) -> str:
    """The evaluation that is still to be made; empty where there is none, or no model yet."""
    left = [one for one in accounts if not one.results and (one.folder / "best").is_dir()]
    if not left:
        return ""
    roots = left[0].settings.get("data.root") or ["DATA"]
    paths = ",".join(str(one.folder / "best") for one in left)
    listed = ",".join(map(str, roots)) if isinstance(roots, list) else str(roots)
    return shlex.join(["python", "-m", "train.evaluation", f"checkpoint={paths}", f"data.root={listed}"])
