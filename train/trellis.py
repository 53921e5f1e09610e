"""The trellis of a labelling: its probability over all paths, and the best one of them.

The states are the symbols with a blank before, between and behind them (Graves et al. 2006, "Connectionist
Temporal Classification", section 4.1); a path stays, goes on, or leaps over the blank between two different
symbols. Before the first step it is on the first blank.
Letters: N lines, T steps, C classes (0 the blank), S states, 2 x the longest labelling + 1.
"""

from collections.abc import Sequence

import numpy as np


def log_probability(log_probs: np.ndarray, labels: Sequence[Sequence[int]]) -> np.ndarray:
    """Log of the total probability of the labelling of each line, float64 [N]; -inf: no path spells it.

    log_probs [N,T,C], every step with a class of probability above 0.
    """
    states, leaps, last = _states(labels)
    mass, log_scale = np.zeros(states.shape), np.zeros(len(states))
    mass[:, 0] = 1.0
    for step in range(log_probs.shape[1]):
        own = np.take_along_axis(log_probs[:, step], states, -1).astype(np.float64)
        peak = own.max(-1, keepdims=True)
        peak[np.isneginf(peak)] = 0.0
        mass = sum(_moves(mass, leaps, 0.0)) * np.exp(own - peak)
        scale = mass.max(-1, keepdims=True)
        scale[scale == 0.0] = 1.0
        mass /= scale
        log_scale += (np.log(scale) + peak)[:, 0]
    with np.errstate(divide="ignore"):
        return np.log(_ends(mass, last, 0.0).sum(-1)) + log_scale


def best_paths(log_probs: np.ndarray, labels: Sequence[Sequence[int]]) -> np.ndarray:
    """The most probable path that spells the labelling of each line: a class for every step, int64 [N,T].

    A labelling that no path spells is a ValueError.
    """
    states, leaps, last = _states(labels)
    score, steps = np.full(states.shape, -np.inf), log_probs.shape[1]
    score[:, 0] = 0.0
    back = np.zeros((steps, *states.shape), np.int8)  # how many states before: 0, 1 or 2
    for step in range(steps):
        moves = np.stack(_moves(score, leaps, -np.inf))
        back[step] = moves.argmax(0)
        score = moves.max(0) + np.take_along_axis(log_probs[:, step], states, -1)
    ends = _ends(score, last, -np.inf)
    if np.isneginf(ends.max(-1)).any():
        raise ValueError("a labelling that no path spells")
    lines, at = np.arange(len(states)), last - ends.argmax(-1)
    path = np.zeros((len(states), steps), np.int64)
    for step in reversed(range(steps)):
        path[:, step] = states[lines, at]
        at = at - back[step, lines, at]
    return path


def _states(labels: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class of every state [N,S], whether one may leap into it, and the last one [N]."""
    longest = max(map(len, labels), default=0)
    states = np.zeros((len(labels), 2 * longest + 1), np.int64)
    for row, label in zip(states, labels, strict=True):
        row[1 : 2 * len(label) : 2] = label
    leaps = np.zeros(states.shape, bool)
    leaps[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    return states, leaps, np.array([2 * len(label) for label in labels], np.int64)


def _moves(mass: np.ndarray, leaps: np.ndarray, nothing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What comes into each state by staying, by going on and by leaping, [N,S]."""
    on, over = np.full_like(mass, nothing), np.full_like(mass, nothing)
    on[:, 1:] = mass[:, :-1]
    over[:, 2:] = mass[:, :-2]
    return mass, on, np.where(leaps, over, nothing)


def _ends(mass: np.ndarray, last: np.ndarray, nothing: float) -> np.ndarray:
    """What is in the last blank and in the last symbol, [N,2]; an empty labelling has no symbol."""
    before = np.take_along_axis(mass, np.maximum(last - 1, 0)[:, None], 1)
    return np.concatenate(
        [np.take_along_axis(mass, last[:, None], 1), np.where(last[:, None] > 0, before, nothing)], 1
    )
