"""What a recogniser reads right: a meter of readings, its figures, and the comparison of two.

A score of a task offers `figures` (name -> {"value", "low", "high"} or a number), `right` (uid -> whether it
counts as right), `rows` (of suspected labels), `against(other, seed)`, `unlike(other)` (how many truths are
not the same to both) and `by(way, shards)`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shards.errors import BadData
from shards.read import Shards
from shards.sample import Record
from train import metrics, protocols
from train.charset import Charset
from train.groups import Counts, grouped
from train.metrics import Comparison
from train.protocols import Protocol
from train.tasks import Read

# prediction, its score, the truth (None: not a labelled word, shown but not scored), whether it is certified
Entry = tuple[str, float, str | None, bool]


def truth(record: Record) -> str | None:
    """The raw label of a word sample; None if the record has not exactly one legible, transcribed word."""
    if len(record.words) != 1 or not record.words[0].legible:
        return None
    return record.words[0].text


class Meter:
    """Readings by uid; what is computed from them depends on no order, batch or rank."""

    def __init__(self, charset: Charset) -> None:
        self.charset, self.protocol = charset, Protocol("native", charset)
        self._entries: dict[int, Entry] = {}

    def update(
        self, uids: Iterable[int], predictions: Iterable[Sequence[Read]], records: Iterable[Record]
    ) -> None:
        """Takes what `decode` answered; a uid seen again replaces itself."""
        for uid, words, record in zip(uids, predictions, records, strict=True):
            word = words[0] if words else Read("")
            entry = (word.text or "", float(word.score or 0.0), truth(record), word.certified)
            self._entries[int(uid)] = entry

    def entries(self) -> dict[int, Entry]:
        """{uid: (prediction, score, truth, certified)}, to be sent to another process."""
        return dict(self._entries)

    def absorb(self, entries: dict[int, Entry]) -> None:
        """Adds the entries of another meter."""
        self._entries.update(entries)

    def detail(self) -> list[tuple[int, str | None, str, float]]:
        """Rows (uid, raw truth, prediction, score) by ascending uid."""
        return [(uid, t, text, score) for uid, (text, score, t, _) in sorted(self._entries.items())]

    def certified(self) -> int:
        """How many readings of labelled words the decoder proved to be the best (`train.decode.Reading`)."""
        return sum(proved for _, _, t, proved in self._entries.values() if t is not None)

    def pairs(self) -> tuple[list[str], list[str]]:
        """Truths and predictions of all labelled words by ascending uid, as the protocol compares them."""
        rows = [(t, text) for _, t, text, _ in self.detail() if t is not None]
        return [self.protocol.truth(t) for t, _ in rows], [self.protocol.reading(text) for _, text in rows]

    def score_by(self, protocol: str) -> None:
        """Compares by a protocol of train.protocols from now on."""
        protocols.check(protocol)
        self.protocol = Protocol(protocol, self.charset)

    def compute(self) -> dict[str, float]:
        """Metrics as fractions over `n` labelled words; `unencodable` ones count, never as right."""
        truths, texts = self.pairs()
        out = {name: score(truths, texts) for name, score in metrics.METRICS.items()}
        out["n"] = float(len(truths))
        out["unlabelled"] = float(len(self._entries) - len(truths))
        out["unencodable"] = float(sum(bool(self.charset.unspellable(t)) for t in truths))
        return out


class Score:
    """Of a meter; damaged words count as missed."""

    def __init__(self, meter: Meter, damage: Mapping[int, str], seed: int) -> None:
        truths, texts = meter.pairs()
        if not truths:
            raise BadData("no labelled word to score")
        rows = [row for row in meter.detail() if row[1] is not None]
        pairs = zip(rows, truths, texts, strict=True)
        self.right = {row[0]: truth == text and row[0] not in damage for row, truth, text in pairs}
        self.rows = [row for row in rows if not meter.charset.unspellable(row[1] or "")]
        self._scored = {row[0]: protocols.spelled(truth) for row, truth in zip(rows, truths, strict=True)}
        counts, sure = meter.compute(), [row[3] for row in rows]
        self.figures: dict[str, Any] = {
            **metrics.scores(truths, texts, sure, seed),
            **{name: int(counts[name]) for name in ("unlabelled", "unencodable")},
            "certified": meter.certified(),
            "ece": metrics.ece(np.array(list(self.right.values())), np.array(sure)),
        }

    def against(self, other: "Score", seed: int) -> Comparison:
        """Whether more words are read right than by another, on the same words."""
        uids = sorted(self.right)
        mine, theirs = ([one.right[uid] for uid in uids] for one in (self, other))
        return metrics.paired_bootstrap(mine, theirs, seed)

    def unlike(self, other: "Score") -> int:
        """How many truths another compares otherwise: folded otherwise, or by another protocol."""
        return sum(truth != other._scored[uid] for uid, truth in self._scored.items())

    def by(self, way: str, shards: Shards) -> Counts:
        """Words and those read right, group by group."""
        return grouped(way, self.right, self._scored, shards)
