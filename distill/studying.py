"""What a student is: its settings and the teacher that answers it, checked against what it is about to do."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from distill import fingerprint
from distill.cache import Cache
from distill.fingerprint import Card
from distill.inherit import inherit
from distill.objective import Objective
from distill.teachers import Cached, Live, NoTeacher
from shards import augment, lookup
from shards.config import Choice, plain
from shards.errors import BadSettings
from shards.image import ImageSpec
from train import modelfolder, workbench
from train.workbench import Bench

Teacher = Cached | Live | NoTeacher


@dataclass
class Settings(workbench.Settings):
    """A student's training run: a run, a teacher (cached, live, or both to be compared), and methods."""

    cache: str = ""  # a folder that distill/record.py wrote
    teacher: str = ""  # a model folder: answers live, or, with cache=, must be the one that was recorded
    method: dict[str, Any] = field(default_factory=dict, metadata={"seams": "distill.methods"})
    control: str = ""  # the run without distillation to be judged against; default: <run.name>-control


def settle(settings: Settings, argv: Sequence[str]) -> Settings:
    """Takes image, augmentation, task and views that nobody chose from the card or the live teacher."""
    if settings.cache:
        card = fingerprint.load(Path(settings.cache) / fingerprint.NAME)
        image, augmentation, task = card.image, card.augment, card.task
        if settings.data.views is None:
            settings.data.views = card.views
        if settings.data.engine == "auto" and not any(a.startswith("data.engine=") for a in argv):
            settings.data.engine = fingerprint.member_of(card.engine)
    elif settings.teacher:
        config = modelfolder.load(settings.teacher).config
        image, augmentation = ImageSpec(**config["image"]), augment.Settings(**config.get("augment", {}))
        task = config["task"]
    elif settings.method:
        raise BadSettings(
            f"method={','.join(settings.method)} needs cache=DIR or teacher=MODEL; method=none needs neither"
        )
    else:
        return settings
    chosen = settings.task
    kind = lookup.find("train.tasks", task["name"]).Settings
    # whole or not at all: the fields of a task stand for each other (a charset's name and its characters)
    if (
        chosen.name == task["name"]
        and chosen.settings == kind()
        and not any(a.startswith("task.") for a in argv)
    ):
        chosen = Choice(chosen.name, kind(**task["settings"]))
    return replace(
        settings,
        image=inherit(settings.image, image, "image", argv),
        augment=inherit(settings.augment, augmentation, "augment", argv),
        task=chosen,
    )


def make_teacher(settings: Settings, bench: Bench, objective: Objective) -> tuple[Teacher, dict[str, Any]]:
    """The teacher, and what the student's config.json says of it; one that does not fit is refused."""
    story = {"method": plain(settings.method), "control": control(settings).name}
    if settings.cache:
        cache = Cache(settings.cache)
        check_cache(settings, bench, cache.card)
        _fit(bench, objective, cache.card.frames, cache.card.classes)
        story["teacher"] = {**asdict(cache.card.teacher), "cache": cache.card.digest}
        found: Teacher = Cached(cache)
    elif settings.teacher:
        found = Live(settings.teacher, bench.accelerator.device)
        theirs, mine = (fingerprint.charset_of(t) for t in (found.loaded.task, bench.task))
        if theirs != mine:
            raise BadSettings(f"teacher={settings.teacher}: charset is {theirs}, the student's is {mine}")
        if found.loaded.task.image != bench.task.image:
            raise BadSettings(
                f"teacher={settings.teacher}: image is {found.loaded.task.image}, "
                f"the student's is {bench.task.image}"
            )
        _fit(bench, objective, found.loaded.model.frames, found.loaded.task.channels)
        story["teacher"] = {
            "weights": modelfolder.weights_digest(settings.teacher), "model": found.loaded.config["model"],
            "precision": found.precision,
        }  # fmt: skip
    if not settings.method:
        return NoTeacher(), {"method": {}}
    return found, story


def identity(story: dict[str, Any]) -> dict[str, str]:
    """What a run is bound to, under whatever path: digests of the teacher's weights and of the cache."""
    told = story.get("teacher", {})
    return {name: told[key] for name, key in (("teacher", "weights"), ("cache", "cache")) if key in told}


def check_cache(settings: Settings, bench: Bench, card: Card) -> None:
    """Refuses a cache that is not about what this run will show its student."""
    loader, where = bench.train_loader, settings.cache
    if settings.teacher:
        weights = modelfolder.weights_digest(settings.teacher)
        fingerprint.check(where, card, {"teacher": {**asdict(card.teacher), "weights": weights}})
    fingerprint.check_data(where, card, loader.shards.manifests)
    doing = {
        "image": loader.image,
        "charset": fingerprint.charset_of(bench.task),
        "augment": loader.augment.settings,
        "augment_code": augment.code_hash(),
        "engine": fingerprint.engine_of(loader),
    }
    fingerprint.check(where, card, doing)
    if not 1 <= loader.views <= card.views:
        raise BadSettings(f"{where}: views is {card.views} in the cache, data.views={loader.views} here")
    fingerprint.check_canvases(where, card, loader)


def _fit(bench: Bench, objective: Objective, frames: int, classes: int) -> None:
    """Refuses a teacher whose L or C the methods cannot compare with the student's."""
    mine = bench.model.frames
    if "frames" in objective.needs and frames != mine:
        raise BadSettings(
            f"frames (L): the teacher answers {frames} steps, the student {mine}; "
            "method=hard compares readings instead of steps"
        )
    if classes != bench.task.channels:
        raise BadSettings(f"classes (C): the teacher has {classes}, the student {bench.task.channels}")


def control(settings: Settings) -> Path:
    """The run folder of the control; it stands beside the student's own."""
    if Path(settings.control).name != settings.control:
        raise BadSettings(f"control={settings.control}: the name of a run in {settings.run.root}, no path")
    return Path(settings.run.root) / (settings.control or f"{settings.run.name}-control")


def next_command(settings: Settings, argv: Sequence[str]) -> tuple[str, str]:
    """(what there is to say about the verdict, the next command to type)."""
    best = f"{settings.run.root}/{settings.run.name}/best"
    roots, against = ",".join(settings.data.root), control(settings)
    judge = f"python -m train.evaluation checkpoint={best} data.root={roots}"
    if not settings.method or (against / "best").is_dir():
        return "", judge
    dropped = ("method", "teacher", "control", "run.name", "json")
    keep = [a for a in argv if not a.partition("=")[0].startswith(dropped)]
    if not settings.cache and settings.teacher:
        keep.append(f"teacher={settings.teacher}")
    keep += ["method=none", f"run.name={against.name}"]
    return (
        f"verdict: NOT JUDGED, there is no control {against}; the next command trains it",
        f"accelerate launch distill/student.py {shlex.join(keep)}",
    )
