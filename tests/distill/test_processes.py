"""A student on one process, on two, and sharded by ZeRO-2.

Two processes normalise their own halves of a batch, so they come near one process, and a student without
batch norms is equal; ZeRO-2 is equal to both.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from shards.read import Shards
from train import modelfolder
from train.judging import still_loader
from train.models import answer
from train.runfolder import read_metrics

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]
TWO = ["--multi_gpu", "--main_process_port", "0", "--num_processes", "2", "--num_machines", "1"]
TWO += ["--mixed_precision", "no", "--dynamo_backend", "no"]
ZERO = [*LAUNCH, "--config_file", str(ROOT / "configs/launch/zero2.yaml")]
METHODS = "method=[nkd,hint,hard]"
SHARES = ["method.nkd.weight=.3", "method.hint.weight=.2", "method.hard.weight=.2"]
# SGD: AdamW makes steps out of rounding where a gradient is 0.
SHORT = ["fit.epochs=2", "fit.batch=32", "fit.log_every=1", "optim.name=sgd", "optim.lr=1e-4", "seed=3"]

pytestmark = pytest.mark.slow


def trained(launcher: list[str], folder: Path, *arguments: str) -> Path:
    """A student's run folder."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("ACCELERATE_", "MASTER_", "TORCHELASTIC"))
    }
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        kept.pop(name, None)
    more = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    if "--multi_gpu" in launcher:
        more["ACCELERATE_USE_CPU"] = "true"
    argv = [f"run.root={folder.parent}", f"run.name={folder.name}", *arguments]
    done = subprocess.run(
        [*launcher, str(ROOT / "distill/student.py"), *argv], cwd=folder.parent, env={**kept, **more},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def trace(run: Path, term: str) -> np.ndarray:
    return np.array([line[f"train/{term}"] for line in read_metrics(run) if "train/loss" in line])


def answers(run: Path, words: Path) -> tuple[torch.Tensor, list[str]]:
    """Of the last weights to the words of val: logits, and what they read."""
    loaded = modelfolder.load(run / "last")
    (batch,) = still_loader(Shards([words], "val"), loaded.task, 32).batches(0)
    with torch.no_grad():
        output = answer(loaded.model, batch)
    return output.logits, [found[0].text for found in loaded.task.decode(output)]


def test_a_student_is_near_on_two_processes_and_the_same_under_zero(words, cache, tiny, teacher, tmp_path):
    argv = [f"data.root={words}", f"cache={cache}", METHODS, *SHARES, *tiny, *SHORT, f"init_from={teacher}"]
    one, two = (
        trained([sys.executable], tmp_path / "one", *argv),
        trained([*LAUNCH, *TWO], tmp_path / "two", *argv),
    )
    assert trace(two, "loss") == pytest.approx(trace(one, "loss"), rel=0.03)  # each has its own batch norms
    assert trace(two, "grad/task") == pytest.approx(trace(one, "grad/task"), rel=0.1)
    if importlib.util.find_spec("deepspeed"):
        zero = trained(ZERO, tmp_path / "zero", *argv)
        for term in ("loss", "nkd", "hint", "hard", "grad/nkd", "grad/task"):
            assert trace(zero, term) == pytest.approx(trace(two, term), rel=1e-4), term
        assert answers(zero, words)[1] == answers(two, words)[1]


def test_a_student_without_batch_norms_is_the_same_on_one_process_on_two_and_under_zero(
    words, cache, tiny, make_teacher, tmp_path
):
    argv = [f"data.root={words}", f"cache={cache}", "method=[nkd]", *tiny, *SHORT, "model.norms=[]"]
    begin = make_teacher(tmp_path / "begin", norms=[])
    argv += [f"init_from={begin}"]
    launchers = {"one": [sys.executable], "two": [*LAUNCH, *TWO]}
    if importlib.util.find_spec("deepspeed"):
        launchers["zero"] = ZERO
    runs = {name: trained(launcher, tmp_path / name, *argv) for name, launcher in launchers.items()}
    logits, texts = answers(runs["one"], words)
    assert any(texts)
    for run in runs.values():
        assert trace(run, "loss") == pytest.approx(trace(runs["one"], "loss"), rel=1e-4)
        theirs, read = answers(run, words)
        assert read == texts
        assert torch.allclose(theirs, logits, atol=1e-3)
