"""The run folder: runs/<name>/{best,last}/, config.yaml, metrics.jsonl, status.json, state/, one lock.

metrics.jsonl is the truth about a run; `state/` is accelerate's and only `fit` reads it.
"""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from shards import progress
from shards.errors import BadSettings
from shards.manifest import canonical, write_bytes

# Settings that may differ when a run goes on: they change when it ends or how it is watched, not what it computes.
FREE = ("time_limit", "json", "dry_run", "data.threads", "processes", "fit.log_every")


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
        self._lock: Any = None

    def open(self, config: dict[str, Any]) -> None:
        """Takes the lock and writes config.yaml; a run begun with other settings is refused, naming both values."""
        if not self.main:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / ".lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadSettings(f"{self.path} is in use by another process; choose another run.name=") from None
        self.agree(config)
        write_bytes(
            self.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config), sort_keys=True).encode()
        )

    def agree(self, config: dict[str, Any]) -> None:
        """Refuses settings that differ from those the run was begun with."""
        if not (self.path / "config.yaml").exists():
            return
        begun, now = _flat(OmegaConf.to_container(OmegaConf.load(self.path / "config.yaml"))), _flat(config)
        for key in sorted(begun.keys() | now.keys()):
            if key not in FREE and begun.get(key) != now.get(key):
                raise BadSettings(
                    f"{self.path} was begun with {key}={begun.get(key)}, now it is {now.get(key)}; "
                    f"choose another run.name= or remove the folder"
                )

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def status(self, state: str, code: int | None = None, reason: str = "", **more: Any) -> None:
        """Writes status.json."""
        if self.main:
            progress.status(self.path, state, code, reason, **more)

    def log(self, step: int, values: dict[str, float]) -> None:
        """Appends a line to metrics.jsonl."""
        if self.main:
            with open(self.path / "metrics.jsonl", "ab") as file:
                file.write(canonical({"global_step": step, **values}) + b"\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl; a last line cut by a crash is left out."""
        return read_metrics(self.path)

    def rewind(self, step: int) -> None:
        """Drops logged lines after a step: they will be computed again."""
        if self.main and (self.path / "metrics.jsonl").exists():
            kept = [line for line in self.metrics() if line["global_step"] <= step]
            write_bytes(self.path / "metrics.jsonl", b"".join(canonical(line) + b"\n" for line in kept))

    def newest_state(self) -> Path | None:
        """The newest whole training state; one still being written has another name."""
        whole = sorted(
            p for p in self.states.glob("step-*") if p.suffix != ".part" and (p / "position.json").exists()
        )
        return whole[-1] if whole else None

    def commit_state(self, part: Path) -> None:
        """Makes a written state the newest and removes the ones before it."""
        if not self.main:
            return
        for file in part.rglob("*"):
            if file.is_file():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
        final = part.with_suffix("")
        if final.exists():
            shutil.rmtree(final)
        os.replace(part, final)
        for other in self.states.iterdir():
            if other != final:
                shutil.rmtree(other)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    path = folder / "metrics.jsonl"
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
