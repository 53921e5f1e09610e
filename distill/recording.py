"""What a recording is: its settings, and from them the teacher, the loader and the card of the cache."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from distill import chunks, fingerprint
from distill.codec import codec as make_codec
from distill.fingerprint import Card, Data, Kept, Teacher
from distill.inherit import inherit
from distill.teachers import Live
from shards import augment, progress
from shards.augment import Augment
from shards.errors import BadSettings
from shards.loader import Loader, Where
from shards.manifest import Manifest
from shards.plan import Part, Plan
from shards.read import Shards
from train import modelfolder


@dataclass
class Settings:
    """A recording. augment: that of views 1 to K-1, by default what the teacher was trained with."""

    checkpoint: str = ""  # the teacher's model folder
    data: Where = field(default_factory=Where)
    out: str = ""  # the cache's folder
    views: int = 1  # K: view 0 is untouched, views 1 to K-1 are augmented
    augment: augment.Settings = field(default_factory=augment.Settings)
    codec: Literal["dense", "topk"] = "topk"  # every class, or the k best of each step
    k: int = 8  # classes kept per step by topk
    taps: list[str] = field(default_factory=list)  # features to store too, in fp16
    kl_limit: float = 0.05  # nats per step that the codec may lose on average over a chunk
    batch: int = 256  # samples per forward pass
    precision: Literal["fp32", "bf16"] = "fp32"  # of the teacher's forward pass
    processes: int = 0  # how many the launch must have, 0 = what it was told
    dry_run: bool = False  # show the size and the card, write nothing
    json: bool = False  # print the result as JSON on the last line


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything a recording stands on, opened."""

    settings: Settings
    teacher: Live
    loader: Loader
    card: Card


def prepare(settings: Settings, argv: list[str], device: torch.device | str) -> Recording:
    """Opens teacher and data and states what is about to be recorded."""
    for name in ("checkpoint", "out"):
        if not getattr(settings, name):
            raise BadSettings(f"{name}= is required")
    if settings.views < 1 or settings.batch < 1:
        raise BadSettings(f"views={settings.views} and batch={settings.batch} must be at least 1")
    teacher = Live(settings.checkpoint, device, settings.precision, settings.taps)
    task, data = teacher.loaded.task, settings.data
    taught = augment.Settings(**teacher.loaded.config.get("augment", {}))
    augmentation = inherit(settings.augment, taught, "augment", argv)
    if settings.views > 1 and not augmentation.active:
        raise BadSettings(
            f"views={settings.views}, but the teacher had no augmentation and none is given: augment=light"
        )
    shards = Shards(data.root, data.split)
    loader = Loader(
        shards, Plan(shards.uids, settings.batch, shuffle=False), task.image, task.encode,
        Augment(augmentation), settings.views, data.engine, data.threads, device,
    )  # fmt: skip
    return Recording(settings, teacher, loader, _card(settings, teacher, loader))


def _card(settings: Settings, teacher: Live, loader: Loader) -> Card:
    """The fingerprint; one forward pass tells L, C and the shapes of the taps."""
    config, task = teacher.loaded.config, teacher.loaded.task
    positions = fingerprint.sample(loader.shards)
    lesson = teacher(loader.batch(part_of(positions[:1], settings.batch), 0))
    frames, classes = lesson.log_probs.shape[1:]
    kept = Kept(settings.codec, settings.k if settings.codec == "topk" else 0)
    stored = make_codec(kept.name, frames, classes, kept.k).arrays
    taps = {name: list(value.shape[1:]) for name, value in lesson.features.items()}
    widest = max([a.bytes for a in stored] + [2 * int(np.prod(shape)) for shape in taps.values()])
    weights = modelfolder.weights_digest(settings.checkpoint)
    versions = {
        "ocr-distillery": progress.version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
    return Card(
        teacher=Teacher(weights, config["model"], settings.precision),
        task=config["task"],
        charset=fingerprint.charset_of(task),
        frames=frames,
        classes=classes,
        data={m.key: _data(m, widest) for m in loader.shards.manifests},
        image=loader.image,
        engine=fingerprint.engine_of(loader),
        augment=loader.augment.settings,
        augment_code=augment.code_hash(),
        views=settings.views,
        batch=settings.batch,
        codec=kept,
        taps=taps,
        canvases=fingerprint.canvases(loader, positions, settings.views),
        provenance=versions,
    )


def _data(content: Manifest, widest: int) -> Data:
    rows = chunks.rows_of_chunk(content.rows_per_shard, widest)
    return Data(content.dataset_id, content.split, content.digest, content.rows, content.rows_per_shard, rows)


def part_of(positions: np.ndarray, size: int) -> Part:
    """Positions as a batch of `size` rows; padding repeats them and is not valid."""
    passes, valid = np.zeros(size, np.int64), np.arange(size) < len(positions)
    return Part(0, 0, np.resize(positions, size), passes, valid, len(positions))
