"""The K cells of a sample in which words are likeliest, with all their terms, in fp16; the others share one
logit, and their other terms are 0: (2 C + 4) K + 2 bytes per sample. Cells beyond a sample's part of the
canvas, empty for certain, count for nothing: who reads knows them (`Lesson.beside`).

Letters: N samples, L cells, C terms (the first is the logit that a word is there), K cells kept.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from distill.codecs import Array, Kept
from distill.lost import Lost, lost
from shards.errors import BadSettings
from train.blocks.edges import NOTHING

HALF = float(np.finfo(np.float16).max)


class Codec:
    """See distill.codecs."""

    def __init__(self, frames: int, classes: int, kept: Kept) -> None:
        if not 1 <= kept.k <= frames:
            raise BadSettings(f"cells: {kept.k}, the teacher has {frames}: 1 to {frames}")
        self.frames, self.classes, self.k = frames, classes, kept.k
        self.arrays = (
            Array("rest", "<f2", (1,), float("nan")),
            Array("terms", "<f2", (kept.k, classes), 0),
            Array("places", "<u4", (kept.k,), 0),
        )

    def encode(self, answers: Tensor) -> tuple[dict[str, np.ndarray], Lost]:
        """float32 [N,L,C] to {name: [N, ...]}, and what that loses of whether a word is there."""
        order = torch.argsort(answers[..., 0], dim=-1, descending=True, stable=True)
        places, others = order[:, : self.k].sort(-1).values, order[:, self.k :]
        beyond = answers[..., 0] <= NOTHING
        shares = answers[..., 0].sigmoid().masked_fill(beyond, torch.nan).gather(1, others).nanmean(-1, True)
        rest = torch.logit(shares.nan_to_num(0.5), 1e-6)
        terms = answers.gather(1, places[..., None].expand(-1, -1, self.classes)).clamp(-HALF, HALF)
        arrays = {
            "rest": rest.numpy().astype(np.float16),
            "terms": terms.numpy().astype(np.float16),
            "places": places.numpy().astype(np.uint32),
        }
        back = torch.where(beyond[..., None], answers, self.decode(arrays))
        return arrays, lost(_either(answers), _either(back))

    def remedy(self, found: Sequence[Lost], limit: float) -> str:
        """See distill.codecs."""
        return f"raise cells (now {self.k}) or take codec=dense"

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse, float32 [N,L,C]."""
        terms = torch.from_numpy(arrays["terms"].astype(np.float32))
        places = torch.from_numpy(arrays["places"].astype(np.int64))
        out = terms.new_zeros(len(terms), self.frames, self.classes)
        out[..., 0] = torch.from_numpy(arrays["rest"].astype(np.float32))
        return out.scatter_(1, places[..., None].expand(-1, -1, self.classes), terms)


def _either(answers: Tensor) -> Tensor:
    """Log-probabilities [N,L,2] that no word is there, and that one is."""
    z = answers[..., 0]
    return torch.stack([functional.logsigmoid(-z), functional.logsigmoid(z)], -1)
