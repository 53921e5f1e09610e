"""Codecs: a teacher's log-probabilities as arrays of fixed size per sample, and back.

dense: every class, fp16. topk: the K best classes of each step, fp16 and uint8 or uint16; the rest of the
mass is spread evenly over the other classes. Decoded steps sum to 1 and keep the teacher's best class:
rounding may tie two classes, so all but the best are kept below it.
Letters: N samples, L time steps, C classes, K kept classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shards.errors import BadSettings
from shards.lookup import unknown

LOWEST = np.float16(-65504.0)  # the most negative finite fp16: a class the teacher excludes
TRACE = 1e-7  # smallest probability of a class that topk did not keep
BELOW = 0.999  # such a class stays this far below the least of the kept ones, lest it ties with the best


@dataclass(frozen=True, slots=True)
class Array:
    """What stands on disk: name, little-endian dtype, shape of one sample, fill value of absent samples."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: float

    @property
    def bytes(self) -> int:
        """Bytes per sample."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class Dense:
    """All C classes of a step: 2 L C bytes per sample."""

    def __init__(self, frames: int, classes: int) -> None:
        self.arrays = (Array("log_probs", "<f2", (frames, classes), float("nan")),)

    def encode(self, log_probs: Tensor) -> dict[str, np.ndarray]:
        """float32 [N,L,C] to {name: [N, ...]}."""
        best = log_probs.argmax(-1, keepdim=True).numpy()
        rounded = _half(log_probs.numpy())
        top = np.take_along_axis(rounded, best, -1)
        out = np.minimum(rounded, _next_below(top))
        np.put_along_axis(out, best, top, -1)
        return {"log_probs": out}

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,L,C]."""
        return torch.from_numpy(arrays["log_probs"].astype(np.float32)).log_softmax(-1)


class TopK:
    """The K best classes of a step, best first: 3 L K bytes per sample up to 256 classes, else 4 L K."""

    def __init__(self, frames: int, classes: int, k: int) -> None:
        if not 1 <= k <= classes:
            raise BadSettings(f"k: {k}, the teacher has {classes} classes: 1 to {classes}")
        if classes > 1 << 16:
            raise BadSettings(f"codec=topk holds at most {1 << 16} classes, the teacher has {classes}")
        self.classes, self.k = classes, k
        index = "|u1" if classes <= 256 else "<u2"
        self.arrays = (
            Array("values", "<f2", (frames, k), float("nan")),
            Array("classes", index, (frames, k), 0),
        )

    def encode(self, log_probs: Tensor) -> dict[str, np.ndarray]:
        """float32 [N,L,C] to {name: [N, ...]}."""
        values, classes = log_probs.topk(self.k, dim=-1)
        out = _half(values.numpy())
        out[..., 1:] = np.minimum(out[..., 1:], _next_below(out[..., :1]))
        return {"values": out, "classes": classes.numpy().astype(self.arrays[1].dtype)}

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,L,C]."""
        values = torch.from_numpy(arrays["values"].astype(np.float32))
        classes = torch.from_numpy(arrays["classes"].astype(np.int64))
        if self.k == self.classes:
            return torch.empty_like(values).scatter_(-1, classes, values).log_softmax(-1)
        left = (1 - values.exp().sum(-1, keepdim=True)).clamp(min=0) / (self.classes - self.k)
        rest = left.clamp(min=TRACE).minimum(BELOW * values[..., -1:].exp())
        rest = rest.clamp(min=torch.finfo(torch.float32).tiny).log()
        whole = rest.expand(*values.shape[:-1], self.classes).contiguous()
        return whole.scatter_(-1, classes, values).log_softmax(-1)


Codec = Dense | TopK
CODECS = ("dense", "topk")


def codec(name: str, frames: int, classes: int, k: int) -> Codec:
    """A codec by name; k is read by topk alone."""
    if name not in CODECS:
        raise BadSettings(unknown("codec", name, list(CODECS)))
    return Dense(frames, classes) if name == "dense" else TopK(frames, classes, k)


def kl(log_probs: Tensor, decoded: Tensor) -> Tensor:
    """KL(teacher, decoded) in nats per step: the mean over the steps of each sample, float64 [N]."""
    p, q = log_probs.double(), decoded.double()
    return (p.exp() * (p - q)).sum(-1).mean(-1)


def _half(values: np.ndarray) -> np.ndarray:
    return np.clip(values, float(LOWEST), 0.0).astype(np.float16)


def _next_below(values: np.ndarray) -> np.ndarray:
    """The next smaller finite fp16."""
    return np.maximum(np.nextafter(values, np.float16(-np.inf)), LOWEST)
