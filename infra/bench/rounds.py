"""Rounds: contenders take turns in one process, and what is told are ratios within the same round.

A pass does its work once and returns how many images that was. The first pass of each is not counted: it
warms the page cache and pools, and fills what is kept in memory. Two speeds: images per second of wall time,
and per second of processor time (all threads, and the worker processes that have ended), which says what it
costs one core and which other programs disturb less.
"""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL
import torch

from shards.errors import BadSettings

Contenders = dict[str, Callable[[], int]]


@dataclass(frozen=True, slots=True)
class Pass:
    """Images per second, of wall time and of processor time."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median, smallest and largest of the ratios of the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Found:
    """What the rounds gave."""

    def __init__(self, passes: dict[str, list[Pass]]) -> None:
        self.passes = passes

    def speed(self, name: str, by: str = "wall") -> float:
        """The median speed of a contender, images per second; by: wall or cpu."""
        return statistics.median(getattr(one, by) for one in self.passes[name])

    def ratio(self, name: str, base: str, by: str = "wall") -> Ratio:
        """How many times as fast as `base` a contender was."""
        pairs = zip(self.passes[name], self.passes[base], strict=True)
        ratios = [getattr(mine, by) / getattr(theirs, by) for mine, theirs in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def take_turns(contenders: Contenders, rounds: int) -> Found:
    """A B C, A B C, ...: the passes of every contender, one in each round."""
    passes: dict[str, list[Pass]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            one = _timed(contender)
            if turn:
                passes[name].append(one)
    return Found(passes)


def _timed(contender: Callable[[], int]) -> Pass:
    wall, cpu = time.perf_counter(), _processor_seconds()
    images = contender()
    return Pass(images / (time.perf_counter() - wall), images / (_processor_seconds() - cpu))


def _processor_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def at_least(settings: object, **least: int) -> None:
    """Refuses settings that are smaller than they can be."""
    for name, value in least.items():
        if getattr(settings, name) < value:
            raise BadSettings(f"{name}={getattr(settings, name)}: must be at least {value}")


def machine(threads: int) -> str:
    """The line that says where the figures were made."""
    cpu = platform.processor() or platform.machine()
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{cpu}, {os.cpu_count()} cores{gpu}; {threads} thread(s); Python {platform.python_version()}, torch "
        f"{torch.__version__}, Pillow {PIL.__version__}; page cache warm; ratios: median [least, greatest]"
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a Markdown table; numbers as whole ones with commas."""
    cells = [[f"{cell:,.0f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells)]
    print(f"**{title}**\n", *lines, "", sep="\n", flush=True)
