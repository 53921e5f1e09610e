"""What an evaluation shows: the figures of each model, and its accuracy within each group of words."""

import os
from pathlib import Path
from typing import Any

from shards.errors import BadSettings
from shards.progress import Reporter
from train import benches, metrics, pareto
from train.headings import READ, Heading
from train.verdicts import Judged, short, told

SHARES = {"agreement": 100, "blank": 100, "kl": 1, "peak_shift": 1}  # measures, shown times this


def models(report: Reporter, judged: list[Judged], found: dict[str, dict[str, Any]]) -> None:
    """Every model's figures and verdict."""
    latency = "ms_per_image" in judged[0].figures
    headings = [Heading(**one) for one in judged[0].figures["headings"]]
    headings = [heading for heading in headings if heading not in READ]  # a table of their own
    columns = ["checkpoint", "params", "MB", f"{headings[0].title} [95 %]", *(h.title for h in headings[1:])]
    columns += ["n", *(["ms"] if latency else []), "verdict"]
    rows = []
    for one in judged:
        f = one.figures
        first, *others = headings
        main = f[first.name]
        row = [short(one.path), f"{f['params']:,}", f"{f['mb']:.2f}"]
        row += [f"{first.shown(main['value'])} {first.between(main['low'], main['high'])}"]
        row += [heading.shown(f[heading.name]["value"]) for heading in others]
        row += [str(f["n"]), *([f"{f['ms_per_image']:.2f}"] if latency else [])]
        rows.append([*row, told(found[one.path])])
    report.table("evaluation (intervals are 95 %)", columns, rows)


def words(report: Reporter, judged: list[Judged]) -> None:
    """Of readings: labels that a model cannot spell, and readings that the decoder proved."""
    for one in judged:
        name, n = short(one.path), one.figures["n"]
        if lost := one.figures.get("unencodable"):
            report.say(
                f"{name}: {lost} of {n} labels have characters that it does not know, and are never right"
            )
        if proved := one.figures.get("certified"):
            report.say(f"{name}: {proved} of {n} readings ({proved / n:.1%}) are certified to be the best")


def check(plot: str) -> None:
    """Refuses a place where no picture can be written."""
    path = Path(plot)
    if path.suffix != ".png":
        raise BadSettings(f"plot={plot}: a picture is written as .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise PermissionError
    except OSError:
        raise BadSettings(f"plot={plot}: cannot be written; give another file") from None


def front(report: Reporter, judged: list[Judged], plot: str, of: str) -> None:
    """Where latency was measured: which models no other beats in size, latency and accuracy together; and
    all of them as a PNG, where a path is given. of: the name of the set.
    """
    if "ms_per_image" not in judged[0].figures:
        return
    heading = Heading(**judged[0].figures["headings"][0])
    points = []
    for one in judged:
        f, name = one.figures, short(one.path)
        value, low, high = (heading.times * f[heading.name][key] for key in ("value", "low", "high"))
        points.append(pareto.Point(name, (f["mb"], f["ms_per_image"]), value, low, high))
    best = ", ".join(point.name for point in pareto.front(points))
    report.say(f"beaten by none in size, latency and {heading.title.removesuffix(', %')} together: {best}")
    if plot:
        Path(plot).write_bytes(pareto.draw(points, f"{heading.title} of {of}"))


def reading(report: Reporter, judged: list[Judged], recogniser: str) -> None:
    """What detectors and the recogniser named read together."""
    headings = [heading for heading in READ if heading.name in judged[0].figures]
    if headings:
        rows = [
            [short(one.path), *(heading.shown(one.figures[heading.name]["value"]) for heading in headings)]
            for one in judged
        ]
        titles = (heading.title for heading in headings)
        report.table(f"found, and read by {short(recogniser)}", ["checkpoint", *titles], rows)


def groups(report: Reporter, judged: list[Judged]) -> None:
    """A table for each way the samples were told apart: each model's share of what is right in each group."""
    title = judged[0].figures["headings"][0]["title"].removesuffix(", %")
    for way in judged[0].figures["by"]:
        found = [one.figures["by"][way] for one in judged]
        rows = []
        for name, count in found[0].items():
            here = [one.get(name, {"n": 0, "right": 0}) for one in found]
            shares = [
                (one["right"] / max(1, one["n"]), *metrics.wilson(one["right"], one["n"])) for one in here
            ]
            cells = [f"{100 * share:.2f} [{100 * low:.2f}, {100 * high:.2f}]" for share, low, high in shares]
            rows.append([name, str(count["n"]), *cells])
        columns = [way, "n", *(short(one.path) for one in judged)]
        report.table(f"{title} by {way} (percent; intervals are 95 %)", columns, rows)


def closeness(report: Reporter, judged: list[Judged], teacher: str) -> None:
    """How close the models come to the teacher, where one was named."""
    rows = []
    for one in judged:
        if not (found := one.figures.get("fidelity")):
            continue
        if "why" in found:
            rows.append([short(one.path), "", "", "", found["why"]])
            continue
        rows.append([short(one.path), *(_with_interval(found[key], times) for key, times in SHARES.items())])
    if rows:
        columns = ["checkpoint", "same class %", "same blanks %", "KL nats/step", "peak shift, steps"]
        report.table(f"closeness to {short(teacher)}, step by step (intervals are 95 %)", columns, rows)


def _with_interval(found: dict[str, float], times: float) -> str:
    value, low, high = (times * found[key] for key in ("value", "low", "high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if times > 1 else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def averages(report: Reporter, bench: str, judged: list[Judged]) -> None:
    """The figures that a bench is quoted by."""
    found = [benches.averages(bench, one.figures["by_source"]) for one in judged]
    rows = []
    for same in zip(*found, strict=True):
        cells = [f"{100 * one.of_sets:.2f} / {100 * one.of_words:.2f}" for one in same]
        rows.append([same[0].name, str(same[0].n), *cells])
    columns = [bench, "words", *(short(one.path) for one in judged)]
    report.table("word accuracy, percent: mean of the sets / of all their words", columns, rows)
