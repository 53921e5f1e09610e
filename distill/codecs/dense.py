"""All C classes of a step in fp16: 2 T C bytes per sample. Rounding may tie two classes, so all but the best
are kept below it.
"""

import numpy as np
import torch
from torch import Tensor

from distill.codecs import Array, Kept
from distill.halves import half, next_below
from distill.lost import Lost, lost


class Codec:
    """See distill.codecs."""

    def __init__(self, frames: int, classes: int, kept: Kept) -> None:
        self.arrays = (Array("log_probs", "<f2", (frames, classes), float("nan")),)

    def encode(self, log_probs: Tensor) -> tuple[dict[str, np.ndarray], Lost]:
        """float32 [N,T,C] to {name: [N, ...]}, and what that loses."""
        best = log_probs.argmax(-1, keepdim=True).numpy()
        rounded = half(log_probs.numpy())
        top = np.take_along_axis(rounded, best, -1)
        out = np.minimum(rounded, next_below(top))
        np.put_along_axis(out, best, top, -1)
        arrays = {"log_probs": out}
        return arrays, lost(log_probs, self.decode(arrays))

    def remedy(self, lost: Lost, limit: float) -> str:
        """See distill.codecs."""
        return "there is no larger codec"

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,T,C]."""
        return torch.from_numpy(arrays["log_probs"].astype(np.float32)).log_softmax(-1)
