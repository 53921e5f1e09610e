"""How good readings are: pure functions on pairs of strings, with intervals, and the comparison of two.

Fractions, not percent. Text is compared as given: case and charset policies are applied by the task before; a
truth that they emptied (`train.protocols`) has no characters and is never right.
Letters: N samples, R resamples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from train.protocols import kept, spelled

Z95 = 1.959963984540054  # half width of a 95 % interval in standard deviations
RESAMPLES = 1_000
BLOCK = 4_000_000  # drawn indices held at once: 32 MB


@dataclass(frozen=True, slots=True)
class Comparison:
    """a versus b over the same samples: difference in fractions, its 95 % interval, two-sided p, verdict."""

    difference: float
    low: float
    high: float
    p: float
    verdict: str


def edit_distance(truth: str, prediction: str) -> int:
    """Insertions, deletions and substitutions of code points."""
    return Levenshtein.distance(spelled(truth), prediction)


def reduce36(text: str) -> str:
    """The 36-character protocol: composed (NFC), lower case, then nothing but 0-9a-z."""
    return kept("36", text)


def same36(truth: str, prediction: str) -> bool:
    """Equal after `reduce36`; a truth of symbols only, which the protocol empties, is never right."""
    reduced = reduce36(truth)
    return reduced == reduce36(prediction) and bool(reduced or not truth)


def word_acc(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """The share of exact matches; two empty strings match."""
    return _mean(t == p for t, p in zip(truths, predictions, strict=True))


def word_acc_ics(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """The share of matches ignoring case and symbols (`same36`)."""
    return _mean(same36(t, p) for t, p in zip(truths, predictions, strict=True))


def edit_distance_mean(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """Edits per word."""
    return _mean(edit_distance(t, p) for t, p in zip(truths, predictions, strict=True))


def edit_distance_normalised(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """Mean of edits / label length; may exceed 1. An empty label costs 0 if nothing was read, else 1."""
    return _mean(_relative(t, p) for t, p in zip(truths, predictions, strict=True))


def cer(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """Edits per reference character over all words; without any reference character, the number of edits."""
    edits = sum(edit_distance(t, p) for t, p in zip(truths, predictions, strict=True))
    return edits / max(1, sum(len(spelled(t)) for t in truths))


def one_minus_ned(truths: Sequence[str], predictions: Sequence[str]) -> float:
    """Mean over words of 1 - edits / the longer length; two empty strings score 1."""
    return _mean(_similarity(t, p) for t, p in zip(truths, predictions, strict=True))


def _relative(truth: str, prediction: str) -> float:
    length = len(spelled(truth))
    return edit_distance(truth, prediction) / length if length else float(bool(prediction))


def _similarity(truth: str, prediction: str) -> float:
    return Levenshtein.normalized_similarity(spelled(truth), prediction)


def _mean(values) -> float:
    values = [float(v) for v in values]
    return math.fsum(values) / len(values) if values else 0.0


METRICS = {
    f.__name__: f
    for f in (word_acc, word_acc_ics, cer, one_minus_ned, edit_distance_mean, edit_distance_normalised)
}
LOWER_IS_BETTER = frozenset({"cer", "edit_distance_mean", "edit_distance_normalised"})


def better(name: str, value: float, than: float) -> bool:
    """Whether a value of a figure is better than another one; any is better than none (NaN)."""
    return math.isnan(than) or (value < than if name in LOWER_IS_BETTER else value > than)


def scores(
    truths: Sequence[str],
    predictions: Sequence[str],
    confidences: Sequence[float] | None = None,
    seed: int = 0,
) -> dict[str, object]:
    """Every metric as {"value", "low", "high"} with its 95 % interval, and the counts n and n_unique.

    Accuracies have Wilson intervals, the others percentile bootstrap intervals over samples, seeded. With
    `confidences` (0..1 per prediction) also `mean_conf`. No pair at all is a ValueError.
    """
    if not truths:
        raise ValueError("no words to score")
    pairs = list(zip(truths, predictions, strict=True))
    edits = np.array([edit_distance(t, p) for t, p in pairs], dtype=np.float64)
    lengths = np.array([len(spelled(t)) for t in truths], dtype=np.float64)
    rows = {
        "cer": edits,
        "one_minus_ned": np.array([_similarity(t, p) for t, p in pairs]),
        "edit_distance_mean": edits,
        "edit_distance_normalised": np.array([_relative(t, p) for t, p in pairs]),
    }
    if confidences is not None:
        rows["mean_conf"] = np.asarray(confidences, dtype=np.float64)
    drawn = resampled(np.stack([lengths, *rows.values()]), seed)  # [R,1+metrics] sums
    out: dict[str, object] = {
        "word_acc": _share(sum(t == p for t, p in pairs), len(pairs)),
        "word_acc_ics": _share(sum(same36(t, p) for t, p in pairs), len(pairs)),
    }
    for k, (name, values) in enumerate(rows.items(), start=1):
        over, total = (drawn[:, 0], lengths.sum()) if name == "cer" else (len(pairs), len(pairs))
        out[name] = interval(values.sum() / max(1, total), drawn[:, k] / np.maximum(1, over))
    return out | {"n": len(pairs), "n_unique": len(set(truths))}


def ece(right: np.ndarray, sure: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): the mean distance of confidence and accuracy
    over `bins` equal intervals of confidence, each weighted by its share. right: bool [N]; sure: 0..1 [N].
    """
    place = np.minimum((np.asarray(sure) * bins).astype(int), bins - 1)
    gaps = np.bincount(place, np.asarray(sure, np.float64) - np.asarray(right, np.float64), bins)
    return float(np.abs(gaps).sum() / max(1, len(place)))


