"""A fixed record per sample for answers with a blank: what each step's best classes are worth is shared out
over the steps of a sample, most where a pair of bytes saves most nats.

A record: T bytes, the blank's share of each step; T/2 bytes, how many other classes each step keeps (0 to
15, four bits each); then the kept classes of all steps in order, best first: class (one byte, two above 256
classes), share. A share is of what the step has left, as log-odds in 1/10: so rows always sum to 1 and both
ends are exact. What is left at last is spread over the other classes by one prior, measured before recording.
Records begin with a byte that is not 0, so an absent one is told from any other.
Letters: N samples, T time steps, C classes, K kept classes of a step besides the blank, M pairs of a record.
"""

import numpy as np
import torch
from torch import Tensor

from distill.codecs import Array, Kept
from distill.lost import Lost, lost
from shards.errors import BadSettings, GateFailed

BLANK = 0
MOST = 15  # classes that four bits can count
ODDS = 0.1  # nats of log-odds per unit of a share
MIDDLE = 128  # the unit that means even odds; units are 1 to 255
PRIOR = 16  # units of the prior's byte per nat below its likeliest class
FLOOR = -60.0  # log of a share that float32 cannot tell from nothing
ROUNDS = 260  # of correcting a share by one unit: more than there are units


def prior(log_probs: Tensor) -> str:
    """The prior that fits answers [N,T,C]: how likely a class is that is none of a step's three best, hex."""
    p = log_probs[..., 1:].double().exp()
    best = p.topk(min(3, p.shape[-1] - 1), -1).indices
    left = p.scatter(-1, best, 0.0).mean((0, 1)) + 1e-9
    return bytes((-(left / left.max()).log() * PRIOR).round().clamp(0, 255).byte().tolist()).hex()


