"""Training runs for tests: a tiny CRNN, in this process or as commands; and run folders made by hand."""

import base64
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
from train import report, search, training, workbench
from train.steps import TaskStep

ROOT = Path(__file__).resolve().parent.parent.parent
# 96 words in batches of 16: 6 steps an epoch. The first weights of seed 3 spell too much, cer falls at first:
# `best` is not always step 0.
TINY = [
    "model=crnn", "model.channels=4,4,4,4,4,4,8", "model.map_to_seq=8", "model.rnn_hidden=8",
    "optim.lr=0.003", "fit.epochs=2", "fit.batch=16", "fit.log_every=1", "fit.select=cer", "seed=3",
    "data.threads=1",
]  # fmt: skip
SEVERAL = [
    "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no", "--main_process_port", "0", "--num_processes",
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


@pytest.fixture
def bench(forget_accelerate):
    """bench(*settings): everything that a run of a tiny model stands on, opened."""

    def opened(*more: str) -> workbench.Bench:
        forget_accelerate()
        argv = ["run.name=x", *TINY[:4], *more]
        return workbench.bench(config.read(workbench.Settings, "teacher", argv), "test")

    return opened


def environment(**more: str) -> dict[str, str]:
    """That of a shell without a launcher around it."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("ACCELERATE_", "MASTER_", "TORCHELASTIC"))
    }
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        kept.pop(name, None)
    told = {"PYTHONFAULTHANDLER": "1"}  # a process that aborts says where
    return kept | told | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


@pytest.fixture
def command(words, tmp_path) -> Iterator[SimpleNamespace]:
    """start(name, *settings, processes=, script=) begins train/teacher.py; run(...) waits: (code, output)."""
    begun: list[subprocess.Popen] = []

    def start(name: str, *more: str, processes: int = 1, launcher=None, script: str = "", **env: str):
        line = [sys.executable, *([*SEVERAL, str(processes)] if processes > 1 else [])]
        entry = ROOT / "train" / "teacher.py"
        if script:
            entry = tmp_path / "script.py"
            entry.write_text(script)
        env = ({"ACCELERATE_USE_CPU": "true"} if processes > 1 else {}) | env
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


EVIL = "<script>alert('x')</script>"
HEBREW = "\u202eשלום"


def figured(value: float = 0.5) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def got_wrong(examples: int = 3, png: int = 200) -> dict:
    """What was got wrong, full of text that wants to be code."""
    one = {"uid": "0" * 16, "truth": EVIL, "scored": EVIL, "prediction": HEBREW, "score": 0.9}
    one["png"] = base64.b64encode(b"x" * png).decode()
    return {
        "examples": [one] * examples,
        "confusions": [["a", "a", 9], ["<", HEBREW[0], 3], ["", "&", 1], ["a", "", 1]],
        "lengths": [[4, 20, 11], [5, 12, 5]],
        "by_source": {EVIL: {"n": 20, "right": 11}, "b": {"n": 12, "right": 5}},
    }


def evaluated(folder: Path, **more) -> dict:
    """What train.evaluation leaves."""
    return {
        "set": "words-test", "data": "e" * 64, "model": "best", "checkpoint": f"{folder}/best", "n": 32,
        "params": 1234567, "mb": 4.9, "damaged": 0, "word_acc": figured(), "word_acc_ics": figured(0.625),
        "one_minus_ned": figured(0.75), "cer": figured(0.25), "verdict": "BETTER", "difference": 0.1,
        "low": 0.05, "high": 0.15, "against": "runs/control/best", **more,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path) -> Callable[..., Path]:
    """run(name, state=, evaluations=) makes a run folder; evaluations None: as while training."""

    def make(name: str, state: str = "done", evaluations=({},), examples: int = 3, png: int = 200) -> Path:
        path = tmp_path / name
        (path / "eval").mkdir(parents=True)
        (path / "best").mkdir()
        status = {"state": state, "reason": EVIL, "global_step": 50, "heartbeat": 1.7e9, "best": 0.5}
        (path / "status.json").write_text(json.dumps({**status, "best_step": 1234}))
        (path / "config.yaml").write_text(
            f"seed: 0  # {EVIL}\nrun: {{name: {name}}}\ndata: {{root: [data/w], digest: abc}}\n"
        )
        lines: list[dict] = [{"global_step": 0, "data/infeasible": 37, "data/unlabelled": 0}]
        for step in range(1, 50):
            terms = {"train/loss": 5 / step, "train/task": 4 / step, f"train/{EVIL}": 1.0}
            lines.append({"global_step": step, **terms, "perf/images_per_s": 9.0, "train/grad_norm": None})
        lines += [
            {"global_step": 50, "val/word_acc": 0.5, "val/n": 64.0, "val/cer": None, "ctc/nonfinite": 0}
        ]
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"cut')
        (path / "mistakes.json").write_text(json.dumps({"global_step": 50, **got_wrong(examples, png)}))
        damage = {"global_step": 3, "samples": {"00ff": EVIL}}
        (path / "damaged.jsonl").write_text(json.dumps(damage) + "\n")
        facts = {"split": "train", "digest": "d" * 64, "samples": 20480, "licence": EVIL}
        (path / "best" / "config.json").write_text(json.dumps({"data": {"words-train": facts}}))
        for place, more in enumerate(evaluations):
            found = {**evaluated(path, **got_wrong(examples, png)), **more}
            (path / "eval" / f"{place}-best.json").write_text(json.dumps(found))
        return path

    return make


@pytest.fixture(scope="session")
def wrong() -> Callable[..., dict]:
    """wrong(examples, png) -> what an evaluation says was got wrong."""
    return got_wrong


@pytest.fixture(scope="session")
def result() -> Callable[..., dict]:
    """result(folder, **more) -> what train.evaluation leaves."""
    return evaluated


@pytest.fixture
def page() -> Callable[..., str]:
    """page(run folder, ...) -> the report about them, as HTML."""

    def make(*arguments) -> str:
        report.main([str(argument) for argument in arguments])
        return (arguments[0] / "report.html").read_text(encoding="utf-8")

    return make


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
