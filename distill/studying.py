"""What a student is: its settings and the teacher that answers it, checked against what it is about to do."""

from __future__ import annotations  # fields are named like the modules whose settings they hold

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from distill import canvases, fetch, fingerprint, peers
from distill.cache import Cache
from distill.inherit import came_from_elsewhere, inherit, inherit_task
from distill.methods import PEERS, Shapes
from distill.objective import Objective
from distill.teachers import Cached, Live, NoTeacher, Wanted
from distill.vouching import vouch
from shards import augment, lookup
from shards.config import plain
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.typed import check_ranges
from shards.views import code_hash
from train import headings, limit, losses, modelfolder, training, workbench
from train.shapes import answer_of, sizes
from train.workbench import Bench

Teacher = Any  # of distill.teachers: a callable from a Batch to a Lesson, that can be asked for kinds


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
    confidence: float = 0.9  # readings of data.unlabelled less sure than this, 0 to 1, teach nothing
    limit: limit.Settings = field(default_factory=limit.Settings)
    ensemble: Literal["mean", "best", "per_sample"] = "mean"  # of several teachers: see distill/ensemble.py
    method: dict[str, Any] = field(default_factory=dict, metadata={"seams": "distill.methods"})
    peer: str = ""  # the model folder whose weights the peer of method=mutual begins with; empty = new ones
    control: str = ""  # the run without distillation to be judged against; default: <run.name>-control

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "", confidence=(0, 1))


def settle(settings: Settings, argv: Sequence[str]) -> Settings:
    """Takes image, augmentation, task and views that nobody chose from the card or the live teacher."""
    if settings.overfit:
        raise BadSettings(
            "overfit: asks whether a model can learn; train/teacher.py answers, without a teacher"
        )
    if settings.cache.dirs:
        card = fingerprint.load(fetch.local(settings.cache.dirs[0]) / fingerprint.NAME)
        image, augmentation, task = card.image, card.augment, card.task
        if settings.data.views is None:
            settings.data.views = card.views
        if settings.data.engine == "auto" and not any(a.startswith("data.engine=") for a in argv):
            settings.data.engine = fingerprint.member_of(card.engine)
    elif settings.teacher:
        config = modelfolder.load(settings.teacher[0]).config
        if came_from_elsewhere(config):
            return settings
        image, augmentation = ImageSpec(**config["image"]), augment.Settings(**config.get("augment", {}))
        task = config["task"]
    elif taught := [name for name in settings.method if _needs(name) != PEERS]:
        raise BadSettings(
            f"method={','.join(taught)} needs cache=DIR or teacher=MODEL; method=none needs neither"
        )
    else:
        return settings
    return replace(
        settings,
        image=inherit(settings.image, image, "image", argv),
        augment=inherit(settings.augment, augmentation, "augment", argv),
        task=inherit_task(settings.task, task, argv),
    )


def explain(settings: Settings, bench: Bench) -> None:
    """Says how large the student is, and how good its teachers are found to be; what is not as it should be
    is refused before anything is trained.
    """
    told = limit.check(bench.model, settings.limit)
    for line in told["lines"] if settings.limit.mb else ():
        bench.report.say(line)
    if settings.dry_run or not settings.method:
        return
    for folder in settings.teacher:
        words = "was measured on other data than this run's validation samples: its card is taken at its word"
        for name, value in vouch(folder, bench).items():
            words = f"{name} is {value:.4f} on the validation samples, as its card says"
        bench.report.say(f"teacher {folder}: {words}")


def make_teacher(settings: Settings, bench: Bench) -> Teacher:
    """The teacher that answers, brought onto the student's side; one that cannot be is refused."""
    needs = [_needs(name) for name in settings.method]
    way, frames = lookup.find("distill.answers", bench.task.answers), frames_of(bench)
    if all(need == PEERS for need in needs):
        unseen = settings.method and settings.data.unlabelled
        return way.sure(NoTeacher(), settings.confidence) if unseen else NoTeacher()
    placed = any({"frames", "occupancy", "cells"} & need for need in needs)
    several = max(len(settings.cache.dirs), len(settings.teacher)) > 1
    frames = frames if placed or several else 0
    found, scores = [], []
    for folder in settings.cache.dirs:
        cache = Cache(folder)
        check_cache(settings, bench, cache)
        found.append(way.recorded(Cached(cache), cache.card, bench.task, frames))
        scores.append(cache.card.provenance)
    for folder in settings.teacher if not found else ():
        live = Live(folder, bench.accelerator.device)
        if live.loaded.task.answers != bench.task.answers:
            raise BadSettings(f"teacher={folder}: does another task than task={settings.task.name}")
        found.append(way.live(live, bench.task, frames))
        scores.append(fingerprint.score_of(live.loaded.config))
    known = comparable(scores)
    if settings.ensemble == "best" and len(found) > 1 and not known:
        raise BadSettings(
            "ensemble=best: the teachers' cards were not measured on the same data, so none is known to be "
            "best; give that one alone, or take ensemble=per_sample"
        )
    one = found[0] if len(found) == 1 else way.together(found, settings.ensemble, known, bench.task)
    whole = one if settings.cache.dirs else way.derived(one)
    return way.sure(whole, settings.confidence) if settings.data.unlabelled else whole


