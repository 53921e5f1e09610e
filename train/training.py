"""Running a training: teacher and student alike, from an opened workbench to what is written at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from shards import config, progress
from shards.errors import Preempted, Stop
from shards.written import digest
from train import fit, modelfolder, overfit, runfolder, runtime
from train.cost import cost
from train.judging import judge
from train.measured import digest_of
from train.optim import Optimizing
from train.tracking import Mirror
from train.workbench import Bench, Settings


def run(
    b: Bench, step: nn.Module, teach: Callable[[Any], Any], story: dict[str, Any],
    identity: dict[str, str] | None = None, loss: str = "task",
) -> dict[str, Any]:  # fmt: skip
    """Trains; returns the result that the stage prints. story: what config.json says beside the usual.

    identity: digests that must be the same when the run goes on; loss: what it minimises, in words.
    """
    plain = config.plain(b.settings)
    if b.settings.dry_run:
        return describe(b, plain, loss)
    folder, stop = runfolder.RunFolder(b.settings.run, b.accelerator.is_main_process), runtime.StopRequest()
    data = {**plain["data"], "digest": b.train.digest, "val_digest": b.val_loader.shards.digest}
    compared = {**plain, "data": data, "identity": identity or {}}
    try:
        runtime.on_main(b.accelerator, lambda: folder.open(compared))
        b.report.log_to(folder.path / "logs" / f"rank-{b.accelerator.process_index}.log")
        _header(b, folder, digest(plain)[:12], loss)
        with runtime.together(b.accelerator):
            return _train(b, step, teach, story, folder, stop)
    finally:
        folder.close()
        stop.close()


def _train(
    b: Bench, step: nn.Module, teach: Callable[[Any], Any], story: dict[str, Any],
    folder: runfolder.RunFolder, stop: runtime.StopRequest,
) -> dict[str, Any]:  # fmt: skip
    """The run within its open folder, which says at any time how it stands."""
    settings = b.settings
    try:
        census = _census(b)
        if settings.overfit:
            overfit.check(settings.overfit, census)
        loop = fit.Loop(
            b.accelerator, step, b.train_loader, teach, _judge(b, folder), keeper(b, story), folder, b.report,
            stop, settings.fit, Optimizing(settings.optim, settings.schedule), settings.time_limit,
            b.task.headings[0].name,
        )  # fmt: skip
        resumed = loop.resume()
        runtime.on_main(b.accelerator, lambda: _mirror(b, folder, anew=not resumed))
        if not resumed:
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
    if at.best_step == 0 < at.global_step:
        b.report.say(
            f"nothing better was learnt: {folder.best} holds the weights that the run began with; "
            "init_from=MODEL, more data or more passes may help"
        )
    return {"run": str(folder.path), "ending": loop.ending, **result}


def next_command(settings: Settings) -> str:
    """The evaluation of what was trained; nothing after a dry run, which trains nothing."""
    best, roots = f"{settings.run.root}/{settings.run.name}/best", ",".join(settings.data.root)
    return "" if settings.dry_run else f"python -m train.evaluation checkpoint={best} data.root={roots}"


def _mirror(b: Bench, folder: runfolder.RunFolder, anew: bool) -> None:
    """From here on the tracker follows the run."""
    plain = config.plain(b.settings)
    folder.mirror = Mirror(b.settings.tracking, folder.path, plain, b.report.say, anew)


def _judge(b: Bench, folder: runfolder.RunFolder) -> Callable[[nn.Module, int], dict[str, float]]:
    def judged(model: nn.Module, step: int) -> dict[str, float]:
        damage: dict[int, str] = {}
        meter = judge(model, b.task, b.val_loader, b.accelerator, damage)
        if b.accelerator.is_main_process:
            folder.mistakes(step, b.task.mistakes(meter, damage, b.val_loader.shards))
        return {**meter.compute(), "damaged": float(len(damage))}

    return judged


def start(init_from: str) -> dict[str, Any]:
    """What a config.json tells of the model whose weights a run began with: which they were, and all that
    these had learnt from; nothing where there was none.
    """
    if not init_from:
        return {}
    told = modelfolder.load(init_from).config
    data = {**told.get("start", {}).get("data", {}), **told.get("data", {})}
    return {"start": {"weights": modelfolder.weights_digest(init_from), "data": data}}


def keeper(b: Bench, story: dict[str, Any]) -> Callable[[Path, nn.Module, dict[str, float]], None]:
    """A function that writes a model folder with all that is known of the run's model."""
    data = {
        m.key: {"split": m.split, "digest": m.digest, "samples": m.written, "licence": m.licence}
        for m in b.train.manifests
    }
    extra = {
        "code": {"version": progress.version()},
        "decoder": {"name": "greedy"},
        "data": data,
        "augment": config.plain(b.settings.augment),
        "samples": len(b.train_loader.positions),  # trained on: those that data.share and val_share leave
        "seed": b.settings.seed,
        "measured": {
            "split": b.val_loader.shards.split,
            "digest": digest_of(b.val_loader.shards, b.val_loader.positions),
        },
        **start(b.settings.init_from),
        **story,
    }

    def keep(folder: Path, model: nn.Module, metrics: dict[str, float]) -> None:
        modelfolder.save(
            folder, model, b.task, model_name=b.settings.model.name, task_name=b.settings.task.name,
            extra={**extra, "metrics": metrics},
        )  # fmt: skip

    return keep


def _header(b: Bench, folder: runfolder.RunFolder, config: str, loss: str) -> None:
    """Says what will be trained on what."""
    b.report.header(
        device=str(b.accelerator.device), processes=b.accelerator.num_processes, data=b.train.digest[:12],
        config=config, folder=str(folder.path), loss=f"= {loss}",
    )  # fmt: skip
    parameters, engine = sum(p.numel() for p in b.model.parameters()), b.train_loader.engine
    b.report.say(
        f"{len(b.train_loader.positions)} training and {len(b.val_loader.positions)} validation samples, "
        f"{b.settings.model.name} with {parameters:,} parameters, L = {b.model.frames}, "
        f"{b.train_loader.plan.steps} steps an epoch, engine {engine.triple} ({engine.why})"
    )


def _census(b: Bench) -> dict[str, int]:
    """How many labels cannot teach, by reason; says so."""
    positions = b.train_loader.positions
    labelled = positions[b.train.root_of[positions] < len(b.settings.data.root)]
    model: Any = b.model  # a module; what a model offers more, train.models says
    steps = model.steps_of(b.train_loader.spans[labelled]).tolist()
    census = b.task.census((b.train.text(int(p)) for p in labelled), steps)
    if len(labelled) < len(positions):
        b.report.say(
            f"{len(positions) - len(labelled)} samples of data.unlabelled teach without their labels"
        )
    if any(census.values()):
        b.report.say(
            "samples that cannot teach: " + ", ".join(f"{count} {reason}" for reason, count in census.items())
        )
    return census


def describe(b: Bench, plain: dict[str, Any], loss: str) -> dict[str, Any]:
    """What a dry run shows: settings, loss, steps and what the model costs; nothing is written."""
    found = cost(b.model, b.task.image)
    result = {
        "settings": plain,
        "loss": loss,
        "steps": b.train_loader.plan.steps * b.settings.fit.epochs,
        **found,
    }
    for name, value in result.items():
        b.report.say(f"{name}: {value}")
    return result
