"""Greedy where that is proved to be the best reading, a prefix beam where it is not.

The probabilities of all readings of a line sum to 1, so one above 1/2 is larger than every other. That of the
greedy path alone is a lower bound for its reading; where it does not decide, the sum over all paths of the
reading is taken (`train.trellis`), and only where that does not decide either is searched.
"""

from dataclasses import dataclass

import numpy as np

from shards.typed import check_ranges
from train import trellis
from train.beam import prefix_beam
from train.charset import Charset
from train.decode import MARGIN, Path, greedy_path, log_softmax


@dataclass(frozen=True, slots=True)
class Settings:
    """The search where greedy proves nothing."""

    width: int = 10  # prefixes that the search follows where greedy is not proved best

    def __post_init__(self) -> None:
        check_ranges(self, "decoder.", width=(1, 10_000))


class Decoder:
    """See the seam."""

    def __init__(self, settings: Settings, charset: Charset) -> None:
        """Reads alike with all charsets."""
        self.settings = settings

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """See train.decode."""
        path = greedy_path(values)
        sound = np.isfinite(values).all((1, 2))  # what is broken proves nothing
        certified = path.chances().prod(1) > 0.5 + MARGIN
        open_ = np.flatnonzero(~certified)
        if not len(open_):
            return path, certified & sound
        log_probs = log_softmax(values[open_])
        certified[open_] = trellis.log_probability(log_probs, path.labels(open_)) > np.log(0.5 + MARGIN)
        hard = ~certified[open_]
        open_, log_probs = open_[hard], log_probs[hard]
        found = prefix_beam(log_probs, 1, self.settings.width)
        certified[open_] = found.log_probs[:, 0] > np.log(0.5 + MARGIN)
        return path.reading(open_, found.best(), log_probs), certified & sound
