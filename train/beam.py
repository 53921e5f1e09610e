"""CTC prefix beam search (Hannun et al. 2014): the n best readings of a line with their totals.

All lines of a batch take a step together, in NumPy on the CPU. A prefix keeps two probabilities, of its paths
that end in a blank and of those that end in its last symbol, relative to the best prefix of the line, and is
dropped at 1e-280 of that. The beam is the only approximation: what falls off it is lost to a reading's total
(`forward_log_prob` is exact). A candidate, parent i grown by class k, both ranked from 0, is beaten by at
least (i + 1) k - 1 others, so those with (i + 1) k > width are never tried.
Letters: N samples, T time steps, C classes (0 the blank), W prefixes in the beam, K classes tried at a step,
M candidates, B readings told, S symbols of the longest.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards.errors import BadSettings
from train.charset import Charset

# A prefix is known by 64 bits: key(prefix + c) = key(prefix) * ODD + c, modulo 2^64.
ODD = np.uint64(0x9E3779B97F4A7C15)
ROOT, NOBODY, ORPHAN = np.uint64(1), np.uint64(2), np.uint64(3)  # the empty prefix, no prefix, no parent
TINY = 1e-280


@dataclass(frozen=True, slots=True)
class NBest:
    """Best first: symbols int64 [N,B,S] (0 after the end), lengths int64 [N,B] (-1: there is none, and the
    log-probability is -inf), log_probs float32 [N,B] in nats; equal ones in the order of their symbols.
    """

    symbols: np.ndarray
    lengths: np.ndarray
    log_probs: np.ndarray

    def best(self) -> list[tuple[int, ...]]:
        """The symbols of the best reading of each line; none, where there is no reading."""
        lines = zip(self.symbols[:, 0].tolist(), self.lengths[:, 0].tolist(), strict=True)
        return [tuple(symbols[: max(0, length)]) for symbols, length in lines]

    def labels(self) -> list[list[tuple[int, ...]]]:
        """The symbols of every reading of each line."""
        lines = zip(self.symbols.tolist(), self.lengths.tolist(), strict=True)
        return [[tuple(s[:n]) for s, n in zip(*line, strict=True) if n >= 0] for line in lines]


@dataclass(slots=True)
class Prefixes:
    """The beam after a step, best first, each [N,W]: probabilities by ending, last symbol, keys."""

    blank: np.ndarray
    spoken: np.ndarray
    last: np.ndarray
    key: np.ndarray
    parent: np.ndarray


@dataclass(frozen=True, slots=True)
class Plan:
    """The candidates: parent and class rank of each [M]; the first, and how many, of each parent [W]."""

    parents: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    count: np.ndarray


def prefix_beam(log_probs: Tensor | np.ndarray, n: int = 5, width: int = 10, classes: int = 0) -> NBest:
    """The n best readings of log_probs [N,T,C] that a beam of `width` prefixes finds.

    classes: symbols tried at a step beside the blank, the best ones; 0: all that can matter. Never empty.
    """
    if not 1 <= n <= width or classes < 0:
        raise BadSettings(f"n={n}, width={width}, classes={classes}: n is 1 to width, classes at least 0")
    scores = torch.as_tensor(log_probs).detach().float().cpu()
    samples, steps, total = scores.shape
    broken = ~scores.amax(-1).isfinite().all(1)  # a step of NaN or of no probability: there is no reading
    scores = scores.masked_fill(broken[:, None, None], 0.0) if broken.any() else scores
    plan = _plan(width, min(classes or width + 1, width + 1, total - 1))
    tried = best_classes(scores, int(plan.count.max(initial=0)))  # [N,T,K]
    values = scores.numpy()
    chances = np.take_along_axis(values, tried, -1).astype(np.float64)
    peaks = values.max(-1).astype(np.float64)
    prefixes = start(samples, width)
    sources = np.zeros((steps, samples, width), np.int64)
    symbols = np.zeros((steps, samples, width), np.int64)
    log_scale = np.zeros(samples)
    for step in range(steps):
        peak = peaks[:, step, None]
        own = np.take_along_axis(values[:, step], prefixes.last, -1)
        prefixes, scale, sources[step], symbols[step] = _step(
            prefixes,
            np.exp(values[:, step, Charset.BLANK, None] - peak),
            np.exp(own - peak),
            tried[:, step],
            np.exp(chances[:, step] - peak),
            plan,
        )
        log_scale += np.log(scale) + peaks[:, step]
    with np.errstate(divide="ignore"):
        found = np.log(prefixes.blank + prefixes.spoken) + log_scale[:, None]
    found[broken.numpy()] = -np.inf
    return told(spell(sources, symbols), found.astype(np.float32), n)


def forward_log_prob(log_probs: Tensor, symbols: Tensor, lengths: Tensor) -> Tensor:
    """Log of the total probability of each label, float32 [N]; -inf where no path spells it.

    log_probs [N,T,C]; labels concatenated: symbols int64 [sum], lengths int64 [N].
    """
    with torch.no_grad():
        steps = torch.full_like(lengths, log_probs.shape[1])
        rows = log_probs.double().transpose(0, 1)
        loss = functional.ctc_loss(rows, symbols, steps, lengths, blank=Charset.BLANK, reduction="none")
        return -loss.float()


def _plan(width: int, classes: int) -> Plan:
    """Parent i, the best 0, tries the classes of rank k with (i + 1) k <= width; one may be its own last."""
    count = np.minimum(width // np.arange(1, width + 1) + 1, classes)
    parents = np.repeat(np.arange(width), count)
    first = np.cumsum(count) - count
    return Plan(parents, np.arange(len(parents)) - first[parents], first, count)


def best_classes(scores: Tensor, count: int) -> np.ndarray:
    """The `count` best classes but the blank, best first, int64 [N,T,K]; of equal ones the lower, in
    any order those that cannot be.
    """
    scores = scores[..., 1:]
    values, best = scores.topk(min(count + 1, scores.shape[-1]), dim=-1)
    tied = ((values[..., 1:] == values[..., :-1]) & values[..., 1:].isfinite()).any(-1)
    bits = scores[tied].view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the floats
    keys = (bits.long() << 32) - torch.arange(scores.shape[-1])
    best[tied] = keys.topk(best.shape[-1], dim=-1).indices
    return (best[..., :count] + 1).numpy()


def start(samples: int, width: int) -> Prefixes:
    """The empty prefix alone."""
    blank = np.zeros((samples, width))
    key = np.full((samples, width), NOBODY)
    if width:
        blank[:, 0], key[:, 0] = 1.0, ROOT
    nothing = np.zeros((samples, width), np.int64)
    return Prefixes(blank, np.zeros_like(blank), nothing, key, np.full_like(key, ORPHAN))


def _step(
    old: Prefixes, blank: np.ndarray, own: np.ndarray, tried: np.ndarray, chance: np.ndarray, plan: Plan
) -> tuple[Prefixes, np.ndarray, np.ndarray, np.ndarray]:
    """The beam after one more step, the factor [N] taken out of it, whence each comes and what it adds [N,W].

    blank [N,1], own [N,W] (of each last symbol), chance [N,K] of the classes tried [N,K]: probabilities.
    """
    width = old.blank.shape[1]
    whole = old.blank + old.spoken
    stays_blank, stays_spoken = whole * blank, old.spoken * own
    symbols = tried[:, plan.ranks]
    double = symbols == old.last[:, plan.parents]
    grown = np.where(double, old.blank[:, plan.parents], whole[:, plan.parents]) * chance[:, plan.ranks]
    merge(old, whole, own, tried, plan, stays_spoken, grown)
    spoken = np.concatenate([stays_spoken, grown], 1)
    silent = np.concatenate([stays_blank, np.zeros_like(grown)], 1)
    values = spoken + silent
    chosen = np.argsort(-values, axis=1, kind="stable")[:, :width]  # [N,W] of the W + M candidates
    return survive(old, spoken, silent, symbols, plan, chosen)


def survive(
    old: Prefixes, spoken: np.ndarray, silent: np.ndarray, symbols: np.ndarray, plan: Plan, chosen: np.ndarray
) -> tuple[Prefixes, np.ndarray, np.ndarray, np.ndarray]:
    """What `_step` answers, of the candidates `chosen` [N,W] among the W that stay and the M that grow."""
    width, many = old.blank.shape[1], spoken.shape[1]
    flat = chosen + np.arange(0, spoken.size, many)[:, None]
    source = np.concatenate([np.arange(width), plan.parents])[chosen]
    added = np.take(np.concatenate([np.zeros_like(old.last), symbols], 1), flat)
    place = source + np.arange(0, old.last.size, width)[:, None]
    silent, spoken = np.take(silent, flat), np.take(spoken, flat)
    best = silent + spoken
    scale = best.max(1, keepdims=True)
    scale[scale == 0.0] = 1.0  # nothing is left
    dead, new, key = best <= TINY * scale, added > 0, np.take(old.key, place)
    after = Prefixes(
        np.where(dead, 0.0, silent / scale),
        np.where(dead, 0.0, spoken / scale),
        np.where(new, added, np.take(old.last, place)),
        np.where(dead, NOBODY, np.where(new, key * ODD + added.astype(np.uint64), key)),
        np.where(dead, ORPHAN, np.where(new, key, np.take(old.parent, place))),
    )
    return after, scale[:, 0], source, added


def merge(
    old: Prefixes,
    whole: np.ndarray,
    own: np.ndarray,
    tried: np.ndarray,
    plan: Plan,
    stays: np.ndarray,
    grown: np.ndarray,
) -> None:
    """Moves what grows into a prefix of the beam to it, in place: from `grown` [N,M] to `stays` [N,W]."""
    row, parent, child = np.nonzero(old.key[:, :, None] == old.parent[:, None, :])
    symbol = old.last[row, child]
    double = symbol == old.last[row, parent]
    stays[row, child] += np.where(double, old.blank[row, parent], whole[row, parent]) * own[row, child]
    pair, rank = np.nonzero(tried[row] == symbol[:, None])
    row, parent = row[pair], parent[pair]
    kept = rank < plan.count[parent]
    grown[row[kept], (plan.first[parent] + rank)[kept]] = 0.0


def spell(sources: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """The symbols of every prefix of the last beam, 0 after the end, [N,W,T]; from [T,N,W] of each step."""
    steps, samples, width = sources.shape
    base = np.arange(0, samples * width, width)[:, None]
    cursor = base + np.arange(width)
    written = np.zeros((steps, samples, width), np.int64)
    for step in reversed(range(steps)):
        written[step] = np.take(symbols[step], cursor)
        cursor = base + np.take(sources[step], cursor)
    written = written.transpose(1, 2, 0)
    place = np.cumsum(written > 0, -1) - 1
    out = np.zeros(written.shape, np.int64)
    sample, beam, step = np.nonzero(written)
    out[sample, beam, place[sample, beam, step]] = written[sample, beam, step]
    return out


def told(symbols: np.ndarray, log_probs: np.ndarray, n: int) -> NBest:
    """The first n; those of equal log-probability in the order of their symbols."""
    there = np.isfinite(log_probs)
    ties = ((log_probs[:, 1:] == log_probs[:, :-1]) & there[:, 1:]).any(1).nonzero()[0]
    if len(ties):
        keys = (*symbols[ties].transpose(2, 0, 1)[::-1], -log_probs[ties])
        order = np.lexsort(keys, axis=-1)
        symbols[ties] = np.take_along_axis(symbols[ties], order[..., None], 1)
    lengths = np.where(there, (symbols > 0).sum(-1), -1)[:, :n]
    longest = max(1, int(lengths.max(initial=1)))
    return NBest((symbols * there[..., None])[:, :n, :longest], lengths, log_probs[:, :n])
