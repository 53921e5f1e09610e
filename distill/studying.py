"""What a student is: its settings and the teacher that answers it, checked against what it is about to do."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

import copy
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from distill import canvases, fetch, fingerprint
from distill.cache import Cache
from distill.inherit import inherit
from distill.methods import Shapes
from distill.objective import Objective
from distill.teachers import Cached, Live, NoTeacher, Wanted
from shards import augment, lookup
from shards.config import Choice, plain
from shards.errors import BadSettings
from shards.image import ImageSpec
from train import modelfolder, workbench
from train.workbench import Bench

Teacher = Cached | Live | NoTeacher


@dataclass
class Caches:
    """Recorded answers: `cache=DIR` says where."""

    dirs: list[str] = field(default_factory=list)  # folders that distill/record.py wrote, or their addresses
    tolerance: float = 0.0  # grey levels of 255 by which canvases of another engine may differ on average


@dataclass
class Settings(workbench.Settings):
    """A student's training run: a run, a teacher (cached, live, or both to be compared), and methods."""

    cache: Caches = field(default_factory=Caches, metadata={"bare": "dirs"})
    teacher: list[str] = field(
        default_factory=list
    )  # model folders: answer live, or, with cache=, were recorded
    method: dict[str, Any] = field(default_factory=dict, metadata={"seams": "distill.methods"})
    control: str = ""  # the run without distillation to be judged against; default: <run.name>-control


def settle(settings: Settings, argv: Sequence[str]) -> Settings:
    """Takes image, augmentation, task and views that nobody chose from the card or the live teacher."""
    if settings.cache.dirs:
        card = fingerprint.load(fetch.local(settings.cache.dirs[0]) / fingerprint.NAME)
        image, augmentation, task = card.image, card.augment, card.task
        if settings.data.views is None:
            settings.data.views = card.views
        if settings.data.engine == "auto" and not any(a.startswith("data.engine=") for a in argv):
            settings.data.engine = fingerprint.member_of(card.engine)
    elif settings.teacher:
        config = modelfolder.load(settings.teacher[0]).config
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


def make_teacher(settings: Settings, bench: Bench) -> Teacher:
    """The teacher that answers; one that is not about what this run will show its student is refused."""
    found: list[Any] = []
    for folder in settings.cache.dirs:
        cache = Cache(folder)
        check_cache(settings, bench, cache)
        found.append(Cached(cache))
    for folder in settings.teacher if not found else ():
        live = Live(folder, bench.accelerator.device)
        theirs, mine = (fingerprint.charset_of(t) for t in (live.loaded.task, bench.task))
        if theirs != mine:
            raise BadSettings(f"teacher={folder}: charset is {theirs}, the student's is {mine}")
        if live.loaded.task.image != bench.task.image:
            raise BadSettings(
                f"teacher={folder}: image is {live.loaded.task.image}, the student's is {bench.task.image}"
            )
        found.append(live)
    return found[0] if found and settings.method else NoTeacher()


def make_objective(settings: Settings, bench: Bench, teacher: Teacher) -> Objective:
    """The student's step; the teacher is asked for what its methods need, and refused if it cannot answer."""
    student, theirs = shapes_of(bench), teacher.shapes
    objective = Objective(bench.model, bench.task, settings.method, student, theirs)
    if not settings.method:
        return objective
    if "frames" in objective.needs and theirs.frames != student.frames:
        raise BadSettings(
            f"frames (L): the teacher answers {theirs.frames} steps, the student {student.frames}; "
            "method=hard compares readings instead of steps"
        )
    if theirs.classes != student.classes:
        raise BadSettings(f"classes (C): the teacher has {theirs.classes}, the student {student.classes}")
    kinds = {"frames" if need == "answers" else need for need in objective.needs - {"features"}}
    teacher.want(Wanted(frozenset(kinds), objective.taps))
    return objective


def shapes_of(bench: Bench) -> Shapes:
    """What the student answers, by one forward pass on the device `meta`: nothing is computed."""
    image, shell = bench.task.image, copy.deepcopy(bench.model).to("meta").eval()
    with torch.no_grad():
        answer = shell(torch.zeros(1, image.depth, image.height, image.width, device="meta"))
    features = {name: tuple(value.shape[1:]) for name, value in answer.features.items()}
    return Shapes(answer.logits.shape[1], answer.logits.shape[2], features)


def story(settings: Settings, teacher: Teacher) -> dict[str, Any]:
    """What the student's config.json says of how it was taught."""
    if not settings.method:
        return {"method": {}}
    return {
        "method": plain(settings.method), "control": control(settings).name,
        "teacher": teacher.story(),
    }  # fmt: skip


def identity(told: dict[str, Any]) -> dict[str, str]:
    """What a run is bound to, under whatever path: digests of the teacher's weights and of the cache."""
    teacher = told.get("teacher", {})
    return {
        name: teacher[key] for name, key in (("teacher", "weights"), ("cache", "cache")) if key in teacher
    }


def check_cache(settings: Settings, bench: Bench, cache: Cache) -> None:
    """Refuses a cache that is not about what this run will show its student."""
    loader, where, card = bench.train_loader, cache.path, cache.card
    for folder in settings.teacher[:1]:
        weights = modelfolder.weights_digest(folder)
        fingerprint.check(where, card, {"teacher": {**asdict(card.teacher), "weights": weights}})
    fingerprint.check_data(where, card, loader.shards.manifests)
    doing = {
        "image": loader.image,
        "charset": fingerprint.charset_of(bench.task),
        "augment": loader.augment.settings,
        "augment_code": augment.code_hash(),
    }
    fingerprint.check(where, card, doing)
    if not 1 <= loader.views <= card.views:
        raise BadSettings(f"{where}: views is {card.views} in the cache, data.views={loader.views} here")
    canvases.check(where, card, [loader], settings.cache.tolerance)


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
    if not settings.cache.dirs and settings.teacher:
        keep.append(f"teacher={','.join(settings.teacher)}")
    keep += ["method=none", f"run.name={against.name}"]
    return (
        f"verdict: NOT JUDGED, there is no control {against}; the next command trains it",
        f"accelerate launch distill/student.py {shlex.join(keep)}",
    )
