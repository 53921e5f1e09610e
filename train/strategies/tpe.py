"""Points that a tree-structured Parzen estimator expects to be good, from the scores of those before.

Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011, as optuna has it (extra `sweep`). Ranges
are shown to it as [0, 1], so that it need not know which of them are logarithmic. Each proposal asks a new
study that is told all that is known: nothing has to be kept but the trials themselves.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shards.errors import BadSettings
from shards.typed import check_ranges
from train.searching.axes import Axis, Choice, Point
from train.strategies import Seen
from train.strategies.random import fresh


@dataclass
class Settings:
    """How many points, and how many of them are drawn blindly."""

    trials: int = 20  # points to try; each is run with every seed
    search_seed: int = 0  # of the draw; another one gives other points
    startup: int = 10  # points drawn at random before the estimator has a say

    def __post_init__(self) -> None:
        check_ranges(self, "", trials=(1, 1_000_000), search_seed=(0, 2**32), startup=(1, 1_000_000))


class Strategy:
    """See the seam."""

    def __init__(self, settings: Settings, axes: Mapping[str, Axis]) -> None:
        self.optuna = _optuna()
        self.settings, self.axes = settings, axes
        self.size = int(min(settings.trials, np.prod([axis.count for axis in axes.values()])))

    def point(self, number: int, history: Sequence[Seen]) -> Point | None:
        """The point of that number; where the estimator repeats itself, one drawn at random."""
        before, seed = [seen.point for seen in history], self.settings.search_seed
        scored = [seen for seen in history if seen.score is not None]
        if len(scored) < self.settings.startup:
            return fresh(self.axes, seed, number, before)
        point = self._ask(scored, number)
        return point if point not in before else fresh(self.axes, seed, number, before)

    def _ask(self, scored: Sequence[Seen], number: int) -> Point:
        """What a study that knows these points proposes."""
        spaces = {key: self._space(axis) for key, axis in self.axes.items()}
        drawn = int(np.random.default_rng([self.settings.search_seed, number]).integers(2**31))
        sampler = self.optuna.samplers.TPESampler(seed=drawn, n_startup_trials=self.settings.startup)
        study = self.optuna.create_study(direction="maximize", sampler=sampler)
        for seen in scored:
            params = {key: _shown(axis, seen.point[key]) for key, axis in self.axes.items()}
            told = self.optuna.trial.create_trial(params=params, distributions=spaces, value=seen.score)
            study.add_trial(told)
        params = study.ask(spaces).params
        return {key: _meant(axis, params[key]) for key, axis in self.axes.items()}

    def _space(self, axis: Axis) -> Any:
        if isinstance(axis, Choice):
            return self.optuna.distributions.CategoricalDistribution(axis.values)
        return self.optuna.distributions.FloatDistribution(0.0, 1.0)


def _shown(axis: Axis, text: str) -> Any:
    return text if isinstance(axis, Choice) else axis.place(text)


def _meant(axis: Axis, value: Any) -> str:
    return value if isinstance(axis, Choice) else axis.at(value)


def _optuna() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError:
        raise BadSettings("strategy=tpe needs optuna: pip install 'ocr-distillery[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
