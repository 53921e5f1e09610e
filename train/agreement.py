"""Whether an exported file answers as its checkpoint does, on real samples, each reading for itself.

Both get the encoded pictures and make canvases by their own image spec, so that a spec that travelled badly
shows. Recognisers must spell the same; detectors must find the same words, corners within half a pixel of
the canvas. Files of int8 may answer otherwise, but lose little of the task's main figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shards.errors import BadData
from shards.read import Shards
from shards.sample import Record
from train.headings import Heading
from train.reader import Answer, Reader

COLUMNS = ("samples", "same", "largest difference", "points lost")
WORST = 5  # samples shown
NEAR = 0.5  # pixels
BATCH = 32


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many samples were compared and answered alike; gap: the largest difference of a confidence; lost:
    points of the task's main figure, where that was asked for.
    """

    samples: int
    same: int
    gap: float
    worst: tuple[str, ...]
    lost: float | None = None
    words: int = 1  # that the checkpoint found or read in all of them, texts that are empty not counted

    @property
    def equal(self) -> bool:
        """Whether all were."""
        return self.same == self.samples

    def holds(self, most: float | None) -> bool:
        """Whether a file may be kept that may lose that many points; None: that may not answer otherwise."""
        return self.equal if most is None else self.lost is not None and self.lost <= most

    def cells(self) -> list[str]:
        """Of a table, under COLUMNS."""
        lost = "" if self.lost is None else f"{self.lost:.2f}"
        return [str(self.samples), str(self.same), f"{self.gap:.1e}", lost]

    def told(self) -> dict[str, Any]:
        """The same as JSON."""
        told = {"samples": self.samples, "same": self.same, "largest_difference": self.gap}
        return told if self.lost is None else {**told, "points_lost": self.lost}


def chosen(shards: Shards, samples: int) -> list[int]:
    """Positions spread evenly through the shards."""
    return np.unique(np.linspace(0, len(shards) - 1, min(samples, len(shards))).astype(int)).tolist()


def compare(checkpoint: str, path: Path, shards: Shards, samples: int, scored: bool = False) -> Agreement:
    """Over samples spread evenly through the shards; scored: also what the file loses of the main figure."""
    one, other = Reader(checkpoint), Reader(path)
    meters = [reader.loaded.task.meter() for reader in (one, other)]
    places = chosen(shards, samples)
    same, gap, wrong, words = 0, 0.0, [], 0
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH]
        images = [shards.image(place) for place in some]
        answers = [reader.answers(images) for reader in (one, other)]
        for place, mine, its in zip(some, *answers, strict=True):
            alike, far = _alike(mine, its)
            same, gap, words = same + alike, max(gap, far), words + _words(mine)
            if not alike:
                wrong.append((far, f"{int(shards.uids[place]):016x}: {_said(mine)} became {_said(its)}"))
        if scored:
            _score(meters, answers, [shards.record(place) for place in some], shards.uids[some].tolist())
    wrong.sort(reverse=True)
    lost = _lost(meters, one.loaded.task.headings[0], shards) if scored else None
    return Agreement(len(places), same, gap, tuple(line for _, line in wrong[:WORST]), lost, words)


def _score(
    meters: Sequence[Any], answers: Sequence[Sequence[Answer]], records: list[Record], uids: list[int]
) -> None:
    for meter, some in zip(meters, answers, strict=True):
        meter.update(uids, [() if isinstance(one, Exception) else one for one in some], records)


def _lost(meters: Sequence[Any], heading: Heading, shards: Shards) -> float:
    """Points of a figure that the second meter has less than the first."""
    mine, its = (meter.compute() for meter in meters)
    if not mine["n"] or np.isnan(mine[heading.name]):
        where = ", ".join(map(str, shards.folders))
        raise BadData(f"{where}: no labels, so nothing tells what int8 loses; give data.root= with labels")
    return heading.times * (mine[heading.name] - its[heading.name])


def _words(answer: Answer) -> int:
    return 0 if isinstance(answer, Exception) else sum(word.text != "" for word in answer)


def _alike(mine: Answer, its: Answer) -> tuple[bool, float]:
    """Whether two answers are the same, and the largest difference of their scores."""
    if isinstance(mine, Exception) or isinstance(its, Exception):
        return isinstance(mine, Exception) and isinstance(its, Exception), 0.0
    if len(mine) != len(its):
        return False, 1.0
    far = max((abs((a.score or 0.0) - (b.score or 0.0)) for a, b in zip(mine, its, strict=True)), default=0.0)
    return all(a.text == b.text and _near(a.polygon, b.polygon) for a, b in zip(mine, its, strict=True)), far


def _near(mine: Sequence[Any] | None, its: Sequence[Any] | None) -> bool:
    if mine is None or its is None:
        return mine is its
    return len(mine) == len(its) and bool((np.abs(np.array(mine) - np.array(its)) <= NEAR).all())


def _said(answer: Answer) -> str:
    if isinstance(answer, Exception):
        return str(answer)
    texts = [word.text for word in answer if word.text is not None]
    return repr(" ".join(texts)) if texts or not answer else f"{len(answer)} words"