def comparable(scores: list[dict[str, str]]) -> list[float]:
    """How good the teachers are, if all were measured on the same data; else none."""
    known = [next((h.name for h in headings.MAIN if h.name in score), "") for score in scores]
    if len({score.get("measured") for score in scores}) > 1 or not all(known):
        return []
    return [float(score[name]) for score, name in zip(scores, known, strict=True)]


def make_objective(settings: Settings, bench: Bench, teacher: Teacher) -> Objective:
    """The student's step; the teacher is asked for what its methods need, and refused if it cannot answer."""
    student, theirs = shapes_of(bench), teacher.shapes

    def made(model: nn.Module) -> Objective:
        changes = losses.make(settings.loss, model, bench.task)
        return Objective(model, bench.task, settings.method, student, theirs, changes)

    objective = made(bench.model)
    if objective.needs >= PEERS:
        objective.peers.append(made(peers.make(bench, settings.peer)))
    elif settings.peer:
        raise BadSettings(f"peer={settings.peer}: no method has a second student learn; method=mutual does")
    kinds = {"frames" if need == "answers" else need for need in objective.needs - {"features"} - PEERS}
    teacher.want(Wanted(frozenset(kinds), objective.taps))
    return objective


def _needs(name: str) -> frozenset[str]:
    """What a method asks for whatever its settings are."""
    return getattr(lookup.find("distill.methods", name).Method, "needs", frozenset())


def frames_of(bench: Bench) -> int:
    """L of the student."""
    model: Any = bench.model
    return model.frames


def shapes_of(bench: Bench) -> Shapes:
    """What the student answers, by one forward pass on the device `meta`: nothing is computed."""
    answer = answer_of(bench.model, bench.task.image)
    return Shapes(frames_of(bench), bench.task.channels, sizes(answer), answer.grids)


def story(settings: Settings, teacher: Teacher) -> dict[str, Any]:
    """What the student's config.json says of how it was taught."""
    told = {"method": plain(settings.method), **({"loss": plain(settings.loss)} if settings.loss else {})}
    if not settings.method:
        return told
    found = teacher.story()
    return {**told, "control": control(settings).name, **({"teacher": found} if found else {})}


def identity(told: dict[str, Any]) -> dict[str, str]:
    """What a run is bound to, under whatever path: digests of the teacher's weights and of the cache."""
    teacher = told.get("teacher", {})
    return {
        name: teacher[key] for name, key in (("teacher", "weights"), ("cache", "cache")) if key in teacher
    }


def check_cache(settings: Settings, bench: Bench, cache: Cache) -> None:
    """Refuses a cache that is not about what this run will show its student."""
    loader, where, card = bench.train_loader, cache.path, cache.card
    weights = [modelfolder.weights_digest(folder) for folder in settings.teacher]
    if weights and card.teacher.weights not in weights:
        fingerprint.check(where, card, {"teacher": {**asdict(card.teacher), "weights": weights[0]}})
    fingerprint.check_data(where, card, loader.shards.manifests)
    doing = {
        "image": loader.image,
        "augment": loader.augment.settings,
        "augment_code": code_hash(),
        "population": loader.mosaics.population,
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
    against = control(settings)
    if settings.dry_run or not settings.method or (against / "best").is_dir():
        return "", training.next_command(settings)
    dropped = ("method", "teacher", "peer", "control", "run.name", "json")
    keep = [a for a in argv if not a.partition("=")[0].startswith(dropped)]
    if not settings.cache.dirs and settings.teacher:
        keep.append(f"teacher={','.join(settings.teacher)}")
    keep += ["method=none", f"run.name={against.name}"]
    return (
        f"verdict: NOT JUDGED, there is no control {against}; the next command trains it",
        f"accelerate launch distill/student.py {shlex.join(keep)}",
    )
