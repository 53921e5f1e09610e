"""A search under way: which trials there are, what is left to do of each, and how they rank."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from shards import lookup
from shards.errors import BadSettings
from shards.written import canonical, read_json
from train.metrics import LOWER_IS_BETTER
from train.runfolder import read_lines
from train.searching import axes, entries, outcome, pairing, trials
from train.searching.axes import Point, Space
from train.searching.children import Ending, Job
from train.searching.entries import Entry
from train.searching.ranking import Judge, Row
from train.searching.trials import DONE, RUNNING, Folder, Trial
from train.strategies import Seen

NO_TEACHER = {"method": "none"}  # the values of a baseline that nobody named


@dataclass(frozen=True, slots=True)
class Aim:
    """What is looked for. baseline: values that make a row the baseline; sets: what the best models are
    evaluated on, as a digest, empty for the runs' own validation; evaluate: the command that does; limit: in
    seconds, of a trial.
    """

    metric: str = "word_acc"
    baseline: Point | None = None
    sets: str = ""
    evaluate: tuple[str, ...] = ()
    limit: float = float("inf")


class Search:
    """One entry over one space. mark: names the strategy, its settings and the axes."""

    def __init__(
        self, entry: Entry, space: Space, strategy: Any, mark: str, folder: Folder, aim: Aim
    ) -> None:
        self.entry, self.space, self.strategy, self.folder, self.aim = entry, space, strategy, folder, aim
        self.mark = mark
        self.roster = trials.Roster(folder.load())
        lines = read_lines(folder.proposals)
        self.made = {line["number"]: line["point"] for line in lines if line["space"] == mark}
        self.tried: list[
            tuple[Point, list[str]]
        ] = []  # points in their order, and the identities of their trials
        self._words: dict[str, pairing.Words] = {}

    def check(self) -> None:
        """Refuses what the entry would refuse, before anything is run."""
        several = {trials.identity(t.entry, {**t.arguments, axes.SEED: ""}): t for t in self._corners()}
        several |= {trials.identity(t.entry, {**t.arguments, axes.SEED: ""}): t for t in self.rehearsal}
        for one in several.values():
            try:
                self.entry.read(one.arguments)
            except BadSettings as error:
                raise BadSettings(f"{self.entry.path} refuses {trials.label(one.values)}: {error}") from None
        known = self.entry.metrics(next(iter(several.values())).arguments)
        if known and self.aim.metric not in known:
            raise BadSettings(lookup.unknown("metric", self.aim.metric, known))

    def _corners(self) -> Iterator[Trial]:
        """Every value of each axis, or its ends, with the first values of the others; and every seed."""
        first, seeds = {key: axis.at(0) for key, axis in self.space.axes.items()}, self.space.seeds or ("",)
        for seed in seeds:
            yield self._trial(first, seed)
        for key, axis in self.space.axes.items():
            for value in axis.values or (axis.at(1),):
                yield self._trial({**first, key: value}, seeds[0])

    @cached_property
    def rehearsal(self) -> list[Trial]:
        """The trials as they are without any score: all of a grid or a draw, an idea of those of others."""
        points: list[Point] = []
        for number in range(self.strategy.size):
            point = self.made.get(number) or self.strategy.point(number, [Seen(p) for p in points])
            if point is None:
                break
            points.append(point)
        pairs = itertools.product(points, self.space.seeds or ("",))
        found = [self._trial(*pair) for pair in pairs]
        return [self.roster.trials.get(i, t) for i, t in {t.identity: t for t in found}.items()]

    def _trial(self, point: Point, seed: str) -> Trial:
        given = {**self.space.fixed, **point, **({axes.SEED: seed} if seed else {})}
        arguments = self.entry.applicable(given)
        values = {key: text for key, text in point.items() if key in arguments}
        return Trial(trials.name(values, seed), self.entry.path, arguments, values, seed)

    def _enter(self, point: Point, seed: str) -> Trial:
        """The trial of a point and a seed, as it is known; it is told the name of its control."""
        trial, base = self._trial(point, seed), self.aim.baseline
        control = self._trial({**point, **base}, seed) if base and self.entry.takes("control") else trial
        if control.identity != trial.identity and "control" not in trial.arguments:
            trial = replace(trial, control=self.roster.name_of(control))
        return self.roster.enter(trial)

    def feed(self) -> Iterator[Job]:
        """What is to be run, one by one; a point is proposed only when its turn has come."""
        for number in range(self.strategy.size):
            point = self.made.get(number) or self.strategy.point(number, self._history())
            if point is None:
                return
            self._note(number, point)
            several = [self._enter(point, seed) for seed in self.space.seeds or ("",)]
            begun = {identity for _, identities in self.tried for identity in identities}
            self.tried.append((point, [trial.identity for trial in several]))
            jobs = (self._job(trial) for trial in several if trial.identity not in begun)
            yield from (job for job in jobs if job)

    def _note(self, number: int, point: Point) -> None:
        if number not in self.made:
            self.made[number] = point
            with open(self.folder.proposals, "ab") as file:
                file.write(canonical({"space": self.mark, "number": number, "point": point}) + b"\n")

    def _history(self) -> list[Seen]:
        """What is known of the points so far: of their runs' own validation, whatever is evaluated beside."""
        sign, found = -1 if self.lower else 1, []
        for point, identities in self.tried:
            scores = [self.roster.trials[i].score(self.aim.metric) for i in identities]
            known = [score for score in scores if score is not None]
            found.append(Seen(point, sign * sum(known) / len(known) if known else None))
        return found

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.aim.metric in LOWER_IS_BETTER

    def _job(self, trial: Trial) -> Job | None:
        """What is left to do for a trial; None where nothing is."""
        place, sets, commands = self.folder.of(trial), self.aim.sets, []
        whole = trial.state == DONE or outcome.trained(self.folder, trial)
        if not whole:
            commands.append((sys.executable, *self.arguments(trial)))
            for name in ("evaluation.json", "words.json"):  # of a run that is gone
                (place / name).unlink(missing_ok=True)
        if not outcome.evaluated(self.folder, trial, sets):
            told = {"checkpoint": self.folder.best(trial), "out": place / "evaluation.json"}
            told |= {"words": place / "words.json"}
            commands.append((*self.aim.evaluate, *(f"{key}={value}" for key, value in told.items())))
        if commands:
            self._keep(replace(trial, state=RUNNING, code=None, reason=""))
            return Job(trial.name, tuple(commands), self.folder.log(trial), self.aim.limit)
        if trial.state != DONE or (sets and trial.evaluation.get("of") != sets):
            self.finish(trial.name, Ending(0, 0.0))  # an earlier search was killed before it could note it
        return None

    def arguments(self, trial: Trial) -> list[str]:
        """The entry and all that it is given."""
        ours = {"control": trial.control} if trial.control else {}
        ours |= {"run.name": trial.name, "run.root": str(self.folder.runs)}
        return [self.entry.path, *entries.as_argv(trial.arguments | ours)]

    def finish(self, name: str, ending: Ending) -> Trial:
        """Notes how a trial's job ended."""
        trial = next(t for t in self.roster.trials.values() if t.name == name)
        return self._keep(outcome.settle(self.folder, trial, ending, self.aim.metric, self.aim.sets))

    def _keep(self, trial: Trial) -> Trial:
        self.roster.update(trial)
        return self.folder.save(trial)

    def rank(self) -> list[Row]:
        """The leaderboard of what was begun so far, and of what is known to follow."""
        met = dict.fromkeys(i for _, identities in self.tried for i in identities)
        begun = [self.roster.trials[i] for i in met]
        judge = Judge(self.aim.metric, self.lower, self.aim.sets, self.aim.baseline, self._read)
        return judge.rank(begun)

    def _read(self, trial: Trial) -> pairing.Words | None:
        """Which words a trial read right; None where that is not known, or is not what the metric counts."""
        if self.aim.metric != "word_acc" or not self.aim.sets:
            return None
        if trial.name not in self._words:
            models: Any = read_json(self.folder.of(trial) / "words.json")["models"]
            self._words[trial.name] = pairing.words(models[str(self.folder.best(trial))])
        return self._words[trial.name]


def baseline(told: str, space: Space) -> Point | None:
    """The values that make a row the baseline: those told, else method=none where that is tried."""
    if not told:
        axis = space.axes.get("method")
        return NO_TEACHER if axis and "none" in axis.values else None
    wanted = axes.pairs("baseline", told)
    for key, text in wanted.items():
        if key not in space.axes:
            raise BadSettings(lookup.unknown("baseline", key, list(space.axes)))
        known: Sequence[str] = space.axes[key].values
        if known and text not in known:
            raise BadSettings(lookup.unknown(f"baseline={key}", text, list(known)))
    return wanted
