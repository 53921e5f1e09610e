"""The run folder: runs/<name>/{best,last}/, config.yaml, metrics.jsonl, status.json, state/, one lock.

metrics.jsonl is the truth about a run; `state/` is accelerate's and only `fit` reads it.
"""

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from shards import lock, progress
from shards.errors import BadSettings
from shards.storage import sync
from shards.written import canonical, read_json, write_bytes, write_json

# Settings that may differ when a run goes on: they change when it ends or how it is watched, not what it
# computes. Data, cache and teacher may have moved: data.digest and identity say whether they are the same.
FREE = (
    "cache.dirs",
    "teacher",
    "run.root",
    "time_limit",
    "json",
    "dry_run",
    "data.root",
    "data.threads",
    "data.memory",
    "data.on_damage",
    "processes",
    "fit.log_every",
)
FREE_GROUPS = ("tracking", "limit")
MISTAKES = "mistakes.json"  # what the newest evaluation got wrong
POSITION = "position.json"  # the last file of a state: where there is one, the state is whole
LOGS = ("metrics.jsonl", "damaged.jsonl", "nonfinite.jsonl")


@dataclass
class Settings:
    """Which run this is."""

    name: str = ""  # the run's folder is <root>/<name>; the same name again goes on with it
    root: str = "runs"  # where run folders live


class RunFolder:
    """One run's folder. Only rank 0 (main=True) writes; the others share the reading."""

    def __init__(self, settings: Settings, main: bool = True) -> None:
        if not settings.name:
            raise BadSettings(
                "run.name= is required: the name of the run's folder, for example run.name=first"
            )
        self.path, self.main = Path(settings.root) / settings.name, main
        self.best, self.last, self.states = self.path / "best", self.path / "last", self.path / "state"
        self._lock = -1
        self.mirror: Any = None  # a train.tracking.Mirror once there is one

    def open(self, config: dict[str, Any]) -> None:
        """Takes the lock and writes config.yaml; other settings than the run's are refused, with both."""
        if not self.main:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        refusal = f"{self.path} is in use by another process; choose another run.name="
        self._lock = lock.take_in(self.path, refusal)
        try:
            self.agree(config)
        except BaseException:
            self.close()
            raise
        text = OmegaConf.to_yaml(OmegaConf.create(config), sort_keys=True).encode()
        path = self.path / "config.yaml"
        if not path.exists() or path.read_bytes() != text:
            write_bytes(path, text)

    def agree(self, config: dict[str, Any]) -> None:
        """Refuses settings other than those the run was begun with: those of its first saved state."""
        if self.newest_state() is None or not (self.path / "config.yaml").exists():
            return
        begun, now = read_config(self.path), _flat(config)
        for key in sorted(begun.keys() | now.keys()):
            if not free(key) and begun.get(key) != now.get(key):
                # Even more epochs are another run: the learning rate is a function of all steps.
                raise BadSettings(
                    f"{self.path} was begun with {key}={begun.get(key)}, now it is {now.get(key)}; "
                    f"choose another run.name= (init_from={self.last} begins with these weights) "
                    "or remove the folder"
                )

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self.mirror:
            self.mirror.close()
            self.mirror = None

    def status(self, state: str, code: int | None = None, reason: str = "", **more: Any) -> None:
        """Writes status.json."""
        if self.main:
            progress.status(self.path, state, code, reason, **more)

    @property
    def done(self) -> bool:
        """Whether status.json says that the run has ended well."""
        path = self.path / "status.json"
        return path.exists() and read_json(path).get("state") == "done"

    def log(self, step: int, values: dict[str, float]) -> None:
        """Appends a line to metrics.jsonl; what is not finite, JSON can only say as null."""
        finite = {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in values.items()}
        self.append("metrics.jsonl", step, finite)
        if self.mirror:
            self.mirror.log(step, finite)

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """Keeps what the newest evaluation got wrong (see train.mistakes)."""
        if self.main:
            write_json(self.path / MISTAKES, {"format": 1, "global_step": step, **found})
        if self.mirror:
            self.mirror.mistakes(step, found)

    def append(self, name: str, step: int, values: dict[str, Any]) -> None:
        """Appends a line to one of the LOGS."""
        if self.main:
            with open(self.path / name, "ab") as file:
                file.write(canonical({"global_step": step, **values}) + b"\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl; a last line cut by a crash is left out."""
        return read_lines(self.path / "metrics.jsonl")

    def rewind(self, step: int, evaluated: int) -> None:
        """Drops lines logged after a step, and evaluations after `evaluated`: they will be computed again."""
        for path in (self.path / name for name in LOGS):
            if self.main and path.exists():
                kept = [
                    line
                    for line in read_lines(path)
                    if line["global_step"] <= (evaluated if any(k.startswith("val/") for k in line) else step)
                ]
                write_bytes(path, b"".join(canonical(line) + b"\n" for line in kept))
        found = self.path / MISTAKES
        if self.main and found.exists() and read_json(found).get("global_step", -1) > evaluated:
            found.unlink()

    def newest_state(self) -> Path | None:
        """The newest whole training state; one still being written has another name."""
        whole = sorted(
            p for p in self.states.glob("step-*") if p.suffix != ".part" and (p / POSITION).exists()
        )
        return whole[-1] if whole else None

    def commit_state(self, part: Path) -> None:
        """Makes a written state the newest and removes the ones before it."""
        for path in (*part.rglob("*"), part):
            sync(path)
        final = part.with_suffix("")
        if final.exists():  # not whole, or it would have been resumed from
            shutil.rmtree(final)
        os.replace(part, final)
        sync(self.states)
        for other in self.states.iterdir():
            if other != final:
                shutil.rmtree(other)


def free(key: str) -> bool:
    """Whether a setting, by its dotted key, may differ when a run goes on."""
    return key in FREE or key.split(".")[0] in FREE_GROUPS


def read_config(folder: Path) -> dict[str, Any]:
    """A run's config.yaml by dotted keys."""
    return _flat(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return read_lines(folder / "metrics.jsonl")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file up to the first that is not whole; none where there is no file."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    values = []
    for line in lines:
        try:
            values.append(json.loads(line))
        except ValueError:
            break
    return values


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= _flat(value, f"{path}.{key}" if path else str(key))
    return out
