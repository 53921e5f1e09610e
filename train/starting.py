"""What weights a run begins with: its own, another model's (init_from), or some parts of one (init_parts).

charset.mode says what to do where the model given has other characters than the run: `fail` refuses; `union`
puts those it lacks behind its own, so that its answers for the old ones stay as they are to the last bit;
`new` takes the run's characters and a classifier that knows nothing yet.
"""

from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from shards import config
from shards.config import Choice
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find, unknown
from train import modelfolder

LONGEST = 400  # characters of a difference that an error shows


@dataclass
class Settings:
    """Fine-tuning on other characters than those the model knows."""

    mode: Literal["fail", "union", "new"] = "fail"  # refuse others, add them to the model's, or begin anew


class Chosen(Protocol):
    """The settings of a run that decide it."""

    task: Choice
    model: Choice
    image: ImageSpec
    charset: Settings
    init_from: str
    init_parts: list[str]


def build(chosen: Chosen) -> tuple[Any, nn.Module, list[str]]:
    """Task, model with the weights it begins with, and what there is to say about these."""
    member = find("train.models", chosen.model.name).Model
    if not getattr(member, "trains", True):
        raise BadSettings(f"model={chosen.model.name}: such a model answers only, it cannot be trained")
    if chosen.init_parts and not chosen.init_from:
        raise BadSettings(f"init_parts={','.join(chosen.init_parts)} needs init_from=MODEL, whose they are")
    if chosen.charset.mode != "fail" and (not chosen.init_from or chosen.init_parts):
        raise BadSettings(f"charset.mode={chosen.charset.mode} is of init_from= without init_parts=")
    given = modelfolder.load(chosen.init_from) if chosen.init_from else None
    task = _task(chosen, given)
    model = member(chosen.model.settings, task.image, task.channels)
    if given is None:
        return task, model, []
    if chosen.init_parts:
        return task, model, _copy_parts(chosen, given, model, task)
    return task, model, _copy_all(chosen, given, model, task)


def _task(chosen: Chosen, given: modelfolder.Loaded | None) -> Any:
    """The task; with charset.mode=union over the characters of both."""
    module, settings = find("train.tasks", chosen.task.name), chosen.task.settings
    if given is not None and chosen.charset.mode == "union" and not chosen.init_parts:
        settings = module.joined(given.task.settings, module.Task(settings, chosen.image).settings)
    return module.Task(settings, chosen.image)


def _copy_all(chosen: Chosen, given: modelfolder.Loaded, model: nn.Module, task: Any) -> list[str]:
    theirs, mine = config.plain(given.task.settings), config.plain(task.settings)
    made = {"name": given.config["model"]["name"], "settings": config.plain(given.model.settings)}
    wanted = {"name": chosen.model.name, "settings": config.plain(chosen.model.settings)}
    kinds: list[tuple[str, Any, Any]] = [
        ("image", config.plain(given.task.image), config.plain(task.image)),
        ("model", made, wanted),
    ]
    same = _meaning(theirs) == _meaning(mine)
    if chosen.charset.mode == "fail" and not same:
        kinds.insert(1, ("task", theirs, mine))
    for name, there, here in kinds:
        if there != here:
            remedy = "; charset.mode=union or new goes on all the same" if name == "task" else ""
            there, here = shorten(str(there), LONGEST), shorten(str(here), LONGEST)
            raise BadSettings(f"init_from={chosen.init_from}: {name} is {there}, this run has {here}{remedy}")
    kept = 0 if chosen.charset.mode == "new" and not same else given.task.channels
    own, tensors = model.state_dict(), given.model.state_dict()
    classes = _of_classes(chosen, task.image)
    with torch.no_grad():
        for name, value in tensors.items():
            rows = kept if name in classes else len(own[name]) if own[name].ndim else None
            _take(own[name], value, rows)
    return [_told(chosen.init_from, len(own), len(classes), given.task.channels, kept, task.channels)]


def _meaning(settings: dict[str, Any]) -> dict[str, Any]:
    """A task's settings but for where its characters came from."""
    return {name: value for name, value in settings.items() if name not in ("charset", "base")}


def _take(own: Tensor, value: Tensor, rows: int | None) -> None:
    """Copies the first rows in place; None: the tensor has none, and is copied whole."""
    if rows is None:
        own.copy_(value)
    else:
        own[:rows].copy_(value[:rows])


def _told(source: str, tensors: int, classes: int, there: int, kept: int, here: int) -> str:
    if kept == there == here:
        return f"init_from={source}: all {tensors} tensors taken"
    old = (
        f"the {there} classes it had kept, {here - kept} new"
        if kept
        else f"{here} new classes for its {there}"
    )
    return f"init_from={source}: {tensors - classes} tensors taken whole; of the {classes} with classes {old}"


def _of_classes(chosen: Chosen, image: ImageSpec) -> set[str]:
    """The tensors whose rows are classes: those that another number of classes changes."""
    member = find("train.models", chosen.model.name).Model
    with torch.device("meta"):
        few, more = (member(chosen.model.settings, image, n).state_dict() for n in (2, 3))
    return {name for name in few if few[name].shape != more[name].shape}


def _copy_parts(chosen: Chosen, given: modelfolder.Loaded, model: nn.Module, task: Any) -> list[str]:
    """Begins with some parts of another model, say its trunk or its head; they must have the same shapes."""
    theirs, mine = given.model.state_dict(), model.state_dict()
    same_classes = _meaning(config.plain(given.task.settings)) == _meaning(config.plain(task.settings))
    classes, taken = _of_classes(chosen, task.image), 0
    for part in chosen.init_parts:
        names = [name for name in theirs if name == part or name.startswith(f"{part}.")]
        if not names:
            parts = list(dict.fromkeys(name.partition(".")[0] for name in theirs))
            raise BadSettings(unknown(f"init_parts: {chosen.init_from}", part, parts))
        for name in names:
            there, here = list(theirs[name].shape), list(mine[name].shape) if name in mine else None
            if there != here:
                raise BadSettings(
                    f"init_parts={part}: {name} is {there} in {chosen.init_from}, "
                    f"{here or 'not there'} in this model"
                )
        if not same_classes and classes & set(names):
            raise BadSettings(f"init_parts={part}: its classes mean other characters in {chosen.init_from}")
        mine |= {name: theirs[name] for name in names}
        taken += len(names)
    model.load_state_dict(mine)
    return [
        f"init_from={chosen.init_from}: {taken} of {len(mine)} tensors taken ({', '.join(chosen.init_parts)})"
    ]
