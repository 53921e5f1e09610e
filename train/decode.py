"""From what a recogniser answers to readings: the path of a reading through the steps, collapsed.

A decoder (`train.decoders`) answers a path, a class for every step of every line; what it spells and how
sure that is are told here, alike for all decoders. A temperature (Guo et al. 2017, "On Calibration of
Modern Neural Networks", section 4.2) divides the logits for the confidences alone: it changes no reading.
Letters: N samples, L time steps, C classes; class 0 is the blank.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from train import trellis
from train.charset import Charset

MARGIN = 1e-4  # above 1/2, for the rounding of float32, where a probability shall prove that it is above
BLOCK = 1 << 18  # numbers of a block
FAR = 60.0  # from 0: a value whose exponential float32 holds, and the sum of those of many classes too
FEW = 1 << 13  # numbers that NumPy looks through sooner than torch begins


class Reading(NamedTuple):  # made by the million, at half the cost of a frozen dataclass
    """Collapsed class indices (no blank) and the confidence in 0..1.

    characters: of each symbol, the largest probability of its class over the steps of its run; certified: the
    decoder proved that no other reading it could give is more probable.
    """

    symbols: tuple[int, ...]
    confidence: float
    characters: tuple[float, ...] = ()
    certified: bool = False


class Path:
    """Classes int64 [N,L], one for each step of values [N,L,C] (logits or log-probabilities), their
    chances (probabilities) [N,L], and what they spell: symbols int64 [sum], of all lines one after another,
    and counts int64 [N], how many of each line. The path must be the best one of all that spell the same.
    """

    def __init__(self, values: np.ndarray, classes: np.ndarray, chances: np.ndarray) -> None:
        self._values, self.classes, self._chances = values, classes, chances
        self._kept = classes != Charset.BLANK
        self._kept[:, 1:] &= classes[:, 1:] != classes[:, :-1]
        self._starts = np.flatnonzero(self._kept)
        self.symbols = classes.ravel()[self._starts]
        self.counts = self._kept.sum(1)

    def labels(self, lines: np.ndarray) -> list[tuple[int, ...]]:
        """The symbols of some lines."""
        counts = self.counts[lines]
        flat, ends = tuple(self.classes[lines][self._kept[lines]].tolist()), np.cumsum(counts)
        return [flat[start:end] for start, end in zip((ends - counts).tolist(), ends.tolist(), strict=True)]

    def runs(self) -> list[tuple[tuple[int, int], ...]]:
        """Of each line, the steps of each symbol that it spells: the first, and the one behind the last."""
        turns = np.ones((len(self.classes), self.classes.shape[1] + 1), bool)  # where another class begins
        turns[:, 1:-1] = self.classes[:, 1:] != self.classes[:, :-1]
        lines, firsts = np.nonzero(self._kept)
        places, width = np.flatnonzero(turns), turns.shape[1]
        ends = places[np.searchsorted(places, lines * width + firsts, side="right")] - lines * width
        flat, last = list(zip(firsts.tolist(), ends.tolist(), strict=True)), np.cumsum(self.counts)
        return [tuple(flat[a:b]) for a, b in zip((last - self.counts).tolist(), last.tolist(), strict=True)]

    def chances(self, temperature: float = 1.0) -> np.ndarray:
        """The probability of the path's class at every step, [N,L]; of a broken step, 0."""
        if temperature == 1.0:
            return self._chances
        return _chances(self._values, _taken(self._values, self.classes), temperature)

    def reading(self, lines: np.ndarray, labels: Sequence[tuple[int, ...]]) -> "Path":
        """The same path, but on some lines the best one that spells the labels."""
        own = self.labels(lines)
        other = [i for i, label in enumerate(labels) if label != own[i]]
        if not other:
            return self
        lines, classes, chances = lines[other], self.classes.copy(), self._chances.copy()
        values = self._values[lines]
        classes[lines] = trellis.best_paths(log_softmax(values), [labels[i] for i in other])
        chances[lines] = _chances(values, _taken(values, classes[lines]))
        return Path(self._values, classes, chances)

    def confidences(self, chances: np.ndarray) -> np.ndarray:
        """Of each line, the product of the chances at the steps that were kept, the first of each run, [N].

        An empty reading kept none; its confidence is that of the path of blanks, the only one that spells it.
        """
        return np.where(self._kept | (self.counts == 0)[:, None], chances, 1.0).prod(1)

    def readings(self, certified: np.ndarray, temperature: float = 1.0) -> list[Reading]:
        """A Reading of each line; certified: bool [N]."""
        chances = self.chances(temperature)
        spoken = (chances * (self.classes != Charset.BLANK)).ravel()
        best = np.maximum.reduceat(spoken, self._starts).tolist() if len(self._starts) else []
        best, flat = tuple(best), tuple(self.symbols.tolist())
        ends = np.cumsum(self.counts)
        rows = ((ends - self.counts).tolist(), ends.tolist(), self.confidences(chances).tolist())
        return [
            Reading._make((flat[start:end], sure, best[start:end], proved))  # quicker than Reading(...)
            for start, end, sure, proved in zip(*rows, certified.tolist(), strict=True)
        ]


