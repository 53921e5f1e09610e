"""The recipes of the systems before this one: each trains, with its own rates and optimiser."""

import math
from pathlib import Path

import pytest

from shards import config
from train import teacher, workbench
from train.runfolder import read_metrics

RECIPES = {
    "crnn_synth90k": ("crnn", "rmsprop", 5e-4, 32),
    "crnn_icdar15": ("crnn", "adamw", 5e-4, 512),
    "ycg09_densenet121": ("densenet", "rmsprop", 5e-5, 64),
    "ycg09_mobilenetv2": ("mobilenet", "rmsprop", 5e-5, 64),
    "mjsynth_then_iam": ("depthwise", "adam", 1e-4, 64),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_rates_that_were_published(name):
    s = config.read(workbench.Settings, "teacher", [f"experiment={name}"])
    assert (s.model.name, s.optim.name, s.optim.settings.lr, s.fit.batch) == RECIPES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_for_twenty_steps(name, words, tmp_path, forget_accelerate):
    forget_accelerate()
    small = [
        "fit.batch=4",
        "fit.epochs=1",
        "data.weights=[1]",
        "data.draws=80",
        "fit.log_every=1",
        "fit.select=cer",
    ]
    teacher.main([f"experiment={name}", f"run.root={tmp_path}", "run.name=r", f"data.root={words}", *small])
    losses = [line["train/loss"] for line in read_metrics(tmp_path / "r") if "train/loss" in line]
    assert len(losses) == 20
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-5:]) < sum(losses[:5])
    assert (Path(tmp_path) / "r" / "last" / "model.safetensors").exists()
