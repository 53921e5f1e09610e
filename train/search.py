"""Tries settings: one training for each, as child processes, and one leaderboard with verdicts.

    python -m train.search entry=distill/student.py method=none,logits,hard seed=0,1,2 cache=caches/own \
        data.root=data/own evaluate=data/own out=runs/methods
    python -m train.search entry=train/teacher.py optim.lr=3e-4,1e-3,3e-3 data.root=data/own \
        baseline=optim.lr=1e-3 seed=0,1 out=runs/rates
    python -m train.search entry=train/teacher.py strategy=tpe trials=30 'optim.lr=log(1e-4,1e-2)' \
        fit.batch=32,64 'augment.blur=uniform(0,2)' data.root=data/own out=runs/tuned

What is no setting below goes to the entry. There `a,b` is two trials and `[a,b]` one value; log(LOW,HIGH),
uniform(LOW,HIGH) and int(LOW,HIGH) are ranges for random and tpe (shells want quotes around them). seed= is
no axis: every setting is run with each seed, and a row of the leaderboard is a setting over its seeds.

Rows are compared with baseline=, by default method=none where that is tried. Scores are those of the runs'
own validation or, with evaluate=, of the best models on those sets, where rows are compared word by word;
tpe always goes by the validation. The same command again goes on, tries once more what failed, and takes
over trials that are done, even those of a search with other axes. OUT/leaderboard.md grows while it runs.
"""

import os
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config, lookup, progress
from shards.config import Choice
from shards.errors import BadSettings, GateFailed, Preempted
from shards.lock import locked
from shards.progress import Reporter
from shards.read import Shards
from shards.typed import check_ranges
from shards.written import digest
from train import judging
from train.clock import seconds_of
from train.runtime import StopRequest
from train.searching import axes, children, entries, session
from train.searching.board import NAME, Board
from train.searching.ranking import Row
from train.searching.trials import DONE, Folder, Trial


@dataclass
class Settings:
    """A search."""

    strategy: Choice = field(metadata={"seam": "train.strategies", "flat": True})
    entry: str = ""  # the script that a trial runs: distill/student.py or train/teacher.py
    out: str = "runs/search"  # the search's folder: leaderboard.*, runs/ and trials/
    jobs: int = 1  # trials at a time; on several GPUs each has one of its own
    threads: int = 0  # CPU threads of a trial (OMP_NUM_THREADS), 0 = its share of the cores
    timeout: str = ""  # a trial that takes longer is saved, stopped and counted as failed, for example 45m
    metric: str = "word_acc"  # what rows are ranked by, in the best model of each run
    baseline: str = ""  # KEY=VALUE[,KEY=VALUE] of the rows that others are judged against
    evaluate: list[str] = field(
        default_factory=list
    )  # data sets to evaluate the best models on, all together
    split: str = "test"  # of those sets
    device: str = "cpu"  # where that is done: cpu, or cuda:0
    dry_run: bool = False  # say what would be tried, write nothing
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        check_ranges(self, "", jobs=(1, 1024), threads=(0, 1024))
        seconds_of(self.timeout, "timeout")


def main(argv: list[str]) -> None:
    """Entry."""
    settings, given = _split(argv)
    report = Reporter("train.search", settings.json)
    search = _prepare(settings, given)
    count = len(search.rehearsal)
    report.header(
        entry=search.entry.path, strategy=settings.strategy.name, trials=count, metric=settings.metric,
        data=search.aim.sets[:12] or "each run's own validation", config=search.mark[:12],
        folder=settings.out,
    )  # fmt: skip
    if settings.dry_run:
        for trial in search.rehearsal:
            report.say(f"{trial.state or 'new'} {trial.name}: {_command(search, trial)}")
        report.done("", trials=[trial.name for trial in search.rehearsal])
        return
    with locked(search.folder.path):
        _run(settings, search, report, f"python -m train.search {shlex.join(argv)}")


def _split(argv: list[str]) -> tuple[Settings, list[tuple[str, str]]]:
    """The search's settings, and (key, text) pairs for the entry."""
    own = {row[0].partition(".")[0] for row in config.describe(Settings)}
    first = {argument: argument.partition("=")[0].partition(".")[0] for argument in argv}
    ours = [a for a in argv if "=" not in a or a.startswith("-") or first[a] in own]
    given = [(a.partition("=")[0], a.partition("=")[2]) for a in argv if a not in ours]
    settings = config.read(Settings, "search", ours)
    for key, text in given:
        if key in entries.OURS:
            raise BadSettings(f"{key}={text}: a search names its runs itself; out= says where they are kept")
        if text == "?":
            entries.load(settings.entry).read({key: text})
    return settings, given


