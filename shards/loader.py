"""plan -> engine (a few batches ahead) -> augmentation -> task.encode -> Batch.

Contract 3. The position is (epoch, step); nothing else is state. Letters: N samples, C channels, H W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from shards import lookup
from shards.ahead import ahead
from shards.augment import Augment
from shards.engines import Canvases
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.keep import Keeping
from shards.mosaic import Mosaics, Tiles
from shards.plan import Part, Plan
from shards.read import FETCHED, Shards
from shards.sample import Record, Word
from shards.views import seen

AHEAD = 3  # batches prepared in advance


@dataclass
class Where:
    """Which samples, and how they are read."""

    root: list[str] = field(default_factory=list)  # out= folders of ingest.shard
    split: str = "train"  # the split that is read
    room: int = FETCHED  # megabytes of remote shards on this disk, where a root is an address
    threads: int = 0  # decoding threads, 0 = one for every two cores
    engine: str = "auto"  # that decodes: plain, dali, or auto, which picks one and says why


@dataclass
class Settings(Where):
    """What a training run reads."""

    unlabelled: list[str] = field(default_factory=list)  # more roots, whose labels nobody sees: for students
    share: float = 1.0  # of the training samples, drawn by the seed; a smaller share is part of a larger
    val_share: float = 0.05  # share of the groups held out where there is no split `val`
    memory: int = 256  # megabytes of decoded canvases kept, 0 = none
    window: str = "all"  # all, or how many shards are mixed at a time
    views: int | None = None  # cycled over the passes: 0 = fresh ones, 1 = untouched; null = 0 if augmented
    weights: list[float] = field(default_factory=list)  # of the roots in an epoch; empty = all samples once
    draws: int = 0  # samples an epoch where weights are given, 0 = as many as there are
    on_damage: Literal["skip", "fail"] = "skip"  # a damaged sample is left out and named, or ends the run

    def __post_init__(self) -> None:
        if self.views is not None and self.views < 0:
            raise BadSettings(f"data.views: {self.views}, must be at least 0")
        if not 0 < self.share <= 1:
            raise BadSettings(f"data.share: {self.share}, must be above 0 and at most 1")
        if self.draws and not self.weights:
            raise BadSettings(f"data.draws={self.draws} is of mixtures: give data.weights too, one per root")

    def shards_mixed(self) -> int | None:
        """`window` as a number of shards, None for all."""
        if self.window == "all":
            return None
        if not self.window.isdigit() or int(self.window) < 1:
            raise BadSettings(f"data.window: {self.window!r} is neither `all` nor a number of shards")
        return int(self.window)


class Targets(Protocol):
    """What a task encodes: tensors addressed by sample."""

    def to(self, device: torch.device) -> Any: ...


@dataclass(slots=True)
class Batch:
    """One rank's part of a global batch; rows that only fill the last batch, and damaged ones, are not
    `valid`.

    images float [N,C,H,W] normalised by the image spec, W the widest edge among them; widths int64 [N]: what
    each takes of its row, on the CPU; uids int64 [N]; view int64 [N], on the CPU; valid
    bool [N]; damage: row -> what is wrong;
    denominator = valid samples over all ranks / ranks: sums divided by it average to the mean over the global
    batch.
    """

    epoch: int
    step: int
    view: np.ndarray
    uids: Tensor
    valid: Tensor
    images: Tensor
    widths: Tensor
    affines: np.ndarray
    records: Sequence[Record]
    targets: Any
    denominator: float
    damage: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    """What the reading thread hands over. damage: row -> what is wrong, rows that only fill the batch
    included.
    """

    part: Part
    view: np.ndarray
    uids: np.ndarray
    canvases: Canvases
    records: list[Record]
    tiles: Tiles
    damage: dict[int, str]


def view_of(passes: np.ndarray, views: int) -> np.ndarray:
    """The view that each pass over a sample shows: views=0 gives fresh ones, else 0 .. views-1 in turn."""
    return passes + 1 if views == 0 else passes % views


class Loader:
    """Batches of `shards` along `plan`, for one rank. encode: records -> targets (a task's member)."""

    def __init__(
        self,
        shards: Shards,
        plan: Plan,
        image: ImageSpec,
        encode: Callable[[Sequence[Record]], Targets],
        augment: Augment,
        views: int = 1,
        engine: str = "plain",
        threads: int = 0,
        device: str | torch.device = "cpu",
        rank: int = 0,
        world: int = 1,
        positions: np.ndarray | None = None,
        accumulation: int = 1,
        memory: int = 0,
        on_damage: str = "skip",
    ) -> None:
        self.shards, self.plan, self.image, self.encode = shards, plan, image, encode
        self.augment, self.views, self.device = augment, views, torch.device(device)
        self.rank, self.world, self.accumulation = rank, world, accumulation
        self.on_damage = on_damage  # for `fit`, which hears of the damage on all ranks
        self.engine = lookup.find("shards.engines", engine).Engine(shards, image, threads, self.device)
        if memory:
            self.engine = Keeping(self.engine, len(shards), memory)
        self.spans = shards.spans(image)
        # The plan speaks of positions in its own subset (a held-out share); this maps them to the shards'.
        self.positions = np.arange(len(shards)) if positions is None else positions
        self.mosaics = Mosaics(shards, self.positions, augment.settings.mosaic)

    def batches(self, epoch: int, step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from a step on, `accumulation` of them to a step, read ahead."""
        parts = self.plan.parts(epoch, step, self.rank, self.world)
        micro = (piece for part in parts for piece in part.split(self.accumulation))
        with self._fetching(epoch, step):
            reads = (self._read(piece, view_of(piece.passes, self.views)) for piece in micro)
            for read in ahead(reads, AHEAD):
                yield self._finish(read)

    def _fetching(self, epoch: int, step: int) -> AbstractContextManager[Any]:
        """While it lasts, remote shards are fetched in the order in which the plan comes to them."""
        if not self.shards.room.remote.any():
            return nullcontext()
        places, starts = self.plan.batches(epoch)
        rows = places[starts[step] :]
        chosen, view = self.positions[self.plan.order(epoch)[rows]], self.plan.passes(epoch)[rows]
        steps = np.repeat(np.arange(step, self.plan.steps), np.diff(starts[step:]))
        tiled, partners = self.mosaics.drawn(self.shards.uids[chosen], view_of(view, self.views))
        needed = np.concatenate([chosen, partners.ravel()])
        steps = np.concatenate([steps, np.repeat(steps[tiled], partners.shape[1])])
        order = np.argsort(steps, kind="stable")
        try:
            return self.shards.room.needed(self.shards.shard_of[needed[order]], steps[order])
        except BadSettings as error:
            far = "; partners of augment.mosaic lie anywhere in the set" if len(partners) else ""
            raise BadSettings(f"{error}{far}") from None

    def batch(self, part: Part, view: int | None = None) -> Batch:
        """One part as a Batch, in one view if that is given; a damaged sample is masked and named."""
        chosen = view_of(part.passes, self.views) if view is None else np.full(len(part.passes), view)
        return self._finish(self._read(part, chosen))

    def _read(self, part: Part, view: np.ndarray) -> _Read:
        """Bytes to canvases and records: what is done ahead. No torch here: its threads would fight the
        consumer's.
        """
        self.shards.room.at(part.step)
        own = self.positions[part.positions]
        tiled, partners = self.mosaics.drawn(self.shards.uids[own], view)
        chosen = np.concatenate([own, partners.ravel()])
        found = self.engine.read(chosen)
        damage = {i: self._named(int(chosen[i]), reason) for i, reason in found.damage.items()}
        records = [self._record(i, int(p), damage) for i, p in enumerate(chosen)]
        tiles, n = Tiles.of(tiled, found, records, damage), len(own)
        mine = {i: reason for i, reason in damage.items() if i < n}
        uids, canvases = self.shards.uids[own].astype(np.int64), Canvases(found.pixels[:n], found.affines[:n])
        return _Read(part, view, uids, canvases, records[:n], tiles, mine)

    def _finish(self, read: _Read) -> Batch:
        """Augmentation and targets, on the device and in the thread of the consumer."""
        part, valid = read.part, read.part.valid.copy()
        valid[list(read.damage)] = False
        widths = self.spans[self.positions[part.positions]]
        uids, edges = read.uids.astype(np.uint64), self.image.edge(widths)
        images, records = seen(
            read.canvases, read.records, read.tiles, uids, read.view, edges, self.augment, self.device
        )
        return Batch(
            epoch=part.epoch,
            step=part.step,
            view=read.view,
            uids=torch.from_numpy(read.uids),
            valid=torch.from_numpy(valid).to(self.device),
            images=((images - self.image.mean) / self.image.std),
            widths=torch.from_numpy(widths),
            affines=read.canvases.affines,
            records=read.records,
            targets=self.encode(records).to(self.device),
            denominator=max(part.valid_globally, 1) / self.world,
            damage={i: reason for i, reason in read.damage.items() if part.valid[i]},
        )

    def _named(self, position: int, reason: str) -> str:
        name = f"{int(self.shards.uids[position]):016x}"
        return reason if name in reason else f"sample {name}: {reason}"

    def _record(self, i: int, position: int, damage: dict[int, str]) -> Record:
        try:
            return self.shards.record(position)
        except BadData as error:
            damage[i] = self._named(position, str(error))
            text = None
            with suppress(BadData):  # mostly it still stands in the columns: evaluation counts it as missed
                text = self.shards.text(position)
            return Record(words=(Word(text),), size=(1, 1), origin="")
