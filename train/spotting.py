"""End to end: a word counts as read where it was found and its text is right.

Words are found by the rule of `train.hmean`, whatever was read in them; a pair then counts if both texts are
the same, composed (NFC) and whatever the case. No lexicon; no word is too short and no symbol is dropped on
either side. A legible truth without a transcription is a region in which nothing counts.
"""

import hashlib
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shards import config
from shards.errors import BadSettings
from shards.read import Shards
from train import exported, hmean, modelfolder
from train.detection import Meter
from train.headings import READ
from train.hmean import Figures, mark
from train.latency import latency
from train.reader import Reader, together
from train.scenes import Scene, certainty, protocol
from train.verdicts import short


def reader(finder: Reader, model: str, device: str) -> Reader:
    """A recogniser for what a detector finds; a BadSettings where either is the other."""
    made = Reader(model, device)
    if not finder.loaded.task.finds or made.loaded.task.finds:
        raise BadSettings(f"recogniser={model}: the checkpoint must find words, and the recogniser read them")
    return made


def identity(model: str) -> dict[str, str]:
    """A recogniser as an evaluation tells of it: the name, and a sha256 of its weights, of a file's bytes."""
    path = Path(model)
    if path.is_dir():
        return {"name": short(model), "weights": modelfolder.weights_digest(path)}
    parts = [path.with_suffix(suffix).read_bytes() for suffix in exported.format_of(path).SUFFIXES]
    return {"name": short(model), "weights": hashlib.sha256(b"".join(parts)).hexdigest()}


def called(recogniser: dict[str, str]) -> str:
    """Its part of the name of a set: no other weights have it."""
    return f"{recogniser['name'].replace('/', '-')}-{recogniser['weights'][:6]}"


def read(meter: Meter, recogniser: Reader, shards: Shards) -> Meter:
    """The same with texts, where a detection counts."""
    out = Meter(meter.threshold)
    out.score_by(meter.protocol.name)
    for uid, scene in sorted(meter.entries().items()):
        known = [word for word in scene.found if certainty(word) >= meter.threshold]
        texts = recogniser.inside(shards.image(shards.position(uid)), known) if known else ()
        told = known if isinstance(texts, Exception) else [replace(w, score=w.found) for w in texts]
        out.absorb({uid: Scene(scene.truths, (*told, *scene.found[len(known) :]))})
    return out


def figures(
    meter: Meter, finder: Reader, recogniser: Reader, shards: Shards, damage: Container[int], timed: bool
) -> dict[str, Any]:
    """{"end_to_end": ..., its precision and recall} of what was found and read, `ms_to_find_and_read` where
    that shall be timed, and the headings of all figures there are.
    """
    both = end_to_end(meter.scenes(), meter.threshold, meter.protocol.name)
    values = [both.hmean, both.precision, both.recall]
    if timed:
        values.append(latency(lambda image: together(finder, recogniser, [image]), shards, damage))
    found = {heading.name: {"value": value} for heading, value in zip(READ, values, strict=False)}
    headings = [*finder.loaded.task.headings, *READ[: len(values)]]
    return {**found, "headings": [config.plain(heading) for heading in headings]}


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