def _prepare(settings: Settings, given: list[tuple[str, str]]) -> session.Search:
    """The search that these settings ask for; one that cannot be is refused."""
    entry, space = entries.load(settings.entry), axes.parse(given)
    strategy = lookup.find("train.strategies", settings.strategy.name).Strategy(
        settings.strategy.settings, space.axes
    )
    drawn = {
        k: v for k, v in config.plain(settings.strategy).items() if k != "trials"
    }  # more begin as fewer do
    mark = digest([drawn, {key: repr(axis) for key, axis in space.axes.items()}])
    sets, command = "", ()
    if settings.evaluate:
        judging.device(settings.device)
        sets = Shards(settings.evaluate, settings.split).digest
        told = {"data.root": f"[{','.join(settings.evaluate)}]", "data.split": settings.split}
        told |= {"device": settings.device}
        command = (sys.executable, "-m", "train.evaluation", *entries.as_argv(told))
    limit = seconds_of(settings.timeout, "timeout")
    aim = session.Aim(settings.metric, session.baseline(settings.baseline, space), sets, command, limit)
    search = session.Search(entry, space, strategy, mark, Folder(Path(settings.out)), aim)
    search.check()
    return search


def _run(settings: Settings, search: session.Search, report: Reporter, again: str) -> None:
    """The search within its locked folder, which says at any time how it stands."""
    stop, count, begun = StopRequest(), len(search.rehearsal), time.monotonic()
    cores = len(os.sched_getaffinity(0))
    slots = children.environments(settings.jobs, settings.threads, cores, children.gpus())
    board = _board(settings, search)
    progress.status(search.folder.path, "running")

    def watch(running: Any) -> None:
        done = sum(trial.state == DONE for trial in _begun(search))
        names = ", ".join(job.name for job in running)
        report.line(f"{done} of {count} trials done, {time.monotonic() - begun:.0f} s, running: {names}")

    try:
        for job, ending in children.work(search.feed(), slots, stop.asked, watch):
            trial = search.finish(job.name, ending)
            score = trial.score(settings.metric, search.aim.sets)
            told = (
                f"{settings.metric} {score:.4f}"
                if score is not None
                else f"{trial.reason} ({search.folder.log(trial)})"
            )
            report.say(f"{trial.name}: {trial.state}, {told}")
            board.write(search.folder.path, search.rank(), {"command": again})
    finally:
        stop.close()
    _end(search, board, report, again, stop.reason, count)


def _end(
    search: session.Search, board: Board, report: Reporter, again: str, stopped: str, count: int
) -> None:
    """The last board, the last words and the exit code."""
    rows, folder = search.rank(), search.folder.path
    board.write(folder, rows, {"command": again})
    report.table("leaderboard", board.columns(), board.table(rows))
    report.say(board.notes(rows))
    others = len(search.roster.trials) - len(_begun(search))
    if others > 0:
        report.say(f"{others} trials of other axes stay in {folder / 'trials'}")
    failed = [trial for row in rows for trial in row.failed]
    done = [trial.name for row in rows for trial in row.trials if trial.state == DONE]
    facts = {"leaderboard": str(folder / f"{NAME}.md"), "done": done, "failed": [t.name for t in failed]}
    facts["best"] = rows[0].values if done else None
    if stopped:
        reason = f"stopped by {stopped}: {len(done)} of {count} trials are done; the same command goes on"
        progress.status(folder, "preempted", Preempted.code, reason)
        raise report.failed(Preempted(reason), again, **facts)
    if failed:
        reason = f"{len(failed)} of {count} trials failed: {', '.join(t.name for t in failed)}"
        progress.status(folder, "failed", GateFailed.code, reason)
        raise report.failed(GateFailed(reason), again, **facts)
    progress.status(folder, "done", 0)
    report.say(f"leaderboard: {folder / NAME}.md, .csv, .tex, .json and .png")
    report.done(_next(search, rows), **facts)


def _next(search: session.Search, rows: list[Row]) -> str:
    """A page about the best row's first run and its baseline's."""
    shown = [row for row in rows if row is rows[0] or row.label == rows[0].verdict.against]
    runs = [str(search.folder.runs / row.trials[0].name) for row in shown]
    return f"python -m train.report {shlex.join(runs)}"


def _begun(search: session.Search) -> list[Trial]:
    met = dict.fromkeys(identity for _, identities in search.tried for identity in identities)
    return [search.roster.trials[identity] for identity in met]


def _board(settings: Settings, search: session.Search) -> Board:
    scored = "their own validation samples"
    if settings.evaluate:
        scored = f"{settings.split} of {', '.join(settings.evaluate)}"
    fixed = shlex.join(entries.as_argv(search.space.fixed)) or "nothing"
    about = (
        f"{search.entry.path}, {settings.strategy.name}, best models on {scored}; the same for all: {fixed}"
    )
    return Board(
        settings.metric, about, tuple(search.space.axes), lambda t: _command(search, t), search.folder.log
    )


def _command(search: session.Search, trial: Trial) -> str:
    return shlex.join(["python", *search.arguments(trial)])


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
