"""What a student is taught with: a batch and what the teacher answered to the very canvases of it.

Letters: N samples, T the teacher's time steps, C classes, B hypotheses of a sample, S their longest.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from shards.loader import Batch
from train.models import Output


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The best readings of each sample, best first: symbols int64 [N,B,S] (class indices, 0 after the end),
    lengths int64 [N,B] (-1: there is no such hypothesis), log_probs float32 [N,B]: of the whole string.
    """

    symbols: Tensor
    lengths: Tensor
    log_probs: Tensor

    def to(self, device: torch.device | str) -> "Hypotheses":
        """The same on another device."""
        return Hypotheses(*(t.to(device) for t in (self.symbols, self.lengths, self.log_probs)))


@dataclass(frozen=True, slots=True)
class Lesson:
    """A batch and the teacher's answer; nothing of it carries a gradient. What nobody asked for is None.

    log_probs float32 [N,T,C] at temperature 1 (empty without a teacher, and of one that reads no strings);
    cells float32 [N,L,C]: the terms of every cell of its grids, as it gave them (see its task);
    features by name, float32 [N,...];
    occupancy float32 [N,T,C]: probability of each class at each step given the label; trust bool [N]: whether
    the answer to a sample teaches (None: all do); peers float [N,L,C]: logits of the students that learn
    beside this one, of no teacher.
    """

    batch: Batch
    log_probs: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    nbest: Hypotheses | None = None
    occupancy: Tensor | None = None
    trust: Tensor | None = None
    cells: Tensor | None = None
    peers: tuple[Tensor, ...] = ()

    @property
    def answers(self) -> Tensor:
        """What the teacher answers first of all: its cells, or the classes of its steps."""
        return self.log_probs if self.cells is None else self.cells

    def beside(self, output: Output) -> "Lesson":
        """The lesson for a student's answer: of cells beyond a sample's part of the canvas, it says what the
        student does.
        """
        if self.cells is None or output.there is None:
            return self
        own = output.logits.detach().float()
        return replace(self, cells=torch.where(output.there[..., None], self.cells, own))