class Decoder(Protocol):
    """What a member of `train.decoders` offers."""

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """The best path of the reading of each line, and whether that reading is certified, bool [N].

        values: logits or log-probabilities, float32 [N,L,C]. A broken line, of NaN, has an empty reading.
        """
        ...


@runtime_checkable
class Several(Decoder, Protocol):
    """One that knows several readings of a line."""

    def best(self, values: np.ndarray, count: int) -> list[list[tuple[int, ...]]]:
        """Of each line the labels of its best readings, best first, at most so many; values: see Decoder."""
        ...


class Greedy:
    """The best class of every step; certifies nothing."""

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """See Decoder."""
        return greedy_path(values), np.zeros(len(values), bool)


def array_of(logits: Tensor) -> np.ndarray:
    """Values of any device and type as decoders take them."""
    return logits.detach().to("cpu", torch.float32).numpy()


def read(decoder: Decoder, logits: Tensor, temperature: float = 1.0) -> list[Reading]:
    """The readings of logits or log-probabilities [N,L,C]."""
    path, certified = decoder.paths(array_of(logits))
    return path.readings(certified, temperature)


def greedy(logits: Tensor, temperature: float = 1.0) -> list[Reading]:
    """The greedy readings of logits or log-probabilities [N,L,C]."""
    return read(Greedy(), logits, temperature)


def greedy_path(values: np.ndarray) -> Path:
    """The best class of every step of values [N,L,C]; of equal ones the lower, of a broken step the blank."""
    classes, chances = np.zeros(values.shape[:-1], np.int64), np.empty(values.shape[:-1], np.float32)
    for part in blocks(values):
        some = values[part]
        best = _peaks(some)
        # most steps are blank: the others alone are looked through
        spoken = np.flatnonzero(some[..., Charset.BLANK] < best)
        peaks = some.reshape(-1, some.shape[-1]).take(spoken, 0) == best.ravel()[spoken, None]
        classes[part].ravel()[spoken] = peaks.argmax(-1)  # of truths, which is quicker than of numbers
        chances[part] = _greatest(some, best)
    return Path(values, classes, chances)


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Log-probabilities float32 [N,L,C]; a line with a broken step, of NaN or of no probability, is blank."""
    out = torch.from_numpy(values).log_softmax(-1).numpy()
    broken = ~np.isfinite(_peaks(out)).all(1)
    out[broken] = -np.inf
    out[broken, :, Charset.BLANK] = 0.0
    return out


def _peaks(values: np.ndarray) -> np.ndarray:
    """The largest value of every step; torch's loop over the classes is three times as fast as NumPy's."""
    return values.max(-1) if values.size < FEW else torch.from_numpy(values).amax(-1).numpy()


def _taken(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, classes[..., None], -1)[..., 0]


def _chances(values: np.ndarray, taken: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The probability of a class of every step whose value is `taken` [N,L]; of a broken step, 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = values - taken[..., None]
        if temperature != 1.0:
            rows /= temperature
        found = 1 / (np.exp(rows, out=rows) @ np.ones(rows.shape[-1], rows.dtype))
    return np.fmax(found, 0, out=found)  # which is 0 where the other is no number


def _greatest(values: np.ndarray, best: np.ndarray) -> np.ndarray:
    """As `_chances` of the largest value of every step: values near 0 need no shift, which takes longer than
    their exponentials.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.exp(best) / (np.exp(values) @ np.ones(values.shape[-1], values.dtype))
    far = ~(np.abs(best) < FAR)
    found[far] = _chances(values[far], best[far])
    return found


def blocks(values: np.ndarray) -> Iterator[slice]:
    """A few lines at a time, which stay in a processor's cache."""
    size = max(1, BLOCK // max(1, values[:1].size))
    return (slice(start, start + size) for start in range(0, len(values), size))
