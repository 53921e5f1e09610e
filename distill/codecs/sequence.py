"""A fixed record per sample for answers with a blank: what each step's best classes are worth is shared out
over the steps of a sample, most where a pair of bytes saves most nats.

A record: T bytes, the blank's share of each step; T/2 bytes, how many other classes each step keeps (0 to
15, four bits each); then the kept classes of all steps in order, best first: class (one byte, two above 256
classes), share. A share is of what the step has left, as log-odds in 1/10: so rows always sum to 1 and both
ends are exact. What is left at last is spread over the other classes by one prior, measured before recording.
Records begin with a byte that is not 0, so an absent one is told from any other.
Letters: N samples, T time steps, C classes, K kept classes of a step besides the blank, M pairs of a record.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from distill.codecs import Array, Kept
from distill.lost import Lost, lost
from distill.ranking import ranked
from shards.errors import BadSettings, GateFailed
from train.charset import Charset

BLANK = Charset.BLANK
MOST = 15  # classes that four bits can count
ODDS = 0.1  # nats of log-odds per unit of a share
MIDDLE = 128  # the unit that means even odds; units are 1 to 255
PRIOR = 16  # units of the prior's byte per nat below its likeliest class
FLOOR = -600.0  # nats; a class below it counts as one at it: nothing, of nothing
ROUNDS = 260  # of correcting a share by one unit: more than there are units
PIECE = 1 << 19  # probabilities encoded at a time: they stay in the processor's cache


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
        self.most = frames * min(MOST, classes - 1)
        self.pairs = min((kept.bytes - self.head) // (1 + self.wide), self.most)
        if self.pairs < 1:
            raise BadSettings(f"bytes: {kept.bytes}, a record of {frames} steps has at least {self.size(1)}")
        self.arrays = (Array("records", "|u1", (kept.bytes,), 0),)
        units = np.frombuffer(bytes.fromhex(kept.prior), np.uint8) if kept.prior else np.zeros(classes - 1)
        if len(units) != classes - 1:
            raise BadSettings(f"prior: of {len(units)} classes, the teacher has {classes - 1} and the blank")
        others = torch.from_numpy(-units.astype(np.float32) / PRIOR).log_softmax(-1)
        self.prior = torch.cat([others.new_zeros(1), others])  # [C]; the blank's place stays 0

    def size(self, pairs: int) -> int:
        """Bytes of a record with so many pairs."""
        return self.head + pairs * (1 + self.wide)

    def encode(self, log_probs: Tensor) -> tuple[dict[str, np.ndarray], Lost]:
        """float32 [N,T,C] to {name: [N, bytes]}, and what that loses."""
        records, found = np.empty((len(log_probs), self.bytes), np.uint8), Lost()
        step = max(1, PIECE // (self.frames * self.classes))
        for at in range(0, len(log_probs), step):
            records[at : at + step], one = self._encode(log_probs[at : at + step].float())
            found.add(one)
        return {"records": records}, found

    def _encode(self, log_probs: Tensor) -> tuple[np.ndarray, Lost]:
        p = log_probs.exp()
        order = torch.from_numpy(ranked(log_probs[..., 1:].numpy(), min(MOST, self.classes - 1)))
        best = log_probs[..., 1:].gather(-1, order[..., :1])[..., 0]
        spoken = best > log_probs[..., BLANK]
        units = self._shares(log_probs, p, order)
        gains, start = self._gains(log_probs, p, order, units)
        counts, prices = self._allot(gains, start, spoken)
        kept = torch.arange(order.shape[-1]) < counts[..., None]
        record = self._pack(units, order.numpy() + 1, kept.numpy())
        decoded = self.decode({"records": record})
        wrong = self._wrong(decoded, order, spoken).any(-1)
        if wrong.any():
            some = units[wrong], order[wrong], kept[wrong], spoken[wrong]
            record[wrong.numpy()] = self._pack(self._settle(*some), some[1].numpy() + 1, some[2].numpy())
            decoded[wrong] = self.decode({"records": record[wrong.numpy()]})
        found = lost(log_probs, decoded)
        found.prices = prices
        return record, found

    def remedy(self, found: Sequence[Lost], limit: float) -> str:
        """See distill.codecs."""
        pairs = [one.would_do(self.pairs, limit) for one in found]
        most = max((count or self.most + 1 for count in pairs), default=0)
        fits = most <= self.most
        return (
            f"bytes={self.size(most)} would do (now {self.bytes}), in another out="
            if fits
            else "take codec=dense"
        )

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The inverse: log-probabilities float32 [N,T,C]."""
        return self._rows(*self._unpack(arrays["records"]))

    def _rows(self, units: Tensor, classes: Tensor, kept: Tensor) -> Tensor:
        """Log-probabilities [N,T,C] of shares [N,T,1+K], classes from 1 and which pairs are kept [N,T,K]."""
        odds = (units - MIDDLE).float() * ODDS
        take, leave = functional.logsigmoid(odds), functional.logsigmoid(-odds)
        leave[..., 1:].masked_fill_(~kept, 0.0)
        left = leave.cumsum(-1)
        taken = take[..., 1:] + left[..., :-1]
        spent = torch.where(kept, self.prior.exp()[classes], 0.0).sum(-1)
        out = (left[..., -1] - (1 - spent).clamp(min=1e-9).log())[..., None] + self.prior
        # column 0 takes what is not kept
        out.scatter_(-1, torch.where(kept, classes, 0), torch.where(kept, taken, 0.0))
        out[..., BLANK] = take[..., 0]
        return out.log_softmax(-1)

    def _shares(self, log_probs: Tensor, p: Tensor, order: Tensor) -> Tensor:
        """Shares as units [N,T,1+K]: the blank's of the whole, each next class' of what is then left."""
        others = p[..., 1:]
        whole = others.sum(-1, keepdim=True).double()  # 1 - p(blank) loses its digits near 1
        rest = torch.cat([whole, whole - others.gather(-1, order).double().cumsum(-1)], -1)
        odds = log_probs[..., :1].double(), log_probs[..., 1:].gather(-1, order).double()
        return ((torch.cat(odds, -1) - rest.clamp(min=1e-30).log()) / ODDS).round().add(MIDDLE).clamp(1, 255)

    def _gains(self, log_probs: Tensor, p: Tensor, order: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Nats that each next pair of a step saves [N,T,K], never growing, and what no pair loses [N,T]."""
        odds = (units - MIDDLE) * ODDS
        take, leave = functional.logsigmoid(odds), functional.logsigmoid(-odds)
        left = leave.cumsum(-1)  # after the blank, after one class, ...
        told = torch.cat([take[..., :1], take[..., 1:] + left[..., :-1]], -1)
        prior = self.prior.double()
        mine = torch.cat([p[..., :1], p[..., 1:].gather(-1, order)], -1).double()
        nothing = torch.zeros_like(mine[..., :1])
        rest = (p.sum(-1, keepdim=True).double() - mine.cumsum(-1)).clamp(min=0)
        ours = torch.cat([nothing, (mine[..., 1:] * prior[order + 1]).cumsum(-1)], -1)
        free = 1 - torch.cat([nothing, prior.exp()[order + 1].cumsum(-1)], -1)
        spread = rest * (left - free.clamp(min=1e-9).log()) - ours
        whole = (p * (log_probs.clamp(min=FLOOR) - self.prior)).sum(-1).double()
        loss = whole[..., None] - (mine * told).cumsum(-1) - spread  # [N,T,1+K]
        gains = (loss[..., :-1] - loss[..., 1:]).clamp(min=0)
        for at in range(1, gains.shape[-1]):  # a pair that only pays with the next one shares its gain
            low = gains[..., at] > gains[..., at - 1]
            both = (gains[..., at] + gains[..., at - 1]) / 2
            gains[..., at - 1] = torch.where(low, both, gains[..., at - 1])
            gains[..., at] = torch.where(low, both, gains[..., at])
        return gains.cummin(-1).values.float(), loss[..., 0]

    def _allot(self, gains: Tensor, start: Tensor, spoken: Tensor) -> tuple[Tensor, list[float]]:
        """How many classes each step keeps [N,T]: the best one wherever it is not the blank, then by gain;
        and `Lost.prices`.
        """
        need = int(spoken.sum(-1).max())
        if need > self.pairs:
            raise GateFailed(
                f"bytes={self.bytes}: a sample has {need} steps whose best class is not the "
                f"blank, the record holds {self.pairs}; bytes={self.size(need)} holds them, in another out="
            )
        wanted = gains.clone()
        forced = torch.where(spoken, gains[..., 0], 0.0)
        wanted[..., 0].masked_fill_(spoken, torch.inf)
        flat = wanted.flatten(1)
        ranks = torch.from_numpy(-np.sort(-flat.numpy(), -1))
        least = ranks[:, self.pairs - 1 : self.pairs]
        sure, maybe = flat > least, (flat == least) & (flat > 0)
        # gains never grow along a step, so what is chosen there is a prefix
        chosen = sure | (maybe & (maybe.cumsum(-1) <= self.pairs - sure.sum(-1, keepdim=True)))
        saved = ranks.masked_fill(ranks.isinf(), 0.0).sum(0, dtype=torch.float64).cumsum(0)
        prices = (start.sum() - forced.sum(dtype=torch.float64) - saved).tolist()
        prices[: max(need - 1, 0)] = [float("inf")] * max(need - 1, 0)
        return chosen.view_as(gains).sum(-1), prices

    def _wrong(self, decoded: Tensor, order: Tensor, spoken: Tensor) -> Tensor:
        """Steps [N,T] whose best class is not the teacher's."""
        told = torch.from_numpy(decoded.numpy().argmax(-1))
        return told != torch.where(spoken, order[..., 0] + 1, BLANK)

    def _settle(self, units: Tensor, order: Tensor, kept: Tensor, spoken: Tensor) -> Tensor:
        """Shares corrected by single units until every step's best class is the teacher's."""
        for _ in range(ROUNDS):
            wrong = self._wrong(self._rows(units, order + 1, kept), order, spoken)
            if not wrong.any():
                return units
            units[..., 0] += torch.where(spoken, -1, 1) * wrong
            units[..., 1] += wrong & spoken
            units.clamp_(1, 255)
        raise GateFailed("codec=sequence: cannot keep the teacher's best class of a step; take codec=dense")

    def _unpack(self, records: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Shares [N,T,1+K], classes from 1 [N,T,K] and which pairs are kept [N,T,K]."""
        halves = records[:, self.frames : self.head]
        counts = np.stack([halves & 15, halves >> 4], -1).reshape(len(records), halves.shape[1] * 2)[
            :, : self.frames
        ]
        width = max(int(counts.max(initial=0)), 1)
        kept = np.arange(width) < counts[..., None].astype(np.int64)
        sample, step, rank = np.nonzero(kept)
        at = self._places(counts, sample)
        units = np.full((*kept.shape[:2], 1 + width), 1, np.int64)
        classes = np.zeros(kept.shape, np.int64)
        units[..., 0] = records[:, : self.frames]
        classes[sample, step, rank] = records[sample, at]
        if self.wide == 2:
            classes[sample, step, rank] += records[sample, at + 1].astype(np.int64) << 8
        units[sample, step, 1 + rank] = records[sample, at + self.wide]
        return torch.from_numpy(units), torch.from_numpy(classes), torch.from_numpy(kept)

    def _pack(self, units: Tensor, classes: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Records uint8 [N, bytes] of shares [N,T,1+K], classes from 1 and which pairs are kept [N,T,K]."""
        shares = units.numpy().astype(np.uint8)
        counts = kept.sum(-1).astype(np.uint8)
        out = np.zeros((len(shares), self.bytes), np.uint8)
        out[:, : self.frames] = shares[..., 0]
        even = np.pad(counts, ((0, 0), (0, self.frames % 2)))
        out[:, self.frames : self.head] = even[:, 0::2] | even[:, 1::2] << 4
        sample, step, rank = np.nonzero(kept)
        at = self._places(counts, sample)
        value = classes[sample, step, rank]
        out[sample, at] = value & 255
        if self.wide == 2:
            out[sample, at + 1] = value >> 8
        out[sample, at + self.wide] = shares[sample, step, 1 + rank]
        return out

    def _places(self, counts: np.ndarray, sample: np.ndarray) -> np.ndarray:
        """Where each pair begins in its record. counts [N,T]; sample [M], ascending."""
        totals = counts.sum(1, dtype=np.int64)
        rank_in_record = np.arange(len(sample)) - np.repeat(totals.cumsum() - totals, totals)
        return self.head + rank_in_record * (1 + self.wide)
