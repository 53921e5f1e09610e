"""What a run stands on: the settings that teacher and student share, and data, model and loaders, opened."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from shards import augment, config, loader
from shards.augment import Augment
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.keyed import uniform, word
from shards.lookup import find
from shards.mixture import Mixture
from shards.plan import Plan, held_out
from shards.progress import Reporter
from shards.read import Shards, splits_of
from train import fit, runfolder, runtime, starting, zero
from train.clock import seconds_of
from train.judging import still_loader


@dataclass
class Settings:
    """A training run."""

    run: runfolder.Settings = field(default_factory=runfolder.Settings)
    data: loader.Settings = field(default_factory=loader.Settings)
    image: ImageSpec = field(default_factory=ImageSpec)
    augment: augment.Settings = field(default_factory=augment.Settings)
    task: Any = field(default="recognise", metadata={"seam": "train.tasks"})
    model: Any = field(default="crnn", metadata={"seam": "train.models"})
    optim: Any = field(default="adamw", metadata={"seam": "train.optimizers"})
    loss: dict[str, Any] = field(default_factory=dict, metadata={"seams": "train.losses"})
    schedule: Any = field(default="cosine", metadata={"seam": "train.schedules"})
    fit: fit.Settings = field(default_factory=fit.Settings)
    tracking: Any = field(default="none", metadata={"seam": "train.trackers"})
    init_from: str = ""  # a model folder whose weights the run begins with
    init_parts: list[str] = field(
        default_factory=list
    )  # of another model: cnn, rnn1, dense, ...; empty = all
    charset: starting.Settings = field(default_factory=starting.Settings)
    overfit: int = 0  # learn so many samples by heart, untouched, or name the stage that fails; 0 = train
    seed: int = 0  # of weights and order
    time_limit: str = ""  # train at most this long in all, for example 45m or 2h30m
    processes: int = 0  # how many the launch must have, 0 = what it was told
    repro: Literal["usual", "strict"] = "usual"  # strict: an operation that may vary ends the run
    dry_run: bool = False  # show settings and cost, write nothing
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        seconds_of(self.time_limit)
        if self.overfit < 0:
            raise BadSettings(f"overfit: {self.overfit}, must be a number of samples, or 0")


@dataclass
class Bench:
    """Everything a run stands on, opened: where teacher and student differ is only in `step` and `teach`."""

    settings: Settings
    accelerator: Any
    report: Reporter
    train: Shards
    model: nn.Module
    task: Any
    train_loader: loader.Loader
    val_loader: loader.Loader


def bench(settings: Settings, stage: str) -> Bench:
    """Opens the process group, the data and the model."""
    precision, accumulation = settings.fit.precision, settings.fit.accumulation
    lower = "no" if precision == "fp32" or zero.asked() else precision  # DeepSpeed lowers it by itself
    accelerator = runtime.open_accelerator(lower, accumulation, settings.processes)
    share = -(-settings.fit.batch // accelerator.num_processes)
    if accumulation > share:
        raise BadSettings(f"fit.accumulation: {accumulation}, a process has {share} samples a step")
    if zero.asked():
        zero.complete(accelerator, -(-share // accumulation), accumulation, settings.fit.clip, precision)
    data = settings.data
    report = Reporter(stage, settings.json, silent=not accelerator.is_main_process)
    train = Shards(data.root, data.split, data.unlabelled, data.room)
    runtime.seed_everything(settings.seed)
    settled, said = find("train.tasks", settings.task.name).settle(settings.task.settings, train)
    settings.task = config.Choice(settings.task.name, settled)
    task, model, lines = starting.build(settings)
    runtime.repeat(settings.repro == "strict", accelerator.device.type, task.varies)
    for line in filter(None, [said, *lines]):
        report.say(line)
    task.check(train)
    model = model.to(device=accelerator.device)
    if not zero.asked():  # DeepSpeed sends weights as flat bytes
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_positions, val, val_positions = _sides(settings, train)
    train_positions = _drawn(settings, train, train_positions)
    ranks = {
        "device": accelerator.device,
        "rank": accelerator.process_index,
        "world": accelerator.num_processes,
    }
    plan = _plan(settings, train, train_positions)
    views = (0 if settings.augment.active else 1) if data.views is None else data.views
    training = loader.Loader(
        train, plan, task.image, task.encode, Augment(settings.augment), views, data.engine, data.threads,
        positions=train_positions, accumulation=settings.fit.accumulation, memory=data.memory,
        on_damage=data.on_damage, **ranks,
    )  # fmt: skip
    watching = still_loader(val, task, settings.fit.batch, val_positions, data.engine, data.threads, **ranks)
    return Bench(settings, accelerator, report, train, model, task, training, watching)


def _drawn(settings: Settings, train: Shards, positions: np.ndarray) -> np.ndarray:
    """The share of the samples that is trained on; which, is a function of uid and seed alone."""
    drawn = positions[uniform(train.uids[positions], settings.seed, word("data.share")) < settings.data.share]
    if not len(drawn):
        raise BadData(f"data.share={settings.data.share} of {len(positions)} samples leaves nothing to train")
    return drawn


def _plan(settings: Settings, train: Shards, positions: np.ndarray) -> Plan:
    """The order of the samples trained on; data.weights makes it that of a mixture."""
    data, batch, seed = settings.data, settings.fit.batch, settings.seed
    uids, shard, window = train.uids[positions], train.shard_of[positions], data.shards_mixed()
    if not data.weights:
        return Plan(uids, batch, seed, True, window, shard, _buckets(settings.image, train, positions))
    if settings.image.buckets:
        raise BadSettings("data.weights: a mixture with image.buckets would have more steps in some epochs")
    roots = len(data.root) + len(data.unlabelled)
    if len(data.weights) != roots:
        raise BadSettings(f"data.weights: {len(data.weights)} weights for {roots} roots in data.root and "
                          "data.unlabelled")  # fmt: skip
    return Mixture(
        uids, train.root_of[positions], data.weights, batch, seed, window, shard, data.draws or len(uids)
    )


def _buckets(image: ImageSpec, train: Shards, positions: np.ndarray) -> np.ndarray | None:
    """The edge of each sample, whose batches are its own; None where there is one."""
    if not image.buckets:
        return None
    return image.edge(train.spans(image)[positions])


def _sides(settings: Settings, train: Shards) -> tuple[np.ndarray, Shards, np.ndarray]:
    """Positions trained on, and the samples watched: split `val` of the roots, else a share by group."""
    everything, data = np.arange(len(train)), settings.data
    if data.split in ("val", "test"):
        raise BadSettings(
            f"data.split={data.split}: runs are selected on val and judged on test, not trained"
        )
    if settings.overfit:
        if settings.overfit > len(train):
            raise BadSettings(f"overfit={settings.overfit}: there are {len(train)} samples")
        few = everything[: settings.overfit]
        return few, train, few
    with_val = [root for root in data.root if "val" in splits_of(root)]
    if with_val:
        val = Shards(with_val, "val", fetched=data.room)
        return everything, val, np.arange(len(val))
    out = held_out(train.column("group"), data.val_share, settings.seed)
    out &= train.root_of < len(data.root)  # nothing can be judged without a label
    if not out.any() or out.all():
        raise BadData(
            f"data.val_share={data.val_share} of {len(train)} samples leaves nothing to train or to watch"
        )
    return everything[~out], train, everything[out]