class Codec:
    """See distill.codecs. kept.bytes: of a record; kept.prior: hex of `prior`, empty = all classes alike."""

    def __init__(self, frames: int, classes: int, kept: Kept) -> None:
        if not 2 <= classes <= 1 << 16:
            raise BadSettings(f"codec=sequence holds 2 to {1 << 16} classes, the teacher has {classes}")
        self.frames, self.classes, self.bytes = frames, classes, kept.bytes
        self.head = frames + (frames + 1) // 2
        self.wide = 1 if classes <= 256 else 2
        self.pairs = min((kept.bytes - self.head) // (1 + self.wide), frames * min(MOST, classes - 1))
        if self.pairs < 1:
            raise BadSettings(f"bytes: {kept.bytes}, a record of {frames} steps has at least {self.size(1)}")
        self.arrays = (Array("records", "|u1", (kept.bytes,), 0),)
        units = np.frombuffer(bytes.fromhex(kept.prior), np.uint8) if kept.prior else np.zeros(classes - 1)
        # of classes 1 to C-1
        self.prior = torch.from_numpy(-units.astype(np.float32) / PRIOR).log_softmax(-1)

    def size(self, pairs: int) -> int:
        """Bytes of a record with so many pairs."""
        return self.head + pairs * (1 + self.wide)

    def encode(self, log_probs: Tensor) -> tuple[dict[str, np.ndarray], Lost]:
        """float32 [N,T,C] to {name: [N, bytes]}, and what that loses."""
        log_probs = log_probs.float().log_softmax(-1)
        best = log_probs.argmax(-1)
        order = log_probs[..., 1:].topk(min(MOST, self.classes - 1), -1)
        units = self._shares(log_probs[..., BLANK], log_probs[..., 1:], order.values)
        gains, start = self._gains(log_probs, order.indices, units)
        counts = self._allot(gains, best != BLANK)
        units = self._settle(units, order.indices, counts, best)
        record = self._pack(units, order.indices.numpy() + 1, counts)
        found = lost(log_probs, self.decode({"records": record}))
        found.prices = self._prices(gains, start)
        return {"records": record}, found

    def remedy(self, lost: Lost, limit: float) -> str:
        """See distill.codecs."""
        pairs = lost.would_do(limit)
        return f"bytes={self.size(pairs)} would do (now {self.bytes})" if pairs else "take codec=dense"

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,T,C]."""
        units, classes, kept = self._unpack(arrays["records"])
        return self._rows(units, classes, kept)

    def _rows(self, units: Tensor, classes: Tensor, kept: Tensor) -> Tensor:
        """Log-probabilities [N,T,C] of shares [N,T,1+K], classes from 1 and which pairs are kept [N,T,K]."""
        odds = (units - MIDDLE).float() * ODDS
        take, leave = torch.nn.functional.logsigmoid(odds), torch.nn.functional.logsigmoid(-odds)
        leave[..., 1:].masked_fill_(~kept, 0.0)
        left = leave.cumsum(-1)
        taken = take[..., 1:] + left[..., :-1]
        prior = self.prior.exp()
        spent = torch.where(kept, prior[(classes - 1).clamp(min=0)], 0.0).sum(-1)
        free = (1 - spent).clamp(min=1e-9).log()
        out = (left[..., -1] - free)[..., None] + self.prior
        # column 0 takes what is not kept
        everything = torch.cat([out.new_zeros(*out.shape[:-1], 1), out], -1)
        everything.scatter_(-1, torch.where(kept, classes, 0), torch.where(kept, taken, 0.0))
        everything[..., BLANK] = take[..., 0]
        return everything.log_softmax(-1)

    def _shares(self, blank: Tensor, others: Tensor, values: Tensor) -> Tensor:
        """Shares as units [N,T,1+K]: the blank's of the whole, each next class' of what is then left."""
        others, values = others.double(), values.double()
        whole = others.logsumexp(-1, keepdim=True).exp()  # 1 - p(blank) would lose its digits near 1
        rest = torch.cat([whole, whole - values.exp().cumsum(-1)], -1).clamp(min=1e-30)
        odds = torch.cat([blank[..., None].double(), values], -1) - rest.log()
        return (odds / ODDS).round().add(MIDDLE).clamp(1, 255).long()

    def _gains(self, log_probs: Tensor, order: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Nats that each next pair of a step saves [N,T,K], never growing, and what no pair loses [N,T]."""
        k = order.shape[-1]
        odds = (units - MIDDLE).double() * ODDS
        take, leave = torch.nn.functional.logsigmoid(odds), torch.nn.functional.logsigmoid(-odds)
        left = leave.cumsum(-1)  # after the blank, after one class, ...
        told = torch.cat([take[..., :1], take[..., 1:] + left[..., :-1]], -1)
        p = log_probs.double().exp()
        whole = (p * log_probs.double().clamp(min=FLOOR * 10)).sum(-1, keepdim=True)
        mine = torch.cat([p[..., :1], p[..., 1:].gather(-1, order)], -1)
        prior = self.prior.double()
        exact = (mine * told).cumsum(-1)
        rest_p = (p.sum(-1, keepdim=True) - mine.cumsum(-1)).clamp(min=0)
        priced = (p[..., 1:] * prior).sum(-1, keepdim=True)
        hers = torch.cat([torch.zeros_like(priced), (mine[..., 1:] * prior[order]).cumsum(-1)], -1)
        free = 1 - torch.cat([torch.zeros_like(priced), prior.exp()[order].cumsum(-1)], -1)
        spread = rest_p * (left - free.clamp(min=1e-9).log()) + priced - hers
        loss = whole - exact - spread  # [N,T,1+K]
        gains = (loss[..., :-1] - loss[..., 1:]).clamp(min=0)
        for at in range(1, k):  # a pair that only pays with the next one shares the next one's gain
            low = gains[..., at] > gains[..., at - 1]
            both = (gains[..., at] + gains[..., at - 1]) / 2
            gains[..., at - 1] = torch.where(low, both, gains[..., at - 1])
            gains[..., at] = torch.where(low, both, gains[..., at])
        return gains.cummin(-1).values.float(), loss[..., 0].float()

    def _allot(self, gains: Tensor, spoken: Tensor) -> np.ndarray:
        """How many classes each step keeps [N,T]: the best one wherever it is not the blank, then by gain."""
        wanted = gains.clone()
        wanted[..., 0] += torch.where(spoken, 1e6, 0.0)
        need = spoken.sum(-1)
        if int(need.max()) > self.pairs:
            raise GateFailed(
                f"bytes={self.bytes}: a sample has {int(need.max())} steps whose best class is not the "
                f"blank, the record holds {self.pairs}; bytes={self.size(int(need.max()))} holds them"
            )
        flat = wanted.flatten(1)
        best = flat.topk(min(self.pairs, flat.shape[1]), -1)
        chosen = torch.zeros_like(flat, dtype=torch.bool).scatter_(-1, best.indices, best.values > 0)
        # gains never grow along a step, so what was chosen there is a prefix, but for ties
        return chosen.view_as(gains).sum(-1).numpy()

    def _settle(self, units: Tensor, order: Tensor, counts: np.ndarray, best: Tensor) -> Tensor:
        """Shares corrected by single units until every step's best class is the teacher's."""
        kept = torch.arange(order.shape[-1]) < torch.from_numpy(counts)[..., None]
        for _ in range(ROUNDS):
            told = self._rows(units, order + 1, kept).argmax(-1)
            wrong = told != best
            if not wrong.any():
                return units
            blank = best == BLANK
            units[..., 0] += torch.where(wrong & blank, 1, 0) - torch.where(wrong & ~blank, 1, 0)
            units[..., 1] += torch.where(wrong & ~blank, 1, 0)
            units.clamp_(1, 255)
        raise GateFailed("codec=sequence: cannot keep the teacher's best class of a step; take codec=dense")

    def _prices(self, gains: Tensor, start: Tensor) -> list[float]:
        """Nats over all steps and samples if records had 1, 2, ... pairs; see `Lost`."""
        saved = gains.double().flatten(1).sort(-1, descending=True).values.cumsum(-1)
        return (start.double().sum() - saved.sum(0)).tolist()

    def _unpack(self, records: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Shares [N,T,1+K], classes from 1 [N,T,K] and which pairs are kept [N,T,K]."""
        halves = records[:, self.frames : self.head]
        counts = np.stack([halves & 15, halves >> 4], -1).reshape(len(records), -1)[:, : self.frames]
        width = max(int(counts.max(initial=0)), 1)
        kept = np.arange(width) < counts[..., None].astype(np.int64)
        sample, step, rank = np.nonzero(kept)
        totals = counts.sum(1, dtype=np.int64)
        rank_in_record = np.arange(len(sample)) - np.repeat(totals.cumsum() - totals, totals)
        at = self.head + rank_in_record * (1 + self.wide)
        units = np.full((*kept.shape[:2], 1 + width), 1, np.int64)
        classes = np.zeros(kept.shape, np.int64)
        units[..., 0] = records[:, : self.frames]
        classes[sample, step, rank] = records[sample, at]
        if self.wide == 2:
            classes[sample, step, rank] += records[sample, at + 1].astype(np.int64) << 8
        units[sample, step, 1 + rank] = records[sample, at + self.wide]
        return torch.from_numpy(units), torch.from_numpy(classes), torch.from_numpy(kept)

    def _pack(self, units: Tensor, classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Records uint8 [N, bytes]."""
        shares = units.numpy().astype(np.uint8)
        out = np.zeros((len(shares), self.bytes), np.uint8)
        out[:, : self.frames] = shares[..., 0]
        even = np.pad(counts, ((0, 0), (0, counts.shape[1] % 2))).astype(np.uint8)
        out[:, self.frames : self.head] = even[:, 0::2] | even[:, 1::2] << 4
        kept = np.arange(classes.shape[-1]) < counts[..., None]
        sample, step, rank = np.nonzero(kept)
        first = np.concatenate([[0], np.cumsum(kept.sum((1, 2)))[:-1]])
        at = self.head + (np.arange(len(sample)) - first[sample]) * (1 + self.wide)
        value = classes[sample, step, rank]
        out[sample, at] = value & 255
        if self.wide == 2:
            out[sample, at + 1] = value >> 8
        out[sample, at + self.wide] = shares[sample, step, 1 + rank]
        return out
