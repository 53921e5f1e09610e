"""End to end: a word counts as read where it was found and its text is right.

Words are found by the rule of `train.hmean`, whatever was read in them; a pair then counts if both texts are
the same, composed (NFC) and whatever the case. No lexicon; no word is too short and no symbol is dropped on
either side. A legible truth without a transcription is a region in which nothing counts.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shards.errors import BadSettings
from shards.read import Shards
from train import hmean
from train.detection import Meter
from train.hmean import Figures, mark
from train.reader import Reader
from train.scenes import Scene, certainty, protocol


def figures(meter: Meter, recogniser: str, shards: Shards, device: str) -> dict[str, dict[str, float]]:
    """{"end_to_end": ..., and its precision and recall}: what a detector found, read by a recogniser."""
    reader = Reader(recogniser, device)
    if reader.loaded.task.finds:
        raise BadSettings(f"recogniser={recogniser}: must read words, this finds them")
    scenes = []
    for uid, scene in sorted(meter.entries().items()):
        found = [word for word in scene.found if certainty(word) >= meter.threshold]
        image = shards.image(shards.position(uid)) if found else b""
        read = reader.inside(image, found) if found else ()
        words = () if isinstance(read, Exception) else read
        scenes.append(Scene.of(scene.truths, [replace(w, score=w.found) for w in words]))
    both = end_to_end(scenes, by=meter.protocol.name)
    return {
        "end_to_end": {"value": both.hmean}, "end_to_end_precision": {"value": both.precision},
        "end_to_end_recall": {"value": both.recall},
    }  # fmt: skip


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
    return hmean.figures(replace(marks, match=np.where(same, marks.match, -1)).sums(threshold))


def _folded(text: str | None) -> str:
    return unicodedata.normalize("NFC", text or "").casefold()
