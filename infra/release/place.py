"""Where the checks of a release work, and what one of them finds."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.errors import GateFailed

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "infra" / "constraints.txt"
TAIL = 300  # characters of what a command said that are shown when it failed


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: a table, and what failed with its remedy."""

    columns: Sequence[str]
    rows: list[list[str]]
    failures: list[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the checks work: a folder, and an empty environment in it."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of the environment; the environment is made when it is first asked for."""
        python = self.folder / "venv" / "bin" / "python"
        if not python.exists():
            call(sys.executable, "-m", "venv", self.folder / "venv")
            # pip of 2023 tells nothing of the field License-Expression
            call(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
        return python

    def install(self, *what: object, pinned: bool = True) -> subprocess.CompletedProcess[str]:
        """pip of the environment; pinned: under the constraints."""
        under = ("-c", CONSTRAINTS) if pinned else ()
        return call(self.python, "-m", "pip", "install", "--quiet", *under, *what, check=False)


def call(*command: object, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
    """A command's result; with check, GateFailed where its code is not 0."""
    line = [str(part) for part in command]
    done = subprocess.run(line, capture_output=True, text=True, **more)  # pyright: ignore
    if check and done.returncode:
        raise GateFailed(f"{' '.join(line)}: code {done.returncode}: {tail(done)}")
    return done


def tail(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a command said, on one line."""
    return " ".join((done.stderr.strip() or done.stdout.strip()).split())[-TAIL:]


def code(done: subprocess.CompletedProcess[str]) -> str:
    """The code of a command, for a table."""
    return f"code {done.returncode}"
