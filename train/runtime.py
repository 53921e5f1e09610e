"""The process: Accelerator, ranks, seeds, and the ways a run is asked to stop.

Two processes on a CPU start with
    OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 2 \
        --num_machines 1 --mixed_precision no --dynamo_backend no train/teacher.py ...
Other lines silently start one process, or two that know nothing of each other: `open_accelerator` refuses
both.
"""

import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from shards.errors import BadSettings, Preempted, Stop
from train import zero

TWO_ON_CPU = (
    "OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 2 "
    "--num_machines 1 --mixed_precision no --dynamo_backend no ..."
)


def open_accelerator(precision: str, accumulation: int, processes: int = 0) -> Accelerator:
    """The Accelerator of this process. processes: how many there must be, 0 = as the launcher was told."""
    accelerator = Accelerator(
        mixed_precision=precision,
        gradient_accumulation_steps=accumulation,
        kwargs_handlers=zero.handlers() if zero.asked() else [],
    )
    if precision == "fp16" and accelerator.scaler is None:  # accelerate would train in fp32 without a word
        raise BadSettings(
            f"fit.precision=fp16: {accelerator.device.type} has no fp16 training; "
            "take fit.precision=bf16, or fp32"
        )
    found = accelerator.num_processes
    asked = {
        "asked for by processes=": processes,
        "on the launcher's command line": _asked_of_launcher(_command_of(os.getppid())),
        "in WORLD_SIZE": int(os.environ.get("WORLD_SIZE", 0)),
    }
    for source, count in asked.items():
        if count and count != found:
            raise BadSettings(
                f"{found} processes in this group, {count} {source}; two on a CPU start with: {TWO_ON_CPU}"
            )
    return accelerator


def _command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _is_launcher(command: list[str]) -> bool:
    names = ("accelerate", "torchrun", "torch.distributed", "train.search", "train/search.py")
    return any(name in part for part in command for name in names if " " not in part)  # no shell's -c text


def _launcher() -> int:
    """The process id of the launcher that is this process's parent; 0 where any other process started it.

    ACCELERATE_* says nothing here: Accelerator itself sets some, and people export ACCELERATE_USE_CPU.
    """
    parent = os.getppid()
    return parent if "LOCAL_RANK" in os.environ or _is_launcher(_command_of(parent)) else 0


def _asked_of_launcher(command: list[str]) -> int:
    """The process count on the command line of `accelerate launch` or torchrun; 0 if it says nothing."""
    if not _is_launcher(command):
        return 0
    said = {}
    for place, part in enumerate(command):
        name, equals, value = part.partition("=")
        said[name.replace("_", "-")] = value if equals else (command[place + 1 : place + 2] or [""])[0]
    count, each, nodes = (said.get(f"--{k}", "") for k in ("num-processes", "nproc-per-node", "nnodes"))
    if count.isdigit():
        return int(count)
    if each.isdigit():
        nodes = nodes or "1"
        return int(each) * int(nodes) if nodes.isdigit() else 0  # 1:4 = as many as there are
    return _asked_in_file(Path(said["--config-file"])) if "--config-file" in said else 0


def _asked_in_file(path: Path) -> int:
    from omegaconf import OmegaConf

    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
        return int(content.get("num_processes", 0)) if isinstance(content, dict) else 0
    except (OSError, ValueError):
        return 0


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch alike on every rank: initial weights are a function of the seed."""
    set_seed(seed)


def repeat(strict: bool, device: str, varies: Collection[str]) -> None:
    """From now on an operation that may vary is an error, or not; BadSettings where the loss itself is one.

    device: the kind that trains, cpu or cuda; varies: the kinds on which gradients of the loss vary.
    """
    if strict and device in varies:
        raise BadSettings(
            f"repro=strict: on {device} the gradient of this loss is not the same twice, the first step "
            "would fail; leave repro=usual, or train on a CPU: ACCELERATE_USE_CPU=true"
        )
    torch.use_deterministic_algorithms(strict)


def gather(accelerator: Accelerator, value: Any) -> list[Any]:
    """The value of every rank, in rank order, on every rank."""
    if accelerator.num_processes == 1:
        return [value]
    values: list[Any] = [None] * accelerator.num_processes
    torch.distributed.all_gather_object(values, value)
    return values


def on_main(accelerator: Accelerator, action: Callable[[], object]) -> None:
    """Runs an action on rank 0 while the others wait; a Stop raised there is raised on every rank."""
    error = None
    if accelerator.is_main_process:
        try:
            action()
        except Stop as stop:
            error = stop
    error = gather(accelerator, error)[0]
    if error is not None:
        raise error


@contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """Work that all ranks end together, done or preempted; then the process group is closed."""
    try:
        yield
    except Preempted:
        close(accelerator)
        raise
    close(accelerator)


def close(accelerator: Accelerator) -> None:
    """Ends the process group; its threads would otherwise bring a process down at its exit, now and then."""
    if accelerator.num_processes > 1:
        accelerator.wait_for_everyone()
        torch.distributed.destroy_process_group()


def agree_on_buffers(accelerator: Accelerator, model: torch.nn.Module) -> None:
    """Gives every rank rank 0's buffers: batch statistics drift apart between forward passes of DDP."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


class StopRequest:
    """Whether this process was asked to stop: SIGTERM, SIGUSR1, SIGUSR2, SIGINT, or a launcher that died.

    Only a launcher is watched: a shell that started the run may end while it goes on.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)

    def __init__(self) -> None:
        self.reason = ""
        self._launcher = _launcher()
        self._before = {s: signal.signal(s, self._heard) for s in self.SIGNALS}

    def _heard(self, number: int, frame: object) -> None:
        self.reason = signal.Signals(number).name

    def asked(self) -> bool:
        """True once somebody did."""
        if not self.reason and self._launcher and os.getppid() != self._launcher:
            self.reason = "launcher died"
        return bool(self.reason)

    def close(self) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
