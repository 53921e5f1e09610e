"""What a recogniser gets wrong: its most confident mistakes with pictures, characters confused, length.

Rows are a meter's: (uid, truth, prediction, score). Files and pages take these as plain lists.
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

from shards.engines.plain import Engine
from shards.page import spelled
from shards.read import Shards
from train import protocols
from train.groups import grouped

EXAMPLES = 50
SHOWN = 24  # characters of a heat map, those most often wrong
NOTHING = ""  # what stands for a character that was left out, or that is not in the truth
SIGN = "∅"  # what stands for NOTHING where it has to be seen
Row = tuple[int, str | None, str, float]


def of(meter: Any, damage: Mapping[int, str], task: Any, shards: Shards) -> dict[str, Any]:
    """All of it, from a meter: examples (see `worst`), confusions, lengths (see `by_length`), by_source
    (see `train.groups`); damaged samples count as missed and are no examples.
    """
    truths, texts = meter.pairs()
    rows = [row for row in meter.detail() if row[1] is not None]
    right = {row[0]: t == p and row[0] not in damage for row, t, p in zip(rows, truths, texts, strict=True)}
    truths = [protocols.spelled(truth) for truth in truths]
    scored = {row[0]: truth for row, truth in zip(rows, truths, strict=True)}
    seen = [row for row in rows if row[0] not in damage]
    return {
        "examples": [
            {**one, "scored": scored[int(one["uid"], 16)]} for one in worst(seen, right, task, shards)
        ],
        "confusions": confusions(truths, texts),
        "lengths": by_length(truths, list(right.values())),
        "by_source": grouped("source", right, scored, shards),
    }


def worst(
    rows: Sequence[Row], correct: Mapping[int, bool], task: Any, shards: Shards
) -> list[dict[str, Any]]:
    """The EXAMPLES most confident mistakes: uid, truth, prediction, score, png (the canvas, base64)."""
    wrong = sorted((row for row in rows if not correct[row[0]]), key=lambda row: -row[3])[:EXAMPLES]
    met = np.flatnonzero(np.isin(shards.uids, np.array([row[0] for row in wrong], np.uint64)))
    places = {int(shards.uids[place]): int(place) for place in met}
    pixels = Engine(shards, task.image).read([places[row[0]] for row in wrong]).pixels
    return [
        {"uid": f"{uid:016x}", "truth": truth, "prediction": text, "score": score, "png": png(canvas)}
        for (uid, truth, text, score), canvas in zip(wrong, pixels, strict=True)
    ]


def confusions(truths: Sequence[str], predictions: Sequence[str]) -> list[tuple[str, str, int]]:
    """(true character, read character, how often), most often first; equal ones and NOTHING included.

    Characters are aligned by the fewest edits (Levenshtein).
    """
    counts: Counter[tuple[str, str]] = Counter()
    for truth, text in zip(truths, predictions, strict=True):
        for piece in Levenshtein.opcodes(truth, text):
            mine = truth[piece.src_start : piece.src_end]
            theirs = text[piece.dest_start : piece.dest_end]
            counts.update(zip_longest(mine, theirs, fillvalue=NOTHING))
    return [(*pair, count) for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def by_length(truths: Sequence[str], right: Sequence[bool]) -> list[tuple[int, int, int]]:
    """(length of the truth in characters, words, words read right), ascending."""
    words, hits = Counter(map(len, truths)), Counter()
    for truth, hit in zip(truths, right, strict=True):
        hits[len(truth)] += hit
    return [(length, count, hits[length]) for length, count in sorted(words.items())]


def differences(truth: str, text: str) -> tuple[set[int], set[int]]:
    """Places of the truth's characters that were not read, and of those read that are not the truth's."""
    mine, theirs = set(), set()
    for piece in Levenshtein.opcodes(truth, text):
        if piece.tag != "equal":
            mine |= set(range(piece.src_start, piece.src_end))
            theirs |= set(range(piece.dest_start, piece.dest_end))
    return mine, theirs


def grid(found: Sequence[tuple[str, str, int]]) -> tuple[list[str], np.ndarray]:
    """The SHOWN characters most often wrong, and [truth, read] shares of each true character's occurrences
    that were read as another; 0 where right.
    """
    wrong: Counter[str] = Counter()
    for truth, text, count in found:
        if truth != text:
            wrong.update({truth: count, text: count})
    names = sorted(name for name, _ in wrong.most_common(SHOWN)) or [NOTHING]
    place = {name: i for i, name in enumerate(names)}
    counts, totals = np.zeros((len(names), len(names))), Counter()
    for truth, text, count in found:
        totals[truth] += count
        if truth in place and text in place and truth != text:
            counts[place[truth], place[text]] = count
    return names, counts / np.array([[max(totals[name], 1)] for name in names])


def heat_map(found: Sequence[tuple[str, str, int]]) -> bytes:
    """A PNG of the grid of confusions; rows are the truth."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names, shares = grid(found)
    figure, axes = pyplot.subplots(figsize=(6, 5.4), dpi=100)
    drawn = axes.imshow(shares, cmap="magma_r", vmin=0, vmax=max(shares.max(), 1e-3))
    labels = [spelled(name) or SIGN for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), labels, fontsize=8, parse_math=False)
    axes.set_xlabel(f"read ({SIGN}: left out)")
    axes.set_ylabel(f"truth ({SIGN}: nothing there)")
    figure.colorbar(drawn, label="share of the true character", shrink=0.8)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    pyplot.close(figure)
    return file.getvalue()


def png(canvas: np.ndarray) -> str:
    """A canvas uint8 [C,H,W] as a PNG, base64."""
    file = io.BytesIO()
    Image.fromarray(canvas[0] if len(canvas) == 1 else canvas.transpose(1, 2, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def canvas(picture: str) -> np.ndarray:
    """What `png` was given: a PNG, base64, as uint8 [C,H,W]."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
