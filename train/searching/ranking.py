"""The leaderboard as values: a row is a setting over its seeds, with a verdict against its baseline.

The baseline of a row is the row that differs from it in nothing but the baseline's values; where there is
none, as when points are drawn at random, the best of the rows that have these values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from train.searching.pairing import Interval, Words, deviation, over_seeds, over_words
from train.searching.trials import FAILED, PREEMPTED, Trial, label

BASELINE, NOT_JUDGED = "BASELINE", "NOT JUDGED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row against its baseline. difference: the gain, positive is better; by_seed: the same by seed."""

    verdict: str
    against: str = ""
    why: str = ""  # it is not judged
    difference: Interval | None = None
    by_seed: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A setting: its trials in the order of seeds, and the scores of those that are done."""

    values: dict[str, str]
    trials: tuple[Trial, ...]
    scores: dict[str, float]  # by seed
    interval: Interval | None = None  # of the mean
    verdict: Verdict = Verdict(NOT_JUDGED)

    @property
    def label(self) -> str:
        """The setting in a few words."""
        return label(self.values)

    @property
    def mean(self) -> float:
        """Over seeds; there is at least one."""
        return sum(self.scores.values()) / len(self.scores)

    @property
    def sd(self) -> float:
        """The standard deviation over seeds; 0 for a single one."""
        return deviation(list(self.scores.values()))

    @property
    def samples(self) -> float | None:
        """That its models were trained on, the mean over seeds; None: not known."""
        known = [trial.samples for trial in self.trials if trial.samples is not None]
        return sum(known) / len(known) if known else None

    @property
    def failed(self) -> tuple[Trial, ...]:
        """Trials that did not come to an end."""
        return tuple(trial for trial in self.trials if trial.state in (FAILED, PREEMPTED))


@dataclass(frozen=True, slots=True)
class Judge:
    """How rows are scored and compared.

    sets: of the evaluation, empty for the runs' own validation; words: what a trial read right there, if that
    is known and the metric counts it.
    """

    metric: str
    lower: bool
    sets: str = ""
    baseline: Mapping[str, str] | None = None
    words: Callable[[Trial], Words | None] = lambda trial: None

    def rank(self, trials: Sequence[Trial]) -> list[Row]:
        """Rows of these trials, best first; those without a score at the end."""
        kept: dict[tuple, list[Trial]] = {}
        for trial in trials:
            kept.setdefault(tuple(trial.values.items()), []).append(trial)
        rows = [self._row(some) for some in kept.values()]
        scored = sorted((r for r in rows if r.scores), key=lambda row: row.mean, reverse=not self.lower)
        judged = [self._judged(row, scored) for row in scored]
        return [*judged, *(row for row in rows if not row.scores)]

    def _row(self, trials: Sequence[Trial]) -> Row:
        found = {trial.seed: trial.score(self.metric, self.sets) for trial in trials}
        scores = {seed: score for seed, score in found.items() if score is not None}
        row = Row(trials[0].values, tuple(trials), scores)
        read = self._words(row, tuple(scores))
        interval = over_words(read) if read else over_seeds(list(scores.values()))
        return Row(row.values, row.trials, scores, interval)

    def _words(self, row: Row, seeds: Sequence[str]) -> list[Words]:
        """What was read right with each seed; [] unless it is known of all."""
        by_seed = {trial.seed: trial for trial in row.trials}
        found = [self.words(by_seed[seed]) for seed in seeds]
        return [one for one in found if one is not None] if None not in found else []

    def _judged(self, row: Row, rows: Sequence[Row]) -> Row:
        return Row(row.values, row.trials, row.scores, row.interval, self._verdict(row, rows))

    def _verdict(self, row: Row, rows: Sequence[Row]) -> Verdict:
        if not self.baseline:
            return Verdict(NOT_JUDGED, why="no baseline; baseline=KEY=VALUE names one")
        other = _baseline(row, rows, self.baseline)
        if other is None:
            return Verdict(NOT_JUDGED, why=f"no result of the baseline {label(self.baseline)}")
        if other is row:
            return Verdict(BASELINE)
        seeds = [seed for seed in row.scores if seed in other.scores]
        if not seeds:
            return Verdict(NOT_JUDGED, other.label, "no seed that both have")
        sign = -1 if self.lower else 1
        gains = tuple(sign * (row.scores[seed] - other.scores[seed]) for seed in seeds)
        mine, theirs = self._words(row, seeds), self._words(other, seeds)
        found = (over_words(mine, theirs) if mine and theirs else None) or over_seeds(gains)
        if found is None:
            why = "one seed tells no spread; more seeds, or evaluate=DIR to compare word by word"
            return Verdict(NOT_JUDGED, other.label, why, by_seed=gains)
        return Verdict(found.verdict, other.label, "", found, gains)


def _baseline(row: Row, rows: Sequence[Row], wanted: Mapping[str, str]) -> Row | None:
    """The row's baseline; rows are best first."""
    those = [r for r in rows if r.values.items() >= wanted.items()]
    if row in those:
        return row
    # a subset: what is set for one method only, the baseline does not have
    twins = [r for r in those if r.values.items() - wanted.items() <= row.values.items()]
    return next(iter([*twins, *those]), None)
