"""What stands behind readings: what every time step says, where characters stand, what else a word may be.

The L steps of a recogniser are taken to divide the width of its canvas evenly, which is right to within a
step; a model with stn reads a picture that it straightened first, and its spans are of that one.
Letters: N samples, L time steps, C classes (class 0 the blank).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from train import decoders, trellis
from train.charset import Charset
from train.decode import Decoder, Path, Reading, Several, array_of, greedy_path, log_softmax
from train.models import Output
from train.tasks import Alternative, Detail, Read

SILENT = "-"  # how a blank is shown; a hyphen that is read looks the same, but has a span

Labels = list[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: raw (see Detail), how many texts; and the columns of a canvas, and the temperature
    of probabilities.
    """

    raw: bool
    topk: int
    columns: int
    temperature: float = 1.0

    def of(self, decoder: Decoder, charset: Charset, output: Output) -> list[tuple[Reading, Detail]]:
        """Each line's reading and what stands behind it."""
        values = array_of(output.logits)
        path, certified = decoder.paths(values)
        found = [Detail()] * len(values)
        if self.raw:
            found = frames(values, path, charset, self.columns, output.own_steps.tolist())
        if self.topk:
            several = decoders.several(decoder, f"topk={self.topk}")
            texts = alternatives(several, values, path, charset, self.topk, self.temperature)
            found = [replace(one, alternatives=own) for one, own in zip(found, texts, strict=True)]
        return list(zip(path.readings(certified, self.temperature), found, strict=True))


def frames(
    values: np.ndarray, path: Path, charset: Charset, columns: int, own: Sequence[int]
) -> list[Detail]:
    """The best class of every step of values [N,L,C], and where on a canvas of so many columns the characters
    of the path stand; own: how many steps are each line's.
    """
    signs, width = SILENT + charset.characters, columns / values.shape[1]
    return [
        Detail(
            "".join(signs[c] for c in classes[:steps]),
            tuple((first * width, end * width) for first, end in runs),
        )
        for classes, steps, runs in zip(greedy_path(values).classes.tolist(), own, path.runs(), strict=True)
    ]


def alternatives(
    decoder: Several, values: np.ndarray, path: Path, charset: Charset, count: int, temperature: float
) -> list[tuple[Alternative, ...]]:
    """The best texts of each line: the one that the decoder reads, then others, the most probable first."""
    best = decoder.best(values, count)
    read = path.labels(np.arange(len(values)))
    rows = [list(dict.fromkeys([own, *more]))[:count] for own, more in zip(read, best, strict=True)]
    scores = _probabilities(values, rows, temperature)
    return [_texts(charset, *one) for one in zip(rows, scores, strict=True)]


def _texts(charset: Charset, labels: Labels, scores: Sequence[float]) -> tuple[Alternative, ...]:
    """Labellings as texts; those that read the same, since a character has several classes, are one."""
    found: dict[str, float] = {}
    for label, score in zip(labels, scores, strict=True):
        text = charset.decode(label)
        found[text] = found.get(text, 0.0) + score
    read, *others = (Alternative(*one) for one in found.items())
    return (read, *sorted(others, key=lambda one: -one.probability))


def _probabilities(values: np.ndarray, rows: list[Labels], temperature: float) -> list[list[float]]:
    """How probable each labelling of each line is, over all paths; of a broken line, 0."""
    log_probs, broken = log_softmax(values / np.float32(temperature)), np.isnan(values.sum((1, 2)))
    out: list[list[float]] = [[] for _ in rows]
    for rank in range(max(map(len, rows), default=0)):
        lines = [i for i, own in enumerate(rows) if len(own) > rank]
        logs = trellis.log_probability(log_probs[lines], [rows[i][rank] for i in lines])
        for i, chance in zip(lines, np.exp(np.minimum(logs, 0.0)).tolist(), strict=True):
            out[i].append(0.0 if broken[i] else chance)
    return out


def placed(read: Read, affine: np.ndarray, width: int) -> Read:
    """A word with its spans in a picture so many pixels wide; affine: [2,3], from there to the canvas."""
    if read.detail is None:
        return read
    edges = (np.array(read.detail.spans).reshape(-1, 2) - affine[0, 2]) / affine[0, 0]
    spans = tuple(map(tuple, np.clip(edges, 0, width).round(1).tolist()))
    return replace(read, detail=replace(read.detail, spans=spans))
