"""End to end: a word counts as read where it was found and its text is right.

Words are found by the rule of `train.hmean`, whatever was read in them; a pair then counts if both texts are
the same, composed (NFC) and whatever the case. No lexicon; no word is too short and no symbol is dropped on
either side. A legible truth without a transcription is a region in which nothing counts.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from train.hmean import Figures, figures, mark
from train.scenes import Scene, protocol


def end_to_end(scenes: Sequence[Scene], threshold: float = 0.0, by: str = "icdar2015") -> Figures:
    """Over all scenes, of the detections scored at least so; by: a protocol of `train.scenes`."""
    known = [
        Scene(tuple(replace(w, legible=w.legible and w.text is not None) for w in scene.truths), scene.found)
        for scene in scenes
    ]
    marks = mark(known, protocol(by))
    truths, found = (
        [_folded(word.text) for scene in known for word in getattr(scene, side)]
        for side in ("truths", "found")
    )
    same = np.array([i >= 0 and truths[i] == text for i, text in zip(marks.match, found, strict=True)], bool)
    return figures(replace(marks, match=np.where(same, marks.match, -1)).sums(threshold))


def _folded(text: str | None) -> str:
    return unicodedata.normalize("NFC", text or "").casefold()
