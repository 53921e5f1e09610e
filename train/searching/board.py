"""The leaderboard as files: CSV for machines, Markdown and LaTeX for texts, JSON for programs, PNG for eyes.

All are written anew at every trial that ends, so that a search can be watched.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shards.written import write_bytes, write_json
from train.searching import chart
from train.searching.ranking import Row
from train.searching.trials import Trial

NAME = "leaderboard"
NONE = "–"
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """What stands above the rows, and how a trial's command is spelled.

    about: what was searched, in a sentence or two; keys: of the axes, in their order.
    """

    metric: str
    about: str
    keys: tuple[str, ...]
    command: Callable[[Trial], str]
    log: Callable[[Trial], Path]

    @property
    def scale(self) -> float:
        """Shares are shown in percent, edits as they are."""
        return 1.0 if self.metric.startswith("edit_distance") else 100.0

    @property
    def unit(self) -> str:
        """The metric and its unit."""
        return self.metric if self.scale == 1 else f"{self.metric} %"

    def columns(self) -> list[str]:
        """The heads of the table that people read."""
        return ["#", *self.keys, "samples", "seeds", f"{self.unit} ± sd", "95 %", "verdict",
                "gain [95 %]", "by seed", "resolvable"]  # fmt: skip

    def cells(self, place: int, row: Row) -> list[str]:
        """A row of that table."""
        values = [row.values.get(key, NONE) for key in self.keys]
        if not row.scores:
            states = sorted({trial.state or "waiting" for trial in row.trials})
            return [NONE, *values, NONE, "0", ", ".join(states), *[NONE] * 5]
        k, verdict = self.scale, row.verdict
        mean = f"{k * row.mean:.2f}" + (f" ± {k * row.sd:.2f}" if len(row.scores) > 1 else "")
        spread = f"[{k * row.interval.low:.2f}, {k * row.interval.high:.2f}]" if row.interval else NONE
        found, gain, half = verdict.difference, NONE, NONE
        if found:
            gain = f"{k * found.mean:+.2f} [{k * found.low:+.2f}, {k * found.high:+.2f}]"
            half = (
                f"{k * found.half:.2f}" if found.half > 1e-9 else NONE
            )  # where nothing varied, nothing is known
        than = " than" if verdict.verdict in ("BETTER", "WORSE") else " from" if found else " against"
        told = verdict.verdict + (f"{than} {verdict.against}" if verdict.against else "")
        seeds = " ".join(f"{k * one:+.2f}" for one in verdict.by_seed) or NONE
        samples = NONE if row.samples is None else f"{row.samples:,.0f}"
        return [str(place), *values, samples, str(len(row.scores)), mean, spread, told, gain, seeds, half]

    def table(self, rows: Sequence[Row]) -> list[list[str]]:
        """All rows of that table."""
        return [self.cells(place, row) for place, row in enumerate(rows, start=1)]

    def write(self, folder: Path, rows: Sequence[Row], facts: dict[str, Any]) -> None:
        """Every file. facts: what the JSON says beside the rows."""
        write_bytes(folder / f"{NAME}.csv", self.as_csv(rows).encode())
        write_bytes(folder / f"{NAME}.md", self.as_markdown(rows).encode())
        write_bytes(folder / f"{NAME}.tex", self.as_latex(rows).encode())
        write_json(folder / f"{NAME}.json", {"format": 1, **facts, "rows": [self.facts(row) for row in rows]})
        scored = [row for row in rows if row.scores]
        write_bytes(folder / f"{NAME}.png", chart.draw(scored, self.unit, self.scale))

    def facts(self, row: Row) -> dict[str, Any]:
        """A row as JSON-able values, in fractions."""
        trials = [
            {"name": t.name, "seed": t.seed, "state": t.state, "code": t.code, "reason": t.reason,
             "score": row.scores.get(t.seed), "seconds": t.seconds, "log": str(self.log(t)),
             "command": self.command(t)}
            for t in row.trials
        ]  # fmt: skip
        scored = {"mean": row.mean, "sd": row.sd} if row.scores else {"mean": None, "sd": None}
        interval = asdict(row.interval) if row.interval else None
        return {"label": row.label, "values": row.values, "samples": row.samples, **scored,
                "interval": interval, "verdict": asdict(row.verdict), "trials": trials}  # fmt: skip

    def as_csv(self, rows: Sequence[Row]) -> str:
        """One line a row, in fractions; command: those of its trials, joined so that a shell runs them."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        interval = ["low", "high"]
        gain = ["gain", "gain_low", "gain_high", "resolvable"]
        writer.writerow([
            "rank", *self.keys, "samples", "seeds", "metric", "mean", "sd", *interval, "verdict", "against",
            "why", *gain, "words", "failed", "seconds", "command",
        ])  # fmt: skip
        for place, row in enumerate(rows, start=1):
            found, spread = row.verdict.difference, row.interval
            writer.writerow([
                place if row.scores else "", *(row.values.get(key, "") for key in self.keys),
                "" if row.samples is None else row.samples, len(row.scores),
                self.metric, *((row.mean, row.sd) if row.scores else ("", "")),
                *((spread.low, spread.high) if spread else ("", "")),
                row.verdict.verdict, row.verdict.against, row.verdict.why,
                *((found.mean, found.low, found.high, found.half) if found else [""] * 4),
                found.words if found else "", len(row.failed), round(sum(t.seconds for t in row.trials), 1),
                " && ".join(self.command(trial) for trial in row.trials),
            ])  # fmt: skip
        return file.getvalue()

    def as_markdown(self, rows: Sequence[Row]) -> str:
        """The table, what failed, and the commands."""
        lines = ["# Leaderboard", "", _markdown(self.about), "", _row(self.columns())]
        lines += [_row(["---"] * len(self.columns())), *(_row(cells) for cells in self.table(rows)), ""]
        lines += [f"![{_markdown(self.unit)}]({NAME}.png)", "", _markdown(self.notes(rows)), ""]
        failed = [trial for row in rows for trial in row.failed]
        if failed:
            lines += ["## Failed", "", _row(["trial", "code", "reason", "log"]), _row(["---"] * 4)]
            lines += [_row([t.name, str(t.code), t.reason, str(self.log(t))]) for t in failed]
            lines += [""]
        lines += ["## Commands", ""]
        for row in rows:
            lines += [_markdown(row.label), "", "```bash", *(self.command(t) for t in row.trials), "```", ""]
        return "\n".join(lines)

    def as_latex(self, rows: Sequence[Row]) -> str:
        """A table of the package booktabs."""
        heads = [_latex(head) for head in self.columns()]
        body = [" & ".join(_latex(cell) for cell in cells) + r" \\" for cells in self.table(rows)]
        return "\n".join([
            rf"% {self.about}".replace("\n", " "), rf"\begin{{tabular}}{{{'l' * len(heads)}}}", r"\toprule",
            " & ".join(heads) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", "",
        ])  # fmt: skip

    def notes(self, rows: Sequence[Row]) -> str:
        """How to read the verdicts; why some rows have none."""
        found = [row.verdict.difference for row in rows if row.verdict.difference]
        told = "sd is the spread over seeds."
        if found:
            over = "words and seeds, paired, both drawn anew" if found[0].words else "seeds, paired"
            told += (
                f" Verdicts are over {over}; resolvable is half the interval: the smallest gain that could"
            )
            told += " have been told from none."
        if any(one.seeds == 1 for one in found):
            told += " Where there is one seed, a verdict is about these two models, not about the settings."
        whys = dict.fromkeys(row.verdict.why for row in rows if row.scores and row.verdict.why)
        return " ".join([told, *(f"Not judged: {why}." for why in whys)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_markdown(cell).replace("|", r"\|") for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Text as it is, whatever Markdown would make of it."""
    return re.sub(r"([\\`*_<>\[\]#~])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    # a bracket after the \\ of the row before would be taken for its argument
    escaped = "".join(TEX.get(letter, letter) for letter in text)
    return f"{{{escaped}}}" if escaped.startswith("[") else escaped
