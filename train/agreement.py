"""Whether an exported file answers as its checkpoint does, on real samples, each reading for itself.

Both get the encoded pictures and make canvases by their own image spec, so that a spec that travelled badly
shows. Recognisers must spell the same; detectors must find the same words, corners within half a pixel of
the canvas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shards.read import Shards
from train.reader import Answer, Reader

COLUMNS = ("samples", "same", "largest difference")
WORST = 5  # samples shown
NEAR = 0.5  # pixels
BATCH = 32


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many samples were compared and answered alike; gap: the largest difference of a confidence."""

    samples: int
    same: int
    gap: float
    worst: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all were."""
        return self.same == self.samples

    def cells(self) -> list[str]:
        """Of a table, under COLUMNS."""
        return [str(self.samples), str(self.same), f"{self.gap:.1e}"]

    def told(self) -> dict[str, Any]:
        """The same as JSON."""
        return {"samples": self.samples, "same": self.same, "largest_difference": self.gap}


def compare(checkpoint: str, path: Path, shards: Shards, samples: int) -> Agreement:
    """Over samples spread evenly through the shards."""
    one, other = Reader(checkpoint), Reader(path)
    places = np.unique(np.linspace(0, len(shards) - 1, min(samples, len(shards))).astype(int)).tolist()
    same, gap, wrong = 0, 0.0, []
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH]
        images = [shards.image(place) for place in some]
        for place, mine, its in zip(some, one.answers(images), other.answers(images), strict=True):
            alike, far = _alike(mine, its)
            same, gap = same + alike, max(gap, far)
            if not alike:
                wrong.append((far, f"{int(shards.uids[place]):016x}: {_said(mine)} became {_said(its)}"))
    wrong.sort(reverse=True)
    return Agreement(len(places), same, gap, tuple(line for _, line in wrong[:WORST]))


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
