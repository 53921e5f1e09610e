"""Training runs for tests: a tiny CRNN, in this process or as commands."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate.state import AcceleratorState, GradientState, PartialState

from shards import config
from train import search, training, workbench
from train.steps import TaskStep

ROOT = Path(__file__).resolve().parent.parent.parent
# 96 words in batches of 16: 6 steps an epoch. cer, because at first it rises: `best` is not always step 0.
TINY = [
    "model=crnn", "model.channels=4,4,4,4,4,4,8", "model.map_to_seq=8", "model.rnn_hidden=8",
    "optim.lr=0.003", "fit.epochs=2", "fit.batch=16", "fit.log_every=1", "fit.select=cer", "data.threads=1",
]  # fmt: skip
TWO = [
    "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no", "--main_process_port", "0",
]  # fmt: skip


@pytest.fixture
def forget_accelerate() -> Iterator[Callable[[], None]]:
    """A process opens one Accelerator; here each run opens its own, after calling this."""

    def forget() -> None:
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()

    yield forget
    forget()


@pytest.fixture
def train(words, tmp_path, forget_accelerate) -> Callable:
    """train(name, *settings, teach=, wrap=) trains in this process below tmp_path; returns the result."""

    def run(name: str, *more: str, teach=lambda batch: batch, wrap=TaskStep, data: Path = words):
        forget_accelerate()
        argv = [*TINY, f"run.name={name}", f"run.root={tmp_path}", f"data.root={data}", *more]
        bench = workbench.bench(config.read(workbench.Settings, "teacher", argv), "train.teacher")
        return training.run(bench, wrap(bench.model, bench.task), teach, story={})

    return run


def environment(**more: str) -> dict[str, str]:
    """That of a shell without a launcher around it."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("ACCELERATE_", "MASTER_", "TORCHELASTIC"))
    }
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        kept.pop(name, None)
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


@pytest.fixture
def command(words, tmp_path) -> Iterator[SimpleNamespace]:
    """start(name, *settings, processes=, script=) begins train/teacher.py; run(...) waits: (code, output)."""
    begun: list[subprocess.Popen] = []

    def start(name: str, *more: str, processes: int = 1, launcher=None, script: str = "", **env: str):
        line = [sys.executable, *(["-m", "accelerate.commands.launch", *TWO] if processes == 2 else [])]
        entry = ROOT / "train" / "teacher.py"
        if script:
            entry = tmp_path / "script.py"
            entry.write_text(script)
        env = ({"ACCELERATE_USE_CPU": "true"} if processes == 2 else {}) | env
        argv = [*TINY, f"run.name={name}", f"run.root={tmp_path / 'runs'}", f"data.root={words}", *more]
        process = subprocess.Popen(
            [*(launcher or line), str(entry), *argv], cwd=tmp_path, env=environment(**env), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        return process

    def run(name: str, *more: str, **how) -> tuple[int, str]:
        process = start(name, *more, **how)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output

    yield SimpleNamespace(start=start, run=run, runs=tmp_path / "runs")
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


@pytest.fixture
def look(tmp_path, monkeypatch) -> Callable:
    """look(*arguments) searches over the double of a training into tmp_path/out; returns leaderboard.json."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def go(*arguments: str) -> dict:
        search.main(
            [f"entry={Path(__file__).with_name('searched.py')}", f"out={tmp_path / 'out'}", *arguments]
        )
        return json.loads((tmp_path / "out" / "leaderboard.json").read_text())

    return go
