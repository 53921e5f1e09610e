"""DeepSpeed ZeRO on two processes: DDP's losses, weights, averages and strings; nothing is ignored unseen."""

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import modelfolder, zero
from train.judging import still_loader
from train.models import crnn
from train.runfolder import read_metrics
from train.tasks import recognise

ROOT = Path(__file__).resolve().parent.parent.parent
# SGD: AdamW makes steps out of rounding where a gradient is 0, as those of biases before a batch norm are.
MORE = ["fit.accumulation=2", "fit.ema=0.5", "seed=3", "optim.name=sgd", "optim.lr=.0003"]
BROKEN = """
import sys
from shards import config
from shards.progress import run
from train import training, workbench
from train.steps import TaskStep

class Broken(TaskStep):
    def forward(self, batch):
        losses = super().forward(batch)
        return {**losses, "loss": losses["loss"] * float("nan")} if batch.step == 2 else losses

def main(argv):
    bench = workbench.bench(config.read(workbench.Settings, "teacher", argv), "test")
    training.run(bench, Broken(bench.model, bench.task), lambda batch: batch, {})

sys.exit(run(main))
"""
there = pytest.mark.skipif(not importlib.util.find_spec("deepspeed"), reason="DeepSpeed is not installed")


def launcher(stage: int) -> list[str]:
    file = ROOT / "configs" / "launch" / f"zero{stage}.yaml"
    return [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", str(file)]


def losses(run) -> np.ndarray:
    return np.array([line["train/loss"] for line in read_metrics(run) if "train/loss" in line])


def answers(folder: Path, words: Path) -> list[str]:
    loaded = modelfolder.load(folder)
    (batch,) = still_loader(Shards([words], "val"), loaded.task, 32).batches(0)
    with torch.no_grad():
        output = loaded.model(batch.images)
    return [found[0].text for found in loaded.task.decode(output)]


@pytest.fixture
def begin(tmp_path) -> str:
    """init_from= of a model that has something to say from the start."""
    torch.manual_seed(0)
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    model = crnn.Model(
        crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8), task.image, task.channels
    )
    with torch.no_grad():
        model.dense.weight.mul_(8)
    modelfolder.save(tmp_path / "begin", model, task, model_name="crnn", task_name="recognise", extra={})
    return f"init_from={tmp_path / 'begin'}"


def stop_after(process, run: Path, steps: int) -> dict:
    """Signals the whole group once so many steps are logged; the status it leaves."""
    until = time.monotonic() + 200
    while len(losses(run)) < steps:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "too slow"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    return json.loads((run / "status.json").read_text())


@there
@pytest.mark.slow
def test_every_stage_trains_as_ddp_does_also_when_it_was_stopped(command, begin, words):
    code, output = command.run("ddp", begin, *MORE, processes=2)
    assert code == 0, output
    theirs, strings = losses(command.runs / "ddp"), answers(command.runs / "ddp" / "last", words)
    assert len(theirs) == 12
    assert any(strings)
    for stage in (1, 2, 3):
        name = f"zero{stage}"
        if stage == 3:
            process = command.start(name, begin, *MORE, launcher=launcher(3))
            status = stop_after(process, command.runs / name, 2)
            assert (status["state"], status["code"]) == ("preempted", 85)
        code, output = command.run(name, begin, *MORE, launcher=launcher(stage))
        assert code == 0, output
        assert ("resumed at epoch" in output) == (stage == 3)
        assert np.allclose(losses(command.runs / name), theirs, rtol=1e-5, atol=0)
        mine, ddp = (load_file(command.runs / n / "last" / "model.safetensors") for n in (name, "ddp"))
        assert mine.keys() == ddp.keys()
        assert all(np.allclose(mine[key], ddp[key], rtol=1e-5, atol=1e-5) for key in ddp)
        assert answers(command.runs / name / "last", words) == strings


@there
@pytest.mark.slow
def test_adamw_divided_among_processes_gives_ddps_losses(command, begin):
    assert command.run("ddp", begin, processes=2)[0] == 0
    code, output = command.run("zero", begin, launcher=launcher(2))
    assert code == 0, output
    assert np.allclose(losses(command.runs / "zero"), losses(command.runs / "ddp"), rtol=1e-5, atol=0)


@there
@pytest.mark.slow
@pytest.mark.parametrize(("stage", "more"), [(2, []), (3, ["fit.ema=0.5"])])
def test_a_gradient_that_is_not_finite_is_left_out_and_noted(command, stage, more):
    code, output = command.run("one", "fit.epochs=1", *more, launcher=launcher(stage), script=BROKEN)
    assert code == 0, output
    status = json.loads((command.runs / "one" / "status.json").read_text())
    assert (status["state"], status["nonfinite"]) == ("done", 1)
    weights = load_file(command.runs / "one" / "last" / "model.safetensors")
    assert all(np.isfinite(value).all() for value in weights.values())


@there
@pytest.mark.slow
def test_a_launch_that_would_switch_deepspeed_off_is_refused(command):
    code, output = command.run("off", launcher=launcher(2), ACCELERATE_USE_CPU="true")
    assert code == 1
    assert "ACCELERATE_USE_CPU switches DeepSpeed off" in output
    assert not (command.runs / "off").exists()


def opened(kind: str = "DEEPSPEED", **given) -> SimpleNamespace:
    plugin = SimpleNamespace(deepspeed_config={"gradient_clipping": "auto", **given})
    return SimpleNamespace(
        distributed_type=SimpleNamespace(value=kind), state=SimpleNamespace(deepspeed_plugin=plugin)
    )


@pytest.mark.parametrize(
    ("accelerator", "precision", "named"),
    [
        (opened("MULTI_CPU"), "fp32", "accelerate opened MULTI_CPU"),
        (
            opened(zero_optimization={"stage": 0}),
            "fp32",
            "zero_stage 0 divides nothing.*without the file",
        ),
        (opened(gradient_clipping=1.0), "fp32", "gradient_clipping is 1.0, the run's is 5"),
        (opened(gradient_accumulation_steps=4), "fp32", "gradient_accumulation_steps is 4, the run's is 2"),
        (
            opened(bf16={"enabled": True}),
            "bf16",
            "enables bf16; take it out and set fit.precision=bf16",
        ),
    ],
)
def test_what_accelerate_or_deepspeed_would_ignore_is_refused(accelerator, precision, named):
    with pytest.raises(BadSettings, match=named):
        zero.complete(accelerator, 4, 2, 5, precision)


def test_fp16_is_refused():
    with pytest.raises(BadSettings, match="fp16 with DeepSpeed was never run"):
        zero.complete(opened(), 4, 2, 5, "fp16")


def test_the_runs_settings_complete_the_launch_file():
    accelerator = opened()
    zero.complete(accelerator, 4, 2, 5.0, "bf16")
    chosen = accelerator.state.deepspeed_plugin.deepspeed_config
    assert chosen["gradient_clipping"] == 5.0
    assert chosen["train_micro_batch_size_per_gpu"] == 4
    assert chosen["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadSettings, match=r"DeepSpeed needs deepspeed, .*ocr-distillery\[deepspeed\]"):
        zero.handlers()
