"""The word of a list that has the largest CTC probability.

A beam walks the trie of the words. What is guaranteed: a reading is a word of the list wherever one fits
into the steps (a line in which none does is read as empty); it is certified, the most probable of all
words, where its probability in the beam, which is never too large, is above that of every other word there
together with all that the search dropped (see `train.guided`); elsewhere it is the most probable of those
the beam found. Where the beam holds no whole word at its end, every word of the list is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shards.errors import BadSettings
from shards.typed import check_ranges
from train import trellis
from train.charset import Charset
from train.decode import MARGIN, Path, greedy_path, log_softmax
from train.guided import guided_beam
from train.wordlist import read, spelled

TRIED = 64  # classes of a step; what the others could add is counted as dropped
AT_ONCE = 1 << 13  # words scored together

Words = list[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Which words there are, and how far the search looks."""

    words: str = ""  # a file of words, between blanks and line ends; normalised as the charset says
    width: int = 30  # prefixes that the search follows

    def __post_init__(self) -> None:
        check_ranges(self, "decoder.", width=(1, 10_000))
        if not self.words:
            raise BadSettings("decoder.words= is required: a file of words, one in a line")


class Trie:
    """A guide (`train.guided`) that allows the words and nothing else; node 0 is the root."""

    start = 0

    def __init__(self, words: Sequence[tuple[int, ...]], classes: int) -> None:
        edges, ends = {}, []
        for word in words:
            node = 0
            for symbol in word:
                node = edges.setdefault(node * classes + symbol, len(edges) + 1)
            ends.append(node)
        keys, children = (np.array(list(part), np.int64) for part in (edges, edges.values()))
        order = np.argsort(keys)
        self._classes, self._keys, self._children = classes, keys[order], children[order]
        self._end = np.full(len(edges) + 1, -np.inf)
        self._end[ends] = 0.0

    def follow(self, states: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See train.guided.Guide."""
        wanted = states * self._classes + symbols
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        there = self._keys[place] == wanted
        return np.where(there, self._children[place], 0), np.where(there, 0.0, -np.inf)

    def end(self, states: np.ndarray) -> np.ndarray:
        """See train.guided.Guide."""
        return self._end[states]


class Decoder:
    """See the seam."""

    def __init__(self, settings: Settings, charset: Charset) -> None:
        self.width = settings.width
        self.words = spelled(read(settings.words), charset, settings.words)
        self._known = set(self.words)
        self._trie = Trie(self.words, charset.size)

    def paths(self, values: np.ndarray) -> tuple[Path, np.ndarray]:
        """See train.decode."""
        path = greedy_path(values)
        labels = path.labels(np.arange(len(values)))
        # a reading above 1/2 is the best of all, the words among them; its best path bounds it from below
        certified = path.chances().prod(1) > 0.5 + MARGIN
        certified &= np.array([label in self._known for label in labels], bool)
        open_ = np.flatnonzero(~certified)
        if not len(open_):
            return path, certified
        found, certified[open_] = self._search(log_softmax(values[open_]))
        return path.reading(open_, found), certified

    def best(self, values: np.ndarray, count: int) -> list[Words]:
        """See the seam: words of the list."""
        return guided_beam(log_softmax(values), self._trie, max(self.width, count), TRIED).labels(count)

    def _search(self, log_probs: np.ndarray) -> tuple[Words, np.ndarray]:
        """The word of each line, () where none fits, and whether it is certified."""
        found = guided_beam(log_probs, self._trie, self.width, TRIED)
        masses = np.where(np.isfinite(found.scores), found.masses, 0.0)
        rivals = masses[:, 1:].max(1, initial=0.0) + found.lost
        certified = masses[:, 0] > rivals * (1 + 1e-9)
        words = found.best()
        for line in np.flatnonzero(~np.isfinite(found.scores[:, 0])):
            words[line], certified[line] = self._best_of_all(log_probs[line])
        return words, certified

    def _best_of_all(self, log_probs: np.ndarray) -> tuple[tuple[int, ...], bool]:
        """The best of all words for log_probs [T,C], one by one; () and False where none fits."""
        scores = []
        for at in range(0, len(self.words), AT_ONCE):
            some = self.words[at : at + AT_ONCE]
            scores.append(
                trellis.log_probability(np.broadcast_to(log_probs, (len(some), *log_probs.shape)), some)
            )
        scores = np.concatenate(scores)
        best = int(scores.argmax())
        return (self.words[best], True) if np.isfinite(scores[best]) else ((), False)
