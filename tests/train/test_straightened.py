"""What a spatial transformer makes of a canvas stands beside it, in files and on pages."""

import json

import numpy as np
import pytest
import torch

from shards.image import ImageSpec
from train import evaluation, mistakes, modelfolder, report
from train.blocks.stn import PACE, REACH
from train.models.crnn import Model, Settings
from train.straightened import beside
from train.tasks import recognise

SMALL = {"channels": [4, 4, 4, 4, 4, 4, 8], "map_to_seq": 8, "rnn_hidden": 8}


def canvases(image, count=3):
    draw = np.random.default_rng(0)
    return [
        draw.integers(0, 256, (image.depth, image.height, image.width), dtype=np.uint8) for _ in range(count)
    ]


@pytest.fixture
def made():
    """made(image, stn) -> a tiny recogniser."""

    def make(image, stn=True):
        torch.manual_seed(0)
        return Model(Settings(**SMALL, stn=stn), image, 37)

    return make


@pytest.mark.parametrize("channels", ["grey", "rgb", "bgr"])
def test_at_rest_the_picture_stays_and_a_shifting_map_shifts_it(made, channels):
    image = ImageSpec(channels=channels, mean=0.4, std=0.3)
    model, seen = made(image), canvases(image)
    examples = [{"uid": str(i), "png": mistakes.png(one)} for i, one in enumerate(seen)]
    for one, canvas in zip(beside(examples, model, image), seen, strict=True):
        assert np.array_equal(mistakes.canvas(one["png"]), canvas)
        assert np.array_equal(mistakes.canvas(one["rectified"]), canvas)
    with torch.no_grad():
        share = torch.tensor(2 * 5 / image.width / REACH)  # five pixels
        model.stn.dense2.bias[2] = share.atanh() * REACH / PACE
    for one, canvas in zip(beside(examples, model, image), seen, strict=True):
        found = mistakes.canvas(one["rectified"]).astype(int)
        assert np.abs(found[..., :-5] - canvas[..., 5:].astype(int)).max() <= 1


def test_a_model_that_straightens_nothing_changes_nothing_and_no_model_learns_by_it(made):
    image = ImageSpec()
    examples = [{"png": mistakes.png(one)} for one in canvases(image)]
    assert beside(examples, made(image, stn=False), image) == examples
    colours = ImageSpec(channels="rgb")  # pictures of scenes are no canvases: they have other colours
    assert beside(examples, made(colours, stn=False), colours) == examples
    model = made(image).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert beside([], model, image) == []
    beside(examples, model, image)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_page_shows_what_the_transformer_makes_of_each_word(words, tmp_path, made):
    task = recognise.Task(recognise.Settings(), ImageSpec())
    run = tmp_path / "run"
    for name, stn in (("best", True), ("last", False)):
        modelfolder.save(
            run / name, made(task.image, stn), task, model_name="crnn", task_name="recognise", extra={}
        )
    (run / "status.json").write_text('{"state": "done"}')
    (run / "config.yaml").write_text("seed: 0\n")
    (run / "metrics.jsonl").write_text("")
    evaluation.main([f"checkpoint={run / 'best'},{run / 'last'}", f"data.root={words}", "data.threads=1"])
    examples = {}
    for path in (run / "eval").iterdir():
        found = json.loads(path.read_text())
        examples[found["model"]] = found["examples"]
    assert all("rectified" in one for one in examples["best"])
    assert not any("rectified" in one for one in examples["last"])
    report.main([str(run)])
    page = (run / "report.html").read_text()
    assert page.count('alt="the same, straightened"') == len(examples["best"])
    assert page.count("below it what its spatial transformer made of that") == 1
