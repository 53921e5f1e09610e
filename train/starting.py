"""What weights a run begins with: its own, another model's (init_from), or some parts of one (init_parts).

charset.mode says what to do where the model given has other characters than the run: `fail` refuses; `union`
puts those it lacks behind its own, so that its answers for the old ones stay as they are to the last bit;
`new` takes the run's characters and a classifier that knows nothing yet.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from shards import config
from shards.config import Choice
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find, unknown
from train import mismatch, modelfolder
from train.mismatch import Mismatch

MODES = "charset.mode=union (or new)"  # go on with other characters


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
    if given is not None:
        _check_kind(chosen, given)
    task = _task(chosen, given)
    model = member(chosen.model.settings, task.image, task.channels)
    if given is None:
        return task, model, []
    if chosen.init_parts:
        return task, model, _copy_parts(chosen, given, model, task)
    return task, model, _copy_all(chosen, given, model, task)


def _check_kind(chosen: Chosen, given: modelfolder.Loaded) -> None:
    """Refuses a model without weights to begin with, and one of another task."""
    if not getattr(given.model, "trains", True):
        raise BadSettings(
            f"init_from={chosen.init_from}: it answers only; give the checkpoint it was made of"
        )
    name = given.config["task"]["name"]
    if name != chosen.task.name and not chosen.init_parts:
        raise BadSettings(
            f"init_from={chosen.init_from}: task is {name}, this run has {chosen.task.name}; "
            f"to go on: task={name}, or init_parts=, some parts alone"
        )


def _task(chosen: Chosen, given: modelfolder.Loaded | None) -> Any:
    """The task; with charset.mode=union over the characters of both."""
    module, settings = find("train.tasks", chosen.task.name), chosen.task.settings
    if given is not None and chosen.charset.mode == "union" and not chosen.init_parts:
        settings = module.joined(given.task.settings, module.Task(settings, chosen.image).settings)
    return module.Task(settings, chosen.image)


def _copy_all(chosen: Chosen, given: modelfolder.Loaded, model: nn.Module, task: Any) -> list[str]:
    same = _meaning(given.task.settings) == _meaning(task.settings)
    found = _mismatch(chosen, given, task)
    if chosen.charset.mode == "fail" and not same:
        found.compare("task", _meaning(given.task.settings), _meaning(task.settings), MODES)
    if found.told:
        raise BadSettings(f"init_from={chosen.init_from}: {found}; to go on: {' '.join(found.ways)}")
    kept = 0 if chosen.charset.mode == "new" and not same else given.task.channels
    own, tensors = model.state_dict(), given.model.state_dict()
    classes = _of_classes(chosen, task.image)
    with torch.no_grad():
        for name, value in tensors.items():
            rows = kept if name in classes else len(own[name]) if own[name].ndim else None
            _take(own[name], value, rows)
    told = _told(chosen.init_from, len(own), len(classes), given.task.channels, kept, task.channels)
    alone = find("train.tasks", chosen.task.name).Task(chosen.task.settings, chosen.image)
    asked, fold = (config.plain(one.settings).get("fold") for one in (alone, task))
    return [told] if asked == fold else [told, f"labels folded as that model folds them: task.fold={fold}"]


def _mismatch(chosen: Chosen, given: modelfolder.Loaded, task: Any) -> Mismatch:
    """Where image and architecture of the model given are not the run's."""
    found = Mismatch()
    found.compare("image", config.plain(given.task.image), config.plain(task.image))
    found.compare_models(Choice(given.config["model"]["name"], given.model.settings), chosen.model)
    return found


def _meaning(settings: Any) -> dict[str, Any]:
    """A task's settings but for where its characters came from."""
    plain = config.plain(settings)
    return {name: value for name, value in plain.items() if name not in ("charset", "base")}


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
    classes, taken = _of_classes(chosen, task.image), 0
    same = _meaning(given.task.settings) == _meaning(task.settings)
    strange = set() if same else classes
    others = mismatch.fitting(theirs, mine, strange)
    ways = [*_mismatch(chosen, given, task).ways, *([f"init_parts={','.join(others)}"] if others else [])]
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
                    f"{here or 'not there'} in this model; to go on: {' or '.join(ways)}"
                )
        if strange & set(names):
            raise BadSettings(
                f"init_parts={part}: its classes mean other characters in {chosen.init_from}; "
                f"to go on: {' or '.join(ways)}"
            )
        mine |= {name: theirs[name] for name in names}
        taken += len(names)
    model.load_state_dict(mine)
    return [
        f"init_from={chosen.init_from}: {taken} of {len(mine)} tensors taken ({', '.join(chosen.init_parts)})"
    ]
