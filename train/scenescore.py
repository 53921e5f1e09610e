"""What a detector finds: the figures of an evaluation, picture by picture and within groups, and pictures of
its faults. A score as `train.wordscore` describes it; a picture is right where every word is found, and
nothing else.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from shards.engines.plain import Engine
from shards.errors import BadData, BadSettings
from shards.placing import placed, whole
from shards.read import Shards
from shards.sample import Record, Word
from train import hmean
from train.detection import Meter, Row
from train.drawing import drawn
from train.groups import Counts, grouped
from train.hmean import Curve
from train.metrics import Comparison

EXAMPLES = 30  # pictures, those with the most faults
POINTS = 100  # of a curve
WIDEST, QUALITY = 640, 75  # pixels of such a picture, and of the JPEG: a report holds many
OF_TEXT = ("length", "repeats")  # groups that only words have


class Score:
    """Of a meter; in damaged pictures nothing was found."""

    def __init__(self, meter: Meter, damage: Mapping[int, str], seed: int) -> None:
        self.sums, found = meter.sums(), meter.compute()
        if not found["words"]:
            raise BadData("no word to be found")
        self.right = {uid: bool((sums == sums[0]).all()) for uid, sums in self.sums.items()}
        self.rows: list[Any] = []
        counts = ("n", "words", "ignored")
        self.figures: dict[str, Any] = {
            **{name: {"value": value} for name, value in found.items() if name not in counts},
            "hmean": hmean.interval(np.stack(list(self.sums.values())), seed),
            **{name: int(found[name]) for name in counts},
            "protocol": meter.protocol.name,
            "curve": _thinned(meter.curve()),
        }

    def against(self, other: "Score", seed: int) -> Comparison:
        """Whether H is higher than another's, on the same pictures."""
        return hmean.compare(self.sums, other.sums, seed)

    def unlike(self, other: "Score") -> int:
        """Places are the same to all."""
        return 0

    def by(self, way: str, shards: Shards) -> Counts:
        """Group -> n truths and detections, and how many of them found each other: H is their share."""
        if way in OF_TEXT:
            raise BadSettings(f"by={way}: pictures have no {way}, words do")
        return _by(way, self.sums, shards)


def _thinned(curve: Curve) -> dict[str, list[float]]:
    """At most POINTS of its thresholds, evenly spaced, with the figures at each."""
    places = (
        np.unique(np.linspace(0, len(curve.thresholds) - 1, POINTS).astype(int))
        if len(curve.thresholds)
        else []
    )
    return {name: getattr(curve, name)[places].round(4).tolist() if len(places) else []
            for name in ("thresholds", "precision", "recall", "hmean")}  # fmt: skip


def mistakes(meter: Meter, damage: Mapping[int, str], task: Any, shards: Shards) -> dict[str, Any]:
    """As `train.mistakes` tells it: pictures with the most faults, and H by data set."""
    rows = [row for row in meter.detail() if row[0] not in damage]
    worst = sorted(rows, key=lambda row: (-_faults(row), row[0]))[:EXAMPLES]
    return {
        "examples": _examples(worst, task, shards), "confusions": [], "lengths": [],
        "by_source": _by("source", meter.sums(), shards),
    }  # fmt: skip


def _by(way: str, sums: Mapping[int, np.ndarray], shards: Shards) -> Counts:
    found = grouped(way, {uid: int(2 * one[0]) for uid, one in sums.items()}, {}, shards,
                    {uid: int(one[1] + one[2]) for uid, one in sums.items()})  # fmt: skip
    return {name: one for name, one in found.items() if one["n"]}


def _faults(row: Row) -> int:
    marks = (*row[3].truths, *row[3].found)
    return sum(mark in ("missed", "split", "merged", "false") for mark in marks)


def _examples(rows: list[Row], task: Any, shards: Shards) -> list[dict[str, Any]]:
    places = [shards.position(row[0]) for row in rows]
    canvases = Engine(shards, task.image).read(np.array(places, np.int64))
    shrunk = min(1.0, WIDEST / max(task.image.height, task.image.width))
    size = round(shrunk * task.image.height), round(shrunk * task.image.width)
    maps = np.diag([shrunk, shrunk, 1.0]) @ whole(canvases.affines)
    out = []
    for row, pixels, place in zip(rows, canvases.pixels, maps, strict=True):
        uid, truths, found, marks = row
        unread = [replace(word, text=None) for word in truths]  # the picture shows their texts
        words = [(word, mark) for word, mark in zip(unread, marks.truths, strict=True) if mark != "found"]
        words += list(zip(found, marks.found, strict=True))
        there = [(_seen(word, place, size), mark) for word, mark in words]
        shown = [(word, mark) for word, mark in there if word is not None]
        picture = _picture(pixels, task.image.channels).resize(size[::-1], Image.Resampling.LANCZOS)
        counts = {mark: (*marks.truths, *marks.found).count(mark) for mark in ("found", "false", "ignored")}
        known = len(marks.truths) - marks.truths.count("ignored")
        out.append({
            "uid": f"{uid:016x}", "truth": f"{known} words",
            "prediction": f"{counts['found']} found, {counts['false']} false",
            "score": counts["found"] / max(1, known),
            "jpeg": _jpeg(drawn(picture, [word for word, _ in shown], [mark for _, mark in shown])),
        })  # fmt: skip
    return out


def _seen(word: Word, place: np.ndarray, size: tuple[int, int]) -> Word | None:
    """A word on the canvas."""
    words = placed(Record((word,), (1, 1), ""), place, size).words
    return words[0] if words else None


def _picture(pixels: np.ndarray, channels: str) -> Image.Image:
    if channels == "grey":
        return Image.fromarray(pixels[0])
    colours = pixels if channels == "rgb" else pixels[::-1]
    return Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))


def _jpeg(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode()
