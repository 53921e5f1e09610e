"""The meter of detection, which every task shares that finds words in pictures.

Figures, as fractions: precision, recall and hmean at `threshold`; best_hmean and best_threshold, the best of
all thresholds on these very pictures (to publish, choose it on others); map50 and map50_95 of upright boxes,
absent where pycocotools is not installed (extra `detect`); oracle_hmean, what answering every truth
with its own upright box would score; the counts n (pictures), words (truths that count) and ignored.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from shards.sample import Record, Word
from train import boxap, scenes
from train.faults import Judged, judged
from train.hmean import Curve, Marks, figures, mark
from train.scenes import Scene, boxed, certainty

# uid, the truths, the detections that count, and a mark for each of both
Row = tuple[int, tuple[Word, ...], tuple[Word, ...], Judged]


class Meter:
    """Scenes by uid; what is computed from them depends on no order, batch or rank.

    threshold: the least score of a detection that counts, in the figures that have no other.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold, self.protocol = threshold, scenes.protocol(scenes.NATIVE)
        self._entries: dict[int, Scene] = {}
        self._marks: Marks | None = None

    def update(
        self, uids: Iterable[int], predictions: Iterable[Sequence[Word]], records: Iterable[Record]
    ) -> None:
        """Takes what `decode` answered; a uid seen again replaces itself."""
        rows = zip(uids, predictions, records, strict=True)
        self.absorb({int(uid): Scene.of(record.words, words) for uid, words, record in rows})

    def entries(self) -> dict[int, Scene]:
        """{uid: truths and detections}, to be sent to another process."""
        return dict(self._entries)

    def absorb(self, entries: dict[int, Scene]) -> None:
        """Adds the entries of another meter."""
        self._entries.update(entries)
        self._marks = None

    def score_by(self, protocol: str) -> None:
        """Judges by a protocol of `train.scenes` from now on; native: by the first of them."""
        self.protocol, self._marks = (
            scenes.protocol(scenes.NATIVE if protocol == "native" else protocol),
            None,
        )

    def scenes(self) -> list[Scene]:
        """All scenes by ascending uid."""
        return [scene for _, scene in sorted(self._entries.items(), key=lambda item: item[0])]

    def marks(self) -> Marks:
        """What the rule says of every detection, by ascending uid; overlaps are measured once."""
        if self._marks is None:
            self._marks = mark(self.scenes(), self.protocol)
        return self._marks

    def curve(self) -> Curve:
        """Precision, recall and H at every score as threshold."""
        return self.marks().curve()

    def sums(self, threshold: float | None = None) -> dict[int, np.ndarray]:
        """{uid: matches, truths and detections that count}: what `hmean.interval` and `compare` take."""
        sums = self.marks().sums(self.threshold if threshold is None else threshold)
        return dict(zip(sorted(self._entries), sums, strict=True))

    def detail(self) -> list[Row]:
        """What became of every word, by ascending uid, of the detections scored at least `threshold`."""
        rows = []
        for uid, scene in sorted(self._entries.items(), key=lambda item: item[0]):
            found = tuple(word for word in scene.found if certainty(word) >= self.threshold)
            rows.append((uid, scene.truths, found, judged(scene.truths, found, self.protocol.name)))
        return rows

    def compute(self) -> dict[str, float]:
        """The figures above."""
        marks, curve = self.marks(), self.curve()
        at, (threshold, best) = curve.at(self.threshold), curve.best()
        out = {"hmean": at.hmean, "precision": at.precision, "recall": at.recall}
        out |= {"best_hmean": best, "best_threshold": threshold}
        out |= boxap.average_precision(marks.pool) if boxap.installed() else {}
        oracle = mark(boxed(self.scenes(), marks.pool.counted), self.protocol)
        out["oracle_hmean"] = figures(oracle.sums(0.0)).hmean
        counted = marks.pool.counted
        counts = {"n": marks.pool.n, "words": counted.sum(), "ignored": (~counted).sum()}
        return out | {name: float(value) for name, value in counts.items()}
