"""The recipes of the systems before this one: each trains, with its own rates and optimiser."""

import math
import shutil
from pathlib import Path

import pytest
import torch

from ingest import shard
from shards import config
from shards.read import Shards
from train import modelfolder, teacher, workbench
from train.runfolder import read_metrics

RAW = Path(__file__).resolve().parent.parent / "raw"
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


def test_the_second_half_of_mjsynth_then_iam_keeps_what_the_first_can_read(
    words, tmp_path, forget_accelerate
):
    root = Path(shutil.copytree(RAW / "iam" / "root", tmp_path / "raw"))
    shutil.copy(root / "test.uttlist", root / "val.uttlist")
    iam = [f"out={tmp_path / 'iam'}", f"root={root}", "level=words", "split_file={split}.uttlist"]
    for split in ("train", "val"):
        shard.main(["source=iam", f"split={split}", "workers=1", "max_reject_frac=.5", *iam])
    tiny = ["model.channels=[4,4,4,4,4,4,8]", "model.map_to_seq=8", "model.rnn_hidden=8", "fit.epochs=1"]

    def train(name, data, *more):
        forget_accelerate()
        told = ["experiment=mjsynth_then_iam", f"run.root={tmp_path}", f"run.name={name}", "fit.batch=2"]
        teacher.main([*told, f"data.root={data}", *tiny, *more])
        return modelfolder.load(tmp_path / name / "last")

    first = train("mj", words)
    begun = [f"init_from={tmp_path / 'mj' / 'last'}", "charset.mode=union", "optim.lr=1e-12"]
    second = train("iam", tmp_path / "iam", *begun)
    old, new = (one.task.charset.characters for one in (first, second))
    there = set("".join(Shards([tmp_path / "iam"], "train").texts()))
    assert new[: len(old)] == old
    assert set(new) == set(old) | there > set(old)
    mine, theirs = second.model.state_dict(), first.model.state_dict()
    classes = 1 + len(old)
    for name in ("dense.weight", "rnn1.weight_ih_l0", "stn.dense1.weight"):
        assert torch.allclose(mine[name][:classes], theirs[name][:classes], atol=1e-6), name
