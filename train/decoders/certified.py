"""Greedy where that is proved to be the best reading, a prefix beam where it is not.

The probabilities of all readings of a line sum to 1, so one above 1/2 is larger than every other. That of the
greedy path alone is a lower bound for its reading; where it does not decide, the sum over all paths of the
reading is taken (`train.trellis`), and only where that does not decide either is searched. What the search
finds is proved by its sum in the same way.
"""

from dataclasses import dataclass

import numpy as np

from shards.typed import check_ranges
from train import trellis
from train.charset import Charset
from train.decode import MARGIN, Path, greedy_path, log_softmax
from train.decoders import beam

HALF = 0.5 + MARGIN


@dataclass(frozen=True, slots=True)
class Settings:
    """The search where greedy proves nothing, see `train.decoders.beam`."""

    width: int = 10  # prefixes that the search follows
    cut: float = 1e-3  # classes of a step more probable than this alone are followed, 0 = all are

    def __post_init__(self) -> None:
        check_ranges(self, "decoder.", width=(1, 10_000), cut=(0, 1))


class Decoder:
    """See the seam."""

    def __init__(self, settings: Settings, charset: Charset) -> None:
        self.beam = beam.Decoder(beam.Settings(settings.width, settings.cut), charset)

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """See train.decode."""
        path = greedy_path(values)
        certified = path.chances().prod(1) > HALF
        open_ = np.flatnonzero(~certified)
        certified[open_] = proved(path, values, open_)
        open_ = open_[~certified[open_]]
        if not len(open_):
            return path, certified
        searched = path.reading(open_, self.beam.labels(values[open_]))
        if searched is not path:  # other readings, not proved yet
            certified[open_] = proved(searched, values, open_)
        return searched, certified

    def best(self, values: np.ndarray, count: int) -> list[beam.Labels]:
        """See the seam: those that the search finds."""
        return self.beam.best(values, count)


def proved(path: Path, values: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Whether all paths of what is read in some lines make more than 1/2; what is broken proves nothing."""
    totals = trellis.log_probability(log_softmax(values[lines]), path.labels(lines))
    return path.chances()[lines].all(1) & (totals > np.log(HALF))
