"""What teacher and student have in common: settings, data, model, loop and what is written at the end."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shards import augment, config, loader, progress
from shards.augment import Augment
from shards.errors import BadData, BadSettings, Preempted, Stop
from shards.image import ImageSpec
from shards.lookup import find
from shards.manifest import digest
from shards.plan import Plan, held_out
from shards.progress import Reporter
from shards.read import Shards, splits_of
from train import checkpoint, fit, optim, runfolder, runtime
from train.clock import seconds_of
from train.cost import cost
from train.judging import judge, still_loader


@dataclass
class Settings:
    """A training run."""

    run: runfolder.Settings = field(default_factory=runfolder.Settings)
    data: loader.Settings = field(default_factory=loader.Settings)
    image: ImageSpec = field(default_factory=ImageSpec)
    augment: augment.Settings = field(default_factory=augment.Settings)
    task: Any = field(default="recognise", metadata={"seam": "train.tasks"})
    model: Any = field(default="crnn", metadata={"seam": "train.models"})
    optim: optim.Settings = field(default_factory=optim.Settings)
    fit: fit.Settings = field(default_factory=fit.Settings)
    init_from: str = ""  # a model folder whose weights the run begins with
    seed: int = 0  # of weights and order
    time_limit: str = ""  # train at most this long in all, for example 45m or 2h30m
    processes: int = 0  # how many the launch must have, 0 = what it was told
    dry_run: bool = False  # show settings and cost, write nothing
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        seconds_of(self.time_limit)


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
    accelerator = runtime.open_accelerator(
        {"fp32": "no"}.get(settings.fit.precision, settings.fit.precision),
        settings.fit.accumulation,
        settings.processes,
    )
    share = -(-settings.fit.batch // accelerator.num_processes)
    if settings.fit.accumulation > share:
        raise BadSettings(
            f"fit.accumulation: {settings.fit.accumulation}, a process has {share} samples a step"
        )
    report = Reporter(stage, settings.json, silent=not accelerator.is_main_process)
    train = Shards(settings.data.root, settings.data.split)
    runtime.seed_everything(settings.seed)
    task, model = build(settings)
    model = model.to(device=accelerator.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_positions, val, val_positions = _sides(settings, train)
    ranks = {
        "device": accelerator.device,
        "rank": accelerator.process_index,
        "world": accelerator.num_processes,
    }
    data, spec = settings.data, task.image
    plan = Plan(
        train.uids[train_positions], settings.fit.batch, settings.seed, True, data.shards_mixed(),
        train.shard_of[train_positions],
    )  # fmt: skip
    views = (0 if settings.augment.active else 1) if data.views is None else data.views
    training = loader.Loader(
        train, plan, spec, task.encode, Augment(settings.augment), views, data.engine, data.threads,
        positions=train_positions, accumulation=settings.fit.accumulation, **ranks,
    )  # fmt: skip
    watching = still_loader(val, task, settings.fit.batch, val_positions, data.engine, data.threads, **ranks)
    return Bench(settings, accelerator, report, train, model, task, training, watching)


def build(settings: Settings) -> tuple[Any, nn.Module]:
    """Task and model, with the weights of init_from where it is given."""
    task = find("train.tasks", settings.task.name).Task(settings.task.settings, settings.image)
    model = find("train.models", settings.model.name).Model(
        settings.model.settings, task.image, task.channels
    )
    if settings.init_from:
        given = checkpoint.load(settings.init_from)
        for name, theirs, mine in (
            ("image", config.plain(given.task.image), config.plain(task.image)),
            ("task", config.plain(given.task.settings), config.plain(task.settings)),
            (
                "model",
                given.config["model"],
                {"name": settings.model.name, "settings": config.plain(model.settings)},
            ),
        ):
            if theirs != mine:
                raise BadSettings(f"init_from={settings.init_from}: {name} is {theirs}, this run has {mine}")
        model.load_state_dict(given.model.state_dict())
    return task, model


def _sides(settings: Settings, train: Shards) -> tuple[np.ndarray, Shards, np.ndarray]:
    """Positions trained on, and the samples watched: split `val` of the roots, else a share by group."""
    everything, data = np.arange(len(train)), settings.data
    if data.split in ("val", "test"):
        raise BadSettings(
            f"data.split={data.split}: runs are selected on val and judged on test, not trained"
        )
    with_val = [root for root in data.root if "val" in splits_of(root)]
    if with_val:
        val = Shards(with_val, "val")
        return everything, val, np.arange(len(val))
    out = held_out(train.column("group"), data.val_share, settings.seed)
    if not out.any() or out.all():
        raise BadData(
            f"data.val_share={data.val_share} of {len(train)} samples leaves nothing to train or to watch"
        )
    return everything[~out], train, everything[out]


def run(b: Bench, step: nn.Module, teach: Callable[[Any], Any], story: dict[str, Any]) -> dict[str, Any]:
    """Trains; returns the result that the stage prints. story: what config.json says beside the usual."""
    plain = config.plain(b.settings)
    if b.settings.dry_run:
        return describe(b, plain)
    folder, stop = runfolder.RunFolder(b.settings.run, b.accelerator.is_main_process), runtime.StopRequest()
    data = {**plain["data"], "digest": b.train.digest, "val_digest": b.val_loader.shards.digest}
    try:
        runtime.on_main(b.accelerator, lambda: folder.open({**plain, "data": data}))
        return _train(b, step, teach, story, folder, stop, plain)
    finally:
        folder.close()
        stop.close()


def _train(
    b: Bench, step: nn.Module, teach: Callable[[Any], Any], story: dict[str, Any],
    folder: runfolder.RunFolder, stop: runtime.StopRequest, plain: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The run within its open folder, which says at any time how it stands."""
    settings = b.settings
    try:
        census = _header(b, folder, plain)
        loop = fit.Loop(
            b.accelerator, step, b.train_loader, teach, _judge(b), keeper(b, story), folder, b.report, stop,
            settings.fit, settings.optim, settings.time_limit,
        )  # fmt: skip
        if not loop.resume():
            folder.log(0, {f"data/{reason}": count for reason, count in census.items()})
        at = loop.run()
    except Stop as error:
        folder.status("preempted" if isinstance(error, Preempted) else "failed", error.code, str(error))
        raise
    except BaseException as error:
        folder.status("failed", 1, repr(error))
        raise
    result = {
        "global_step": at.global_step, "best": at.best, "best_step": at.best_step, "metrics": loop.metrics,
        "nonfinite": at.nonfinite, "damaged": at.damaged,
    }  # fmt: skip
    if not folder.done:  # a finished run that was started again is left as it is
        folder.status("done", 0, loop.ending, **result)
    b.report.say(f"ended: {loop.ending}")
    return {"run": str(folder.path), "ending": loop.ending, **result}


