"""Kinds of answers that a cache can hold: classes of steps, terms of cells, best readings, occupancies.

A kind knows its arrays, takes its part out of a Lesson and gives it back. The first array of a kind tells
whether a sample is there.
Letters: N samples, T time steps, C classes, B hypotheses, S their longest.
"""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from distill.codecs import Array
from distill.halves import half
from distill.lesson import Hypotheses, Lesson
from distill.lost import Lost

NAMES = ("frames", "nbest", "occupancy", "cells")


class Kind(Protocol):
    """What a cache keeps of an answer. optional: samples that have none are no fault."""

    name: str
    optional: bool
    arrays: tuple[Array, ...]

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """{array: [N, ...]} of the samples that are valid, and what a codec lost of them."""
        ...

    def decode(self, arrays: dict[str, np.ndarray]) -> Any:
        """What stood in the Lesson."""
        ...


class Frames:
    """The classes of every step, by a codec."""

    name, optional = "frames", False

    def __init__(self, codec: Any) -> None:
        self.codec, self.arrays = codec, codec.arrays

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """See Kind."""
        return self.codec.encode(lesson.log_probs.cpu()[valid])

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """Log-probabilities float32 [N,T,C]."""
        return self.codec.decode(arrays)


class Cells:
    """The terms of cells, by a codec."""

    name, optional = "cells", False

    def __init__(self, codec: Any) -> None:
        self.codec, self.arrays = codec, codec.arrays

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """See Kind."""
        assert lesson.cells is not None
        return self.codec.encode(lesson.cells.cpu()[valid])

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """Terms float32 [N,L,C]."""
        return self.codec.decode(arrays)


class Occupancy:
    """The teacher's alignment of the label, by the same codec; labels that it cannot align have none."""

    name, optional = "occupancy", True

    def __init__(self, codec: Any) -> None:
        self.codec = codec
        self.arrays = tuple(_called(f"occupancy.{a.name}", a) for a in codec.arrays)

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """See Kind."""
        assert lesson.occupancy is not None
        found = lesson.occupancy.cpu()[valid]
        there = found.flatten(1).sum(1) > 0
        encoded, lost = self.codec.encode(found[there].clamp(min=1e-30).log().log_softmax(-1))
        out = {}
        for array in self.codec.arrays:
            whole = np.full((len(found), *array.shape), array.fill, array.dtype)
            whole[there.numpy()] = encoded[array.name]
            out[f"occupancy.{array.name}"] = whole
        return out, lost

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """Probabilities float32 [N,T,C]; zeros where a label has no alignment."""
        own = {a.name: arrays[f"occupancy.{a.name}"] for a in self.codec.arrays}
        first = self.codec.arrays[0]
        absent = torch.from_numpy(first.absent(own[first.name]))  # what they decode to is not looked at
        return torch.where(absent[:, None, None], 0.0, self.codec.decode(own).exp())


class NBest:
    """The best readings with the logarithm of their probabilities."""

    name, optional = "nbest", False

    def __init__(self, count: int, frames: int, classes: int) -> None:
        index = "|u1" if classes <= 256 else "<u2"
        self.arrays = (
            Array("nbest.log_probs", "<f2", (count,), float("nan")),
            Array("nbest.lengths", "<i2", (count,), -1),
            Array("nbest.symbols", index, (count, frames), 0),
        )

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """See Kind."""
        assert lesson.nbest is not None
        found = lesson.nbest.to("cpu")
        symbols = np.zeros((int(valid.sum()), *self.arrays[2].shape), self.arrays[2].dtype)
        symbols[..., : found.symbols.shape[-1]] = found.symbols[valid].numpy()
        return {
            "nbest.log_probs": half(found.log_probs[valid].numpy()),
            "nbest.lengths": found.lengths[valid].numpy().astype("<i2"),
            "nbest.symbols": symbols,
        }, None

    def decode(self, arrays: dict[str, np.ndarray]) -> Hypotheses:
        """The readings; one that there is not has the log-probability -inf, as the search says it."""
        lengths = torch.from_numpy(arrays["nbest.lengths"].astype(np.int64))
        log_probs = torch.from_numpy(arrays["nbest.log_probs"].astype(np.float32))
        symbols = torch.from_numpy(arrays["nbest.symbols"].astype(np.int64))
        return Hypotheses(symbols, lengths, log_probs.masked_fill(lengths < 0, -torch.inf))


class Trust:
    """Whether an answer teaches; those of a teacher brought onto the students' side may not."""

    name, optional = "trust", False
    arrays = (Array("trust", "|u1", (1,), 0),)

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], Lost | None]:
        """See Kind."""
        assert lesson.trust is not None
        return {"trust": 1 + lesson.trust.cpu()[valid].numpy().astype(np.uint8)[:, None]}, None

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """bool [N]."""
        return torch.from_numpy(arrays["trust"][:, 0] == 2)


def _called(name: str, array: Array) -> Array:
    return Array(name, array.dtype, array.shape, array.fill)
