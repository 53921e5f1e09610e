"""A self-contained page about runs: results with intervals, verdicts, curves, mistakes with pictures, states.

    python -m train.report runs/first
    python -m train.report runs/teacher runs/student runs/student-control out=report.html
    python -m train.report runs/first json=true

Reads run folders only, finished, running or failed; the page opens without a network and has at most 5 MB.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from shards import config, page
from shards.errors import BadSettings
from shards.progress import Reporter, run
from train import account, comparison, reportpage


@dataclass
class Settings:
    """Which runs, and where the page goes."""

    runs: list[str] = field(default_factory=list, metadata={"positional": True})  # run folders
    out: str = ""  # default: report.html in the first run folder
    title: str = "OCR Distillery report"  # heading of the page
    json: bool = False  # print the result as JSON on the last line


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "report", argv)
    folders = [Path(path) for path in settings.runs]
    if not folders:
        raise BadSettings("at least one run folder is needed: python -m train.report runs/first")
    report = Reporter("train.report", settings.json)
    accounts = account.read(folders)
    report.header(runs=", ".join(one.name for one in accounts))
    text = reportpage.draw(accounts, settings.title)
    out = Path(settings.out) if settings.out else folders[0] / "report.html"
    page.save(out, text)
    results = [result for one in accounts for result in one.results]
    if results:
        columns = ["model", "set", "n", "figure", "% [95 %]", "verdict"]
        mains = [r.headings[0].name for r in results]
        rows = [[r.name, r.set, str(r.n), main, reportpage.percent(r.figures[main]), r.verdict]
                for r, main in zip(results, mains, strict=True)]  # fmt: skip
        report.table("results", columns, rows)
    report.say(f"{out} ({len(text.encode()) / 1e6:.2f} MB)")
    report.done(comparison.command(accounts), report=str(out), runs=[str(folder) for folder in folders])


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
