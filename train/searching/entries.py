"""The script that a search runs: what settings it takes, asked in this process, before the first trial.

An entry is a script that offers `Settings`, a dataclass with `run` (see train.runfolder), and reads it by
`config.read(Settings, <name of the script>, argv)`, as train/teacher.py and distill/student.py do. Of it only
the settings are used here; it is run as a process of its own.
"""

import functools
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from shards import config, lookup
from shards.errors import BadSettings

OURS = ("run.name", "run.root")  # the search gives every trial its own


@dataclass(frozen=True)
class Entry:
    """A script and the type of its settings."""

    path: str
    schema: Any

    def read(self, arguments: Mapping[str, str]) -> Any:
        """The settings that these arguments stand for; a BadSettings if there are none such."""
        return config.read(self.schema, Path(self.path).stem, as_argv(arguments))

    def takes(self, key: str) -> bool:
        """Whether the settings have a field of this name."""
        return any(field.name == key for field in fields(self.schema))

    def applicable(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """Without the keys of members that these arguments do not choose.

        method=none,logits method.logits.weight=.3,.7 so is three settings: the weight is nothing to `none`.
        """
        kept = dict(arguments)
        for field in fields(self.schema):
            if "seams" in field.metadata and field.name in arguments:
                chosen = self._members(field.name, arguments[field.name])
                kept = {key: text for key, text in kept.items() if _within(key, field.name, chosen)}
        return kept

    @functools.cache  # noqa: B019 (there is one entry, and it lives as long as the process)
    def _members(self, key: str, text: str) -> tuple[str, ...]:
        return tuple(getattr(self.read({key: text}), key))

    def metrics(self, arguments: Mapping[str, str]) -> list[str]:
        """The names of the metrics that a run's task computes; [] for an entry without tasks."""
        settings = self.read(arguments)
        if not (self.takes("task") and self.takes("image")):
            return []
        task = lookup.find("train.tasks", settings.task.name).Task(settings.task.settings, settings.image)
        return list(task.meter().compute())


def as_argv(arguments: Mapping[str, str]) -> list[str]:
    """key=value as a command line has them."""
    return [f"{key}={text}" for key, text in arguments.items()]


def load(path: str) -> Entry:
    """The entry in a file; a BadSettings if there is none."""
    example = "for example entry=distill/student.py or entry=train/teacher.py"
    if not path:
        raise BadSettings(f"entry= is required: the script that each trial runs, {example}")
    if not Path(path).is_file() or Path(path).suffix != ".py":
        raise BadSettings(f"entry={path}: no Python script there, {example}")
    name = f"_entry_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the types that their fields name
    spec.loader.exec_module(module)
    schema = getattr(module, "Settings", None)
    if schema is None or "run" not in {field.name for field in fields(schema)}:
        raise BadSettings(
            f"entry={path}: offers no `Settings` with a `run`, so it cannot be searched; {example}"
        )
    return Entry(os.path.normpath(path), schema)


def _within(key: str, seam: str, chosen: tuple[str, ...]) -> bool:
    first, _, rest = key.partition(".")
    return first != seam or not rest or rest.partition(".")[0] in chosen
