"""Seam: one file per codec. A member offers `Codec(frames, classes, kept)`: a teacher's log-probabilities as
arrays of a fixed size per sample, and back.

- `arrays`: what stands on disk, as a tuple of `Array`;
- `encode(log_probs float32 [N,T,C])` -> ({name: [N, ...]}, what that loses, as `Lost`);
- `decode({name: [N, ...]})` -> log-probabilities float32 [N,T,C]: rows sum to 1 and keep the teacher's best
  class.
- `remedy(lost, limit)` -> what to do where more than `limit` nats per step are lost.
A member reads of `Kept` what is its own.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Kept:
    """Which codec, and its numbers: k classes a step (topk); bytes of a record and the prior of the classes
    that it does not name, hex (sequence). 0 and empty where they mean nothing.
    """

    name: str
    k: int = 0
    bytes: int = 0
    prior: str = ""


@dataclass(frozen=True, slots=True)
class Array:
    """What stands on disk: name, little-endian dtype, shape of one sample, fill value of absent samples.

    No sample that is present begins with the fill value, so an absent one can be told.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: float

    @property
    def bytes(self) -> int:
        """Bytes per sample."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def absent(self, values: np.ndarray) -> np.ndarray:
        """Which of the samples [N, ...] are not there: bool [N]."""
        first = values.reshape(len(values), -1)[:, 0]
        return np.isnan(first) if np.isnan(self.fill) else first == self.fill
