"""The K best classes of each step, best first: 3 T K bytes per sample up to 256 classes, else 4 T K. The rest
of the mass is spread evenly over the other classes.
"""

import numpy as np
import torch
from torch import Tensor

from distill.codecs import Array, Kept
from distill.halves import half, next_below
from distill.lost import Lost, lost
from shards.errors import BadSettings

TRACE = 1e-7  # smallest probability of a class that was not kept
BELOW = 0.999  # such a class stays this far below the least of the kept ones, lest it ties with the best


class Codec:
    """See distill.codecs."""

    def __init__(self, frames: int, classes: int, kept: Kept) -> None:
        if not 1 <= kept.k <= classes:
            raise BadSettings(f"k: {kept.k}, the teacher has {classes} classes: 1 to {classes}")
        if classes > 1 << 16:
            raise BadSettings(f"codec=topk holds at most {1 << 16} classes, the teacher has {classes}")
        self.classes, self.k = classes, kept.k
        index = "|u1" if classes <= 256 else "<u2"
        self.arrays = (
            Array("values", "<f2", (frames, kept.k), float("nan")),
            Array("classes", index, (frames, kept.k), 0),
        )

    def encode(self, log_probs: Tensor) -> tuple[dict[str, np.ndarray], Lost]:
        """float32 [N,T,C] to {name: [N, ...]}, and what that loses."""
        values, classes = log_probs.topk(self.k, dim=-1)
        out = half(values.numpy())
        out[..., 1:] = np.minimum(out[..., 1:], next_below(out[..., :1]))
        arrays = {"values": out, "classes": classes.numpy().astype(self.arrays[1].dtype)}
        return arrays, lost(log_probs, self.decode(arrays))

    def remedy(self, lost: Lost, limit: float) -> str:
        """See distill.codecs."""
        return f"raise k (now {self.k}) or take codec=dense"

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,T,C]."""
        values = torch.from_numpy(arrays["values"].astype(np.float32))
        classes = torch.from_numpy(arrays["classes"].astype(np.int64))
        if self.k == self.classes:
            return torch.empty_like(values).scatter_(-1, classes, values).log_softmax(-1)
        left = (1 - values.exp().sum(-1, keepdim=True)).clamp(min=0) / (self.classes - self.k)
        rest = left.clamp(min=TRACE).minimum(BELOW * values[..., -1:].exp())
        rest = rest.clamp(min=torch.finfo(torch.float32).tiny).log()
        whole = rest.expand(*values.shape[:-1], self.classes).contiguous()
        return whole.scatter_(-1, classes, values).log_softmax(-1)