def means(rows: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, dict[str, float]]:
    """The mean of each name's values [N], of the same samples, with its bootstrap interval over them."""
    drawn = resampled(np.stack(list(rows.values())), seed)
    return {
        name: interval(values.mean(), drawn[:, k] / len(values))
        for k, (name, values) in enumerate(rows.items())
    }


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` in `n`; (0, 1) where nothing was counted."""
    if n == 0:
        return 0.0, 1.0
    p, z = right / n, Z95
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(right: int, n: int) -> dict[str, float]:
    low, high = wilson(right, n)
    return {"value": right / n, "low": low, "high": high}


def interval(value: float, drawn: np.ndarray) -> dict[str, float]:
    """A value and its 95 % percentile interval over resamples [R]."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high)}


def resampled(values: np.ndarray, seed: int) -> np.ndarray:
    """Sums [R,K] of the rows of `values` [K,N] over R bootstrap resamples of the samples."""
    rng, n = np.random.default_rng(seed), values.shape[1]
    block, out = max(1, BLOCK // n), []
    for start in range(0, RESAMPLES, block):
        r = min(block, RESAMPLES - start)
        picks = rng.integers(n, size=(r, n)) + n * np.arange(r)[:, None]
        times = np.bincount(picks.ravel(), minlength=r * n).reshape(r, n)  # how often each sample was drawn
        out.append(times @ values.T)
    return np.concatenate(out)


def paired_bootstrap(
    correct_a: Sequence[bool], correct_b: Sequence[bool], seed: int = 0, resamples: int = 10_000
) -> Comparison:
    """Is a better than b? The share of right words of a less that of b, over the same samples in one order.

    verdict: BETTER or WORSE if the 95 % percentile interval excludes 0, else NO DIFFERENCE.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise ValueError(f"paired samples are needed, got shapes {a.shape} and {b.shape}")
    n, better, worse = len(a), int((a & ~b).sum()), int((~a & b).sum())
    # Resampling pairs is drawing how many of n are wins, losses and ties: a multinomial, exact and quick.
    odds = [better / n, worse / n, (n - better - worse) / n]
    drawn = np.random.default_rng(seed).multinomial(n, odds, resamples)
    difference = (drawn[:, 0] - drawn[:, 1]) / n
    return compared((better - worse) / n, difference)


def compared(difference: float, drawn: np.ndarray) -> Comparison:
    """The verdict on a difference by those of resamples [R]: see `paired_bootstrap`."""
    low, high = (float(v) for v in np.percentile(drawn, [2.5, 97.5]))
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (int(tail) + 1) / (len(drawn) + 1))
    verdict = "BETTER" if low > 0 else "WORSE" if high < 0 else "NO DIFFERENCE"
    return Comparison(difference, low, high, p, verdict)
