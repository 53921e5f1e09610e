"""The reading of the largest probability that a prefix beam finds, alone or together with a character model.

`ngram` is a file of `train.ngram`; a reading y is then scored by log p(y) + alpha log p_ngram(y) + beta |y|
(shallow fusion, see `train.guided`). Without it, the search is that of fast-ctc-decode for peaked lines
where the extra `decode` is installed and otherwise our own (`train.beam`), which find the same: at a step
both follow the classes of a probability above `cut`, and always the best one. fast-ctc-decode alone
would follow none where all are below, and has no reading then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch.nn import functional

from shards.errors import BadSettings
from shards.typed import check_ranges
from train import kneserney
from train.beam import prefix_beam
from train.charset import Charset
from train.decode import Path, blocks, greedy_path, log_softmax
from train.guided import guided_beam

ALPHA, BETA = 0.5, 0.0
FIRST = 0xF0000  # class i is spelled as this code point + i for fast-ctc-decode; there is room for 131,068
MANY = 6  # classes followed at a step, on average: from here on our own search is the faster one
TRIED = 64  # classes of a step from which several readings are made with an ngram model
NOTHING = 1e-35  # it leaves out what is less probable; the cut was made before

Labels = list[tuple[int, ...]]
Search = Callable[[np.ndarray, int], Labels]  # of log-probabilities and a width: the best of each line
Several = Callable[[np.ndarray, int, int], list[Labels]]  # of these and a count: the best ones


@dataclass(frozen=True, slots=True)
class Settings:
    """How far the search looks, and what helps it."""

    width: int = 10  # prefixes that the search follows
    cut: float = 1e-3  # only classes of a step more probable than this are followed, 0 = all are
    ngram: str = ""  # a file of train.ngram; empty = none
    alpha: float = ALPHA  # weight of the log-probability by the ngram model
    beta: float = BETA  # added for every character, against the length that the ngram model costs

    def __post_init__(self) -> None:
        check_ranges(self, "decoder.", width=(1, 10_000), cut=(0, 1), alpha=(0, 1e3), beta=(-1e3, 1e3))
        if not self.ngram and (self.alpha, self.beta) != (ALPHA, BETA):
            raise BadSettings("decoder.alpha and decoder.beta weigh decoder.ngram=FILE, which is not given")


class Decoder:
    """See the seam; certifies nothing."""

    def __init__(self, settings: Settings, charset: Charset) -> None:
        self.settings = settings
        plain = _fast(charset) or own, own_several
        self.search, self.several = _guided(settings, charset) if settings.ngram else plain

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """See train.decode."""
        lines = np.arange(len(values))
        return greedy_path(values).reading(lines, self.labels(values)), np.zeros(len(values), bool)

    def best(self, values: np.ndarray, count: int) -> list[Labels]:
        """See the seam; every class is followed, since what is improbable is asked for too."""
        width = max(self.settings.width, count)
        parts = (self.several(log_softmax(values[part]), count, width) for part in blocks(values))
        return list(chain.from_iterable(parts))

    def labels(self, values: np.ndarray) -> Labels:
        """The symbols of the reading of each line; values: see train.decode."""
        width, least = self.settings.width, self.settings.cut
        parts = (self.search(cut(log_softmax(values[part]), least), width) for part in blocks(values))
        return list(chain.from_iterable(parts))


def cut(log_probs: np.ndarray, least: float) -> np.ndarray:
    """The same with the classes of a step that are more probable than `least`; the best one stays."""
    scores, bound = torch.from_numpy(log_probs), float(np.log(least)) if least else -np.inf
    followed, best = functional.threshold(scores, bound, -np.inf), scores.amax(-1, keepdim=True)
    low = (best <= bound).squeeze(-1)
    followed[low] = scores[low].masked_fill(scores[low] < best[low], -torch.inf)
    return followed.numpy()


def own(log_probs: np.ndarray, width: int) -> Labels:
    """Readings by `train.beam`."""
    return prefix_beam(log_probs, 1, width).best()


def own_several(log_probs: np.ndarray, count: int, width: int) -> list[Labels]:
    """The best readings by `train.beam`."""
    return prefix_beam(log_probs, count, width).labels()


def _fast(charset: Charset) -> Search | None:
    """The same by fast-ctc-decode; None where it is not installed."""
    try:
        from fast_ctc_decode.fast_ctc_decode import beam_search
    except ImportError:
        return None
    classes = {chr(FIRST + i): i for i in range(charset.size)}
    alphabet = "".join(classes)

    def search(log_probs: np.ndarray, width: int) -> Labels:
        if np.isfinite(log_probs).sum() > MANY * log_probs[..., 0].size:
            return own(log_probs, width)
        found = (beam_search(line, alphabet, width, NOTHING)[0] for line in np.exp(log_probs))
        return [tuple(map(classes.__getitem__, letters)) for letters in found]

    return search


def _guided(settings: Settings, charset: Charset) -> tuple[Search, Several]:
    """Readings with the ngram model of the settings: the best one, and several."""
    guide = kneserney.Fusion(kneserney.load(settings.ngram, charset), settings.alpha, settings.beta)

    def search(log_probs: np.ndarray, width: int) -> Labels:
        followed = np.isfinite(log_probs[..., 1:]).sum(-1).max(initial=1)
        return guided_beam(log_probs, guide, width, int(followed)).best()

    def several(log_probs: np.ndarray, count: int, width: int) -> list[Labels]:
        return guided_beam(log_probs, guide, width, TRIED).labels(count)

    return search, several