def _judge(b: Bench) -> Callable[[nn.Module], dict[str, float]]:
    def judged(model: nn.Module) -> dict[str, float]:
        damage: dict[int, str] = {}
        meter = judge(model, b.task, b.val_loader, b.accelerator, damage)
        return {**meter.compute(), "damaged": float(len(damage))}

    return judged


def keeper(b: Bench, story: dict[str, Any]) -> Callable[[Path, nn.Module, dict[str, float]], None]:
    """A function that writes a model folder with all that is known of the run's model."""
    data = {
        m.name: {"split": m.split, "digest": m.digest, "samples": m.written, "licence": m.licence}
        for m in b.train.manifests
    }
    extra = {
        "code": {"version": progress.version()},
        "decoder": {"name": "greedy"},
        "data": data,
        "augment": config.plain(b.settings.augment),
        "seed": b.settings.seed,
        **story,
    }

    def keep(folder: Path, model: nn.Module, metrics: dict[str, float]) -> None:
        checkpoint.save(
            folder, model, b.task, model_name=b.settings.model.name, task_name=b.settings.task.name,
            extra={**extra, "metrics": metrics},
        )  # fmt: skip

    return keep


def _header(b: Bench, folder: runfolder.RunFolder, plain: dict[str, Any]) -> dict[str, int]:
    """Says what will be trained on what; returns how many labels cannot teach, by reason."""
    b.report.header(
        device=str(b.accelerator.device), processes=b.accelerator.num_processes, data=b.train.digest[:12],
        config=digest(plain)[:12], folder=str(folder.path),
    )  # fmt: skip
    parameters = sum(p.numel() for p in b.model.parameters())
    b.report.say(
        f"{len(b.train_loader.positions)} training and {len(b.val_loader.positions)} validation samples, "
        f"{b.settings.model.name} with {parameters:,} parameters, L = {b.model.frames}, "
        f"{b.train_loader.plan.steps} steps an epoch, engine {b.train_loader.engine.triple}"
    )
    census = b.task.census((b.train.text(int(p)) for p in b.train_loader.positions), b.model.frames)
    if any(census.values()):
        b.report.say(
            "samples that cannot teach: " + ", ".join(f"{count} {reason}" for reason, count in census.items())
        )
    return census


def describe(b: Bench, plain: dict[str, Any]) -> dict[str, Any]:
    """What a dry run shows: settings, steps and what the model costs; nothing is written."""
    found = cost(b.model, b.task.image, b.accelerator.device)
    result = {"settings": plain, "steps": b.train_loader.plan.steps * b.settings.fit.epochs, **found}
    for name, value in result.items():
        b.report.say(f"{name}: {value}")
    return result
