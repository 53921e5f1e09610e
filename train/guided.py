"""Prefix beam search led by a guide: what may be read, and what it is worth beside its CTC probability.

A guide is a weighted automaton over symbols. Of a prefix the beam knows its CTC mass, as in `train.beam`,
and the sum of the guide's weights along it; prefixes are ranked by log mass + weights (shallow fusion:
Gulcehre et al. 2015, "On Using Monolingual Corpora in Neural Machine Translation", section 4.1). What the
guide forbids (weight -inf) leaves the search; what it allows and the search drops all the same is counted
as lost. So the mass of a reading in the beam plus the lost mass of the line is never below its CTC
probability. Letters: N lines, T steps, C classes (0 the blank), W prefixes in the beam, K classes tried at
a step, M = W K candidates.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from train import beam
from train.charset import Charset

AT_ONCE = 1 << 19  # candidates of a step in memory


class Guide(Protocol):
    """A weighted automaton; its states are int64, `start` the first."""

    start: int

    def follow(self, states: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states after symbols [M] and the weights of those steps in nats; -inf: not allowed."""
        ...

    def end(self, states: np.ndarray) -> np.ndarray:
        """The weight of ending in each state, of any shape."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Readings that may end, best first by score: symbols int64 [N,W,T] (0 after the end), lengths [N,W].

    scores: log mass + weights, -inf: there is no reading; masses: CTC probabilities [N,W], never too large;
    lost: [N], what the search dropped of all that the guide allows.
    """

    symbols: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray
    masses: np.ndarray
    lost: np.ndarray

    def best(self) -> list[tuple[int, ...]]:
        """The symbols of the best reading of each line; none, where there is no reading."""
        there = np.isfinite(self.scores[:, 0])
        lines = zip(self.symbols[:, 0].tolist(), (self.lengths[:, 0] * there).tolist(), strict=True)
        return [tuple(symbols[:length]) for symbols, length in lines]

    def labels(self, count: int) -> list[list[tuple[int, ...]]]:
        """The symbols of the best readings of each line, at most so many."""
        lengths = np.where(np.isfinite(self.scores), self.lengths, -1)
        return beam.NBest(self.symbols[:, :count], lengths[:, :count], self.scores[:, :count]).labels()


@dataclass(slots=True)
class _Walk:
    """The beam and where it stands: prefixes, state and weight of each [N,W], lost mass and log scale [N]."""

    prefixes: beam.Prefixes
    state: np.ndarray
    weight: np.ndarray
    lost: np.ndarray
    log_scale: np.ndarray


def guided_beam(log_probs: np.ndarray, guide: Guide, width: int, classes: int = 0) -> Found:
    """Searches log_probs float32 [N,T,C], all finite at their best class.

    classes: symbols tried at a step, the best ones; 0 all.
    """
    samples, total = len(log_probs), log_probs.shape[2]
    count = min(classes or total - 1, total - 1)
    size = max(1, AT_ONCE // max(1, width * count))
    parts = [
        _search(log_probs[at : at + size], guide, width, count) for at in range(0, max(1, samples), size)
    ]
    names = ("symbols", "lengths", "scores", "masses", "lost")
    return Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _search(log_probs: np.ndarray, guide: Guide, width: int, count: int) -> Found:
    samples, steps, total = log_probs.shape
    tried = beam.best_classes(torch.from_numpy(log_probs), count)  # [N,T,K]
    chances = np.exp(np.take_along_axis(log_probs, tried, -1).astype(np.float64))
    blanks = np.exp(log_probs[..., Charset.BLANK].astype(np.float64))
    untried = (
        np.clip(1.0 - blanks - chances.sum(-1), 0.0, 1.0) if count < total - 1 else np.zeros_like(blanks)
    )
    plan = beam.Plan(
        np.repeat(np.arange(width), count), np.tile(np.arange(count), width),
        np.arange(width) * count, np.full(width, count),
    )  # fmt: skip
    state = np.full((samples, width), guide.start, np.int64)
    walk = _Walk(
        beam.start(samples, width), state, np.zeros(state.shape), np.zeros(samples), np.zeros(samples)
    )
    sources, symbols = np.zeros((2, steps, samples, width), np.int64)
    for t in range(steps):
        own = np.exp(np.take_along_axis(log_probs[:, t], walk.prefixes.last, -1).astype(np.float64))
        chance = (blanks[:, t, None], own, tried[:, t], chances[:, t], untried[:, t])
        sources[t], symbols[t] = _step(walk, guide, plan, chance)
    with np.errstate(divide="ignore"):
        logs = np.log(walk.prefixes.blank + walk.prefixes.spoken) + walk.log_scale[:, None]
    scores = logs + walk.weight + guide.end(walk.state)
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, logs = (np.take_along_axis(values, order, 1) for values in (scores, logs))
    spelled = np.take_along_axis(beam.spell(sources, symbols), order[..., None], 1)
    return Found(spelled, (spelled > 0).sum(-1), scores, np.exp(logs), walk.lost)


def _step(
    walk: _Walk, guide: Guide, plan: beam.Plan, chance: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Takes the walk a step further; whence each prefix comes and what it adds, [N,W].

    chance: of the blank [N,1], of each last symbol [N,W], the classes tried and theirs [N,K], of the rest
    [N].
    """
    old = walk.prefixes
    blank, own, tried, chances, untried = chance
    whole = old.blank + old.spoken
    silent, stays = whole * blank, old.spoken * own
    symbols = tried[:, plan.ranks]
    double = symbols == old.last[:, plan.parents]
    grown = np.where(double, old.blank[:, plan.parents], whole[:, plan.parents])
    grown *= chances[:, plan.ranks]
    beam.merge(old, whole, own, tried, plan, stays, grown)
    dropped = whole.sum(1) * untried
    state, weight = _followed(walk, guide, plan, symbols, grown)
    spoken = np.concatenate([stays, grown], 1)
    silent = np.concatenate([silent, np.zeros_like(grown)], 1)
    masses = spoken + silent
    with np.errstate(divide="ignore"):
        scores = np.log(masses) + weight
    chosen = _best(scores, old.blank.shape[1])
    dropped += np.clip(masses.sum(1) - np.take_along_axis(masses, chosen, 1).sum(1), 0.0, None)
    walk.lost += dropped * np.exp(walk.log_scale)
    walk.prefixes, scale, sources, added = beam.survive(old, spoken, silent, symbols, plan, chosen)
    walk.state, walk.weight = (np.take_along_axis(values, chosen, 1) for values in (state, weight))
    walk.log_scale += np.log(scale)
    return sources, added


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the largest scores of each line, best first, [N,count]."""
    places = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(scores, places, 1), axis=1, kind="stable")
    return np.take_along_axis(places, order, 1)


def _followed(
    walk: _Walk, guide: Guide, plan: beam.Plan, symbols: np.ndarray, grown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States and weights [N,W+M] of what stays and what grows; in place, what may not grow loses its mass."""
    rows, places = np.nonzero(grown)
    parents = plan.parents[places]
    states, weights = guide.follow(walk.state[rows, parents], symbols[rows, places])
    forbidden = np.isneginf(weights)
    grown[rows[forbidden], places[forbidden]] = 0.0
    state = np.zeros(grown.shape, np.int64)
    weight = np.zeros(grown.shape)
    state[rows, places] = states
    weight[rows, places] = np.where(forbidden, 0.0, walk.weight[rows, parents] + weights)
    return np.concatenate([walk.state, state], 1), np.concatenate([walk.weight, weight], 1)
