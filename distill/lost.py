"""What a codec loses: KL(teacher, record) over all steps and over those that speak, its spread, readings that
change.

Sums and counts, so that batches, chunks, shards and views add up to the same figures in any order.
Letters: N samples, T time steps, C classes.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.charset import Charset

LEAST, PER_DECADE, BINS = 1e-6, 20, 160  # the histogram: nats from LEAST on, equal steps of their logarithm


@dataclass(slots=True)
class Lost:
    """samples, steps, and `spoken` steps whose best class is not the blank; sums of nats over the latter two;
    histogram of the steps by nats; changed: samples that read otherwise.

    prices: sum of nats over all steps if every sample had 1, 2, ... pairs: what larger records would lose.
    """

    samples: int = 0
    steps: int = 0
    spoken: int = 0
    nats: float = 0.0
    nats_spoken: float = 0.0
    changed: int = 0
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    prices: list[float] = field(default_factory=list)

    def add(self, other: "Lost") -> None:
        """Counts what another one counted."""
        for name in ("samples", "steps", "spoken", "nats", "nats_spoken", "changed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.histogram = [a + b for a, b in zip(self.histogram, other.histogram, strict=True)]
        mine = self.prices or [0.0] * len(other.prices)
        self.prices = [a + b for a, b in zip(mine, other.prices or [0.0] * len(mine), strict=True)]

    @property
    def kl(self) -> float:
        """Nats per step."""
        return self.nats / max(self.steps, 1)

    @property
    def kl_spoken(self) -> float:
        """Nats per step whose best class is not the blank."""
        return self.nats_spoken / max(self.spoken, 1)

    @property
    def p99(self) -> float:
        """Nats that 99 of 100 steps stay below, to the upper edge of a bin (12 % of a value)."""
        total = np.cumsum(self.histogram)
        place = int(np.searchsorted(total, 0.99 * max(self.steps, 1)))
        return LEAST * 10 ** ((min(place, BINS - 1) + 1) / PER_DECADE)

    def would_do(self, pairs: int, limit: float) -> int | None:
        """The fewest pairs of a record that lose at most `limit` nats per step; None: none would. pairs: of
        the records that lost this; what they lost beyond their price, larger ones are taken to lose too.
        """
        beyond = max(self.nats - self.prices[pairs - 1], 0.0)
        fit = [more for more, nats in enumerate(self.prices, 1) if nats + beyond <= limit * self.steps]
        return fit[0] if fit else None

    def told(self) -> dict[str, Any]:
        """As a done mark holds it."""
        out = asdict(self)
        del out["prices"]
        return out

    def figures(self) -> dict[str, Any]:
        """What a person wants to know."""
        return {"kl": self.kl, "kl_spoken": self.kl_spoken, "p99": self.p99, "changed": self.changed}


def add(total: dict[str, Lost], more: dict[str, Lost]) -> None:
    """Adds what was lost of each kind of answer to `total`."""
    for kind, lost in more.items():
        total.setdefault(kind, Lost()).add(lost)


def figures(found: dict[str, Lost]) -> dict[str, Any]:
    """What a person wants to know: of steps or cells, and of other kinds under their names."""
    first = "cells" if "cells" in found else "frames"
    out = found.get(first, Lost()).figures()
    return out | {kind: lost.figures() for kind, lost in found.items() if kind != first}


def lost(log_probs: Tensor, decoded: Tensor, blank: int = Charset.BLANK) -> Lost:
    """What `decoded` [N,T,C] loses of `log_probs` [N,T,C]; excluded classes (-inf) lose nothing."""
    p = log_probs.exp()
    nats = (p * (log_probs - decoded)).masked_fill_(p == 0, 0.0).sum(-1).double()
    nats = nats.clamp_(min=0)  # below it is rounding
    best, told = log_probs.numpy().argmax(-1), decoded.numpy().argmax(-1)
    spoken = best != blank
    bins = (
        np.log10(
            np.nan_to_num(nats.numpy(), nan=np.inf).clip(LEAST, LEAST * 10 ** (BINS / PER_DECADE)) / LEAST
        )
        * PER_DECADE
    )
    histogram = np.bincount(bins.astype(np.int64).clip(0, BINS - 1).ravel(), minlength=BINS)
    moved = (best != told).any(-1)
    pairs = zip(best[moved].tolist(), told[moved].tolist(), strict=True)
    changed = sum(_collapsed(a, blank) != _collapsed(b, blank) for a, b in pairs)
    return Lost(
        samples=len(nats), steps=nats.numel(), spoken=int(spoken.sum()), nats=float(nats.sum()),
        nats_spoken=float(nats[torch.from_numpy(spoken)].sum()), changed=changed,
        histogram=histogram.tolist(),
    )  # fmt: skip


def _collapsed(path: list[int], blank: int) -> list[int]:
    kept = [c for at, c in enumerate(path) if at == 0 or path[at - 1] != c]
    return [c for c in kept if c != blank]
