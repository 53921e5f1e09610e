"""What a recording is: its settings, and from them the teacher, the loaders and the card of the cache."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import torch

from distill import calibration, canvases, chunks, fingerprint, layout, taps
from distill.codecs import Kept
from distill.fingerprint import Beam, Card, Data, Teacher
from distill.inherit import came_from_elsewhere, inherit, inherit_task
from distill.kinds import NAMES
from distill.reconcile import Reconciled
from distill.teachers import Live, Wanted
from shards import augment, lookup, progress
from shards.augment import Augment
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Loader, Where
from shards.lookup import unknown
from shards.manifest import Manifest
from shards.plan import Plan
from shards.read import Shards, splits_of
from shards.views import code_hash
from train import modelfolder

MOST_VIEWS = 4096  # distill.cache addresses them by 12 bits


@dataclass
class Settings:
    """A recording. augment: that of views 1 to K-1; image and task: of the students. All three are by default
    the teacher's; those of a teacher that came from elsewhere (ONNX) are no student's, and not taken.
    """

    checkpoint: str = ""  # the teacher's model folder
    data: Where = field(default_factory=Where)
    val: bool = True  # record view 0 of the split val too, where a root has one
    image: ImageSpec = field(default_factory=ImageSpec)
    task: Any = field(default="recognise", metadata={"seam": "train.tasks"})
    frames: int = 0  # steps to bring the teacher's onto, 0 = its own
    out: str = ""  # the cache's folder
    views: int = 1  # K: view 0 is untouched, views 1 to K-1 are augmented
    augment: augment.Settings = field(default_factory=augment.Settings)
    kinds: list[str] = field(default_factory=list)  # frames, nbest, occupancy, cells; empty = the usual one
    codec: Literal["auto", "sequence", "topk", "dense"] = "auto"  # auto: the smallest that keeps kl_limit
    bytes: int = 0  # of a record of codec=sequence, 0 = the fewest that keep kl_limit, at least 96
    k: int = 8  # classes kept per step by codec=topk
    cells: int = 300  # of a picture, those in which words are likeliest, of teachers that find words
    nbest: int = 5  # readings kept by kinds=[nbest]
    beam: int = 10  # prefixes that the search for them follows
    taps: list[str] = field(default_factory=list)  # features to store too: name, name:int8, name:pca:32
    kl_limit: float = 0.01  # nats per step that the codec may lose on average over a chunk
    batch: int = 256  # samples per forward pass
    precision: Literal["fp32", "bf16"] = "fp32"  # of the teacher's forward pass
    processes: int = 0  # how many the launch must have, 0 = what it was told
    dry_run: bool = False  # show the size and the card, write nothing
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in NAMES:
                raise BadSettings(unknown("kinds", kind, list(NAMES)))
        for name in ("views", "batch", "nbest", "beam", "cells"):
            if getattr(self, name) < 1:
                raise BadSettings(f"{name}: {getattr(self, name)}, must be at least 1")
        if self.views > MOST_VIEWS:
            raise BadSettings(f"views: {self.views}, a cache holds at most {MOST_VIEWS}")
        if self.nbest > self.beam:
            raise BadSettings(f"nbest: {self.nbest}, must be at most beam={self.beam}")
        for key, names in (("kinds", self.kinds), ("taps", [taps.asked(tap)[0] for tap in self.taps])):
            if len(set(names)) < len(names):
                raise BadSettings(f"{key}: {','.join(getattr(self, key))}; each only once")


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything a recording stands on, opened. loaders: of what is trained on, then of val; bases:
    directions of taps kept by pca; beside: files that stand beside the arrays, by name.
    """

    settings: Settings
    teacher: Any
    loaders: list[Loader]
    card: Card
    bases: dict[str, np.ndarray]
    beside: dict[str, bytes]

    def loader(self, key: str) -> Loader:
        """The loader of a data set."""
        return next(o for o in self.loaders if any(m.key == key for m in o.shards.manifests))

    @property
    def samples(self) -> int:
        """Answers in all: samples times views."""
        return sum(
            content.written * self.card.data[content.key].views
            for loader in self.loaders
            for content in loader.shards.manifests
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is recorded: the model, the kind of its answers (distill.answers), the task of the students, the
    teacher as it answers them, and the data.
    """

    live: Live
    way: Any
    task: Any
    teacher: Any
    loaders: list[Loader]


def prepare(settings: Settings, argv: list[str], device: torch.device | str) -> Recording:
    """Opens teacher and data and states what is about to be recorded."""
    for name in ("checkpoint", "out"):
        if not getattr(settings, name):
            raise BadSettings(f"{name}= is required")
    live = Live(settings.checkpoint, device, settings.precision)
    task = _task(settings, live.loaded, argv)
    way = lookup.find("distill.answers", task.answers)
    settings.kinds = settings.kinds or [way.KINDS[0]]
    for kind in settings.kinds:
        if kind not in way.KINDS:
            raise BadSettings(unknown(f"kinds, of task {settings.task.name}", kind, list(way.KINDS)))
    teacher = way.derived(way.live(live, task, settings.frames))
    names = tuple(taps.asked(tap)[0] for tap in settings.taps)
    teacher.want(Wanted(frozenset(settings.kinds), names, settings.nbest, settings.beam))
    taught = augment.Settings(**live.loaded.config.get("augment", {}))
    augmentation = inherit(settings.augment, taught, "augment", argv)
    if settings.views > 1 and not augmentation.active:
        raise BadSettings(
            f"views={settings.views}, but the teacher had no augmentation and none is given: augment=light"
        )
    opened = _Opened(live, way, task, teacher, _loaders(settings, task, augmentation, device))
    kept, tapped, bases = calibration.measured(settings, teacher, opened.loaders[0], way.kept)
    pictures = {}
    for loader in opened.loaders:
        pictures |= canvases.seen(loader, canvases.sample(loader.shards), loader.views)
    beside = {canvases.NAME: canvases.pictures(pictures)}
    if bases:
        beside[layout.BASES] = safetensors.numpy.save(bases)
    card = _card(settings, opened, kept, tapped, canvases.hashes(pictures), beside)
    return Recording(settings, teacher, opened.loaders, card, bases, beside)


def _loaders(
    settings: Settings, task: Any, augmentation: augment.Settings, device: torch.device | str
) -> list[Loader]:
    """Of what is trained on, and of the split val of the roots that have one."""
    data = settings.data

    def opened(roots: list[str], split: str, views: int) -> Loader:
        shards = Shards(roots, split, fetched=data.room)
        return Loader(
            shards, Plan(shards.uids, settings.batch, shuffle=False), task.image, task.encode,
            Augment(augmentation), views, data.engine, data.threads, device,
        )  # fmt: skip

    loaders = [opened(data.root, data.split, settings.views)]
    watched = [root for root in data.root if "val" in splits_of(root)]
    if settings.val and watched and data.split != "val":
        loaders.append(opened(watched, "val", 1))
    return loaders


def _task(settings: Settings, loaded: modelfolder.Loaded, argv: list[str]) -> Any:
    """The task of the students: whose canvas the teacher sees, and whose classes are kept."""
    image, chosen = settings.image, settings.task
    if not came_from_elsewhere(loaded.config):
        image = inherit(image, loaded.task.image, "image", argv)
        chosen = inherit_task(chosen, loaded.config["task"], argv)
    module = lookup.find("train.tasks", chosen.name)
    settled, _ = module.settle(chosen.settings, Shards(settings.data.root, settings.data.split))
    return module.Task(settled, image)


def _card(
    settings: Settings, opened: _Opened, kept: Kept, tapped: dict[str, taps.Tap],
    seen: dict[str, list[str]], beside: dict[str, bytes],
) -> Card:  # fmt: skip
    """The fingerprint. seen: hashes of canvases; beside: the files beside the arrays."""
    config, first, shapes = opened.live.loaded.config, opened.loaders[0], opened.teacher.shapes
    changed = isinstance(getattr(opened.teacher, "teacher", None), Reconciled)
    kinds = {*settings.kinds, *(["trust"] if changed else [])}
    card = Card(
        teacher=Teacher(modelfolder.weights_digest(settings.checkpoint), config["model"], settings.precision),
        task={"name": settings.task.name, "settings": asdict(opened.task.settings)},
        charset=opened.way.identity(opened.task), frames=shapes.frames, classes=shapes.classes,
        grids=[list(grid) for grid in shapes.grids], data={},
        image=first.image, engine=fingerprint.engine_of(first), augment=first.augment.settings,
        augment_code=code_hash(), population=first.mosaics.population, views=settings.views,
        batch=settings.batch, kinds=sorted(kinds), codec=kept,
        nbest=Beam(settings.nbest, settings.beam) if "nbest" in settings.kinds else Beam(),
        taps=tapped, canvases=seen,
        pictures=hashlib.sha256(beside[canvases.NAME]).hexdigest(),
        provenance={**_provenance(), **fingerprint.score_of(config)},
    )  # fmt: skip
    widest = max(array.bytes for array in layout.arrays_of(card))
    for loader in opened.loaders:
        card.data.update({m.key: _data(m, widest, loader.views) for m in loader.shards.manifests})
    return card


def _provenance() -> dict[str, str]:
    return {"ocr-distillery": progress.version(), "torch": str(torch.__version__), "numpy": np.__version__}


def _data(content: Manifest, widest: int, views: int) -> Data:
    rows = chunks.rows_of_chunk(content.rows_per_shard, widest)
    key = (content.dataset_id, content.split, content.digest, content.rows, content.rows_per_shard)
    return Data(*key, rows, views)
