"""Words on canvases: from the pixels of a source to what a model sees of them, and back.

Polygons of records name pixel centres of the source; on a canvas they are points of the plane, in which pixel
i reaches from i to i + 1. Words without a polygon, those of crops, stand nowhere and are left as they are.
Letters: N samples, P points.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from shards import geometry, keyed
from shards.geometry import Box
from shards.sample import Record, Word

W = TypeVar("W", bound=Word)
SEEN = 0.4  # of a word's upright box: what shows less of it is nothing to learn from, nor a fault to find


def whole(affines: np.ndarray) -> np.ndarray:
    """Affines [N,2,3] as maps [N,3,3] of (x, y, 1)."""
    last = np.tile(np.array([[[0.0, 0.0, 1.0]]]), (len(affines), 1, 1))
    return np.concatenate([affines, last], 1)


def stands(record: Record) -> bool:
    """Whether any word of a record has a place in the picture."""
    return any(word.polygon is not None for word in record.words)


def placed(record: Record, place: np.ndarray, size: tuple[int, int]) -> Record:
    """The record as it stands on a canvas of a size (height, width). place: [3,3], source to canvas.

    What lies outside is left out; a word of which less than SEEN is inside is no longer legible.
    """
    if not stands(record):
        return record
    words = [_word(word, place, (0, 0, size[1], size[0])) for word in record.words]
    return replace(record, words=tuple(word for word in words if word is not None))


def returned(words: Sequence[W], affine: np.ndarray) -> tuple[W, ...]:
    """Words that a model found on a canvas, as they stand in the source. affine: [2,3], source to canvas."""
    if all(word.polygon is None for word in words):
        return tuple(words)
    back = np.linalg.inv(whole(affine[None])[0])
    return tuple(
        word if word.polygon is None else replace(word, polygon=_points(np.array(word.polygon), back, -0.5))
        for word in words
    )


def focus(records: Sequence[Record], uids: np.ndarray, view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The centre of one legible word of each record, drawn by (uid, view), from -1 to 1 across the canvas;
    float64 [N,2], the middle where there is none. records: placed on canvases of the size (height, width).
    """
    out = np.zeros((len(records), 2))
    draws = keyed.uniform(np.asarray(uids), np.asarray(view), keyed.word("focus"))
    for i, record in enumerate(records):
        known = [word.polygon for word in record.words if word.legible and word.polygon is not None]
        if known:
            chosen = np.array(known[int(draws[i] * len(known))])
            out[i] = 2 * chosen.mean(0) / (size[1], size[0]) - 1
    return np.clip(out, -1, 1)


def within(record: Record, place: np.ndarray, box: Box) -> list[Word]:
    """What words of a record show inside a box (left, top, right, bottom) of a canvas, cut at its sides;
    polygons name pixel centres of the canvas. place: [3,3], source to canvas. See `placed`.
    """
    out = []
    for word in record.words:
        moved = _word(word, place, box)
        if moved is not None and moved.polygon is not None:
            polygon = geometry.cut(moved.polygon, box)
            if len(polygon) > 2:
                out.append(replace(moved, polygon=tuple((x - 0.5, y - 0.5) for x, y in polygon)))
    return out


def _word(word: Word, place: np.ndarray, box: Box) -> Word | None:
    if word.polygon is None:
        return word
    points = _points(np.array(word.polygon) + 0.5, place, 0.0)
    low, high = np.min(points, 0), np.max(points, 0)
    inside = np.minimum(high, box[2:]) - np.maximum(low, box[:2])
    if (inside <= 0).any():
        return None
    share = inside.prod() / max((high - low).prod(), 1e-9)
    return replace(word, polygon=points, legible=word.legible and bool(share >= SEEN))


def _points(points: np.ndarray, place: np.ndarray, offset: float) -> tuple[tuple[float, float], ...]:
    """Points [P,2] through a map [3,3], moved by an offset."""
    x, y, depth = place @ np.concatenate([points, np.ones((len(points), 1))], 1).T
    return tuple(zip((x / depth + offset).tolist(), (y / depth + offset).tolist(), strict=True))
