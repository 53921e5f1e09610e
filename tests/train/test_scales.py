"""Detectors at several scales: words stay where they are, what is found twice is told once."""

import json

import numpy as np
import pytest
import torch

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find
from tests.train.cases import TASKS
from tests.train.test_models import SMALL
from train import evaluation, modelfolder, predict, reader, scales
from train.modelfolder import Loaded
from train.models import Output

SPEC = ImageSpec(height=128, width=192, fit="letterbox")
BUCKETS = ImageSpec(height=128, width=192, fit="keep", buckets=[64, 192])


def made(name, spec=SPEC):
    torch.manual_seed(0)
    member, task = find("train.models", name), find("train.tasks", TASKS[name])
    opened = task.Task(task.Settings(floor=0.0), spec)
    model = member.Model(member.Settings(**SMALL[name]), spec, opened.channels).eval()
    return Loaded(model, opened, {"model": {"name": name}}, 0)


class Bright:
    """A double for a model: a cell finds text where its image is bright, whatever the size of the image."""

    def __init__(self, task, strides):
        self.task, self.strides = task, strides

    def of_edge(self, images):
        levels, grids = [], []
        for stride in self.strides:
            seen = torch.nn.functional.avg_pool2d(images[:, :1], stride)
            grids.append(tuple(seen.shape[2:]))
            terms = torch.zeros(len(images), self.task.channels, *seen.shape[2:])
            terms[:, :1] = 12 * seen - 6
            if self.task.channels > 2:  # sides that reach from the cell to the word's, in strides
                terms[:, 1:5] = self.sides(images.shape[2], stride, seen.shape[2:])
            levels.append(terms.flatten(2))
        return Output(torch.cat(levels, 2).transpose(1, 2), tuple(grids))

    def sides(self, height, stride, grid):
        scale = height / SPEC.height
        y, x = torch.meshgrid(*(torch.arange(n) + 0.5 for n in grid), indexing="ij")
        left, top, right, bottom = (side * scale / stride for side in WORD)
        return torch.stack([x - left, y - top, right - x, bottom - y]).clamp(min=1e-3).log()[None]


WORD = (40, 32, 120, 64)


def bright():
    images = torch.zeros(1, 1, SPEC.height, SPEC.width)
    left, top, right, bottom = WORD
    images[..., top:bottom, left:right] = 1.0
    return images


@pytest.mark.parametrize("name", TASKS)
def test_a_word_is_told_once_and_where_it_stands(name):
    loaded = made(name)
    double = Bright(loaded.task, (4,) if name == "db" else (8, 16, 32))
    looked = scales.Scaled(double, SPEC)
    assert looked.heights == [96, 128, 160]
    answers = looked(bright())
    ((_, outputs),) = answers
    assert [output.grids[0][0] * (4 if name == "db" else 8) for output in outputs] == [96, 128, 160]
    (words,) = scales._decoded(loaded.task, answers)
    sure = [word for word in words if word.score > 0.5]
    assert len(sure) == 1
    found = np.array(sure[0].polygon)
    if name == "yolo":
        assert np.allclose([*found.min(0), *found.max(0)], WORD, atol=1)
    else:  # the word itself is the kernel here, and is grown
        assert np.allclose((found.min(0) + found.max(0)) / 2, (80, 48), atol=1.5)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("spec", [SPEC, BUCKETS], ids=["canvas", "edges"])
def test_answers_depend_on_no_other_picture(name, spec):
    looked, images = scales.several(made(name, spec)), torch.rand(4, 1, 128, 192)
    widths = torch.tensor([192, 30, 64, 100])
    with torch.no_grad():
        together = looked.task.decode(looked.model(images, widths))
        alone = [looked.task.decode(looked.model(images[i : i + 1], widths[i : i + 1]))[0] for i in range(4)]
    assert len(together) == 4
    for one, other in zip(together, alone, strict=True):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_one_scale_alone_is_the_plain_answer(name, monkeypatch):
    monkeypatch.setattr(scales, "SCALES", (1.0,))
    loaded = made(name)
    looked, images = scales.several(loaded), torch.rand(2, 1, 128, 192)
    with torch.no_grad():
        plain, other = loaded.task.decode(loaded.model(images)), looked.task.decode(looked.model(images))
    assert [len(words) for words in plain] == [len(words) for words in other]
    for one, two in zip(plain[0], other[0], strict=True):
        assert np.allclose(one.polygon, two.polygon, atol=1e-3)


def test_recognisers_and_given_places_are_refused(words, tmp_path):
    with pytest.raises(BadSettings, match=r"tta: model \w+ looks at canvases of one size"):
        evaluation.main([f"checkpoint={predict.PRETRAINED}", f"data.root={words}", "tta=true"])
    with pytest.raises(BadSettings, match="boxes= says where words are"):
        predict.Settings(boxes="words.json", tta=True)


@pytest.mark.parametrize("name", TASKS)
def test_an_evaluation_and_a_prediction_say_and_use_it(name, photos, tmp_path, capsys):
    loaded, folder = made(name, ImageSpec(64, 96, "rgb", "letterbox")), tmp_path / "run" / "best"
    modelfolder.save(folder, loaded.model, loaded.task, model_name=name, task_name=TASKS[name], extra={})
    (tmp_path / "run" / "status.json").write_text('{"state": "done"}')
    out = tmp_path / "found.json"
    evaluation.main(
        [f"checkpoint={folder}", f"data.root={photos}", "data.split=val", "tta=true", f"out={out}"]
    )
    (figures,) = json.loads(out.read_text())["models"].values()
    assert figures["scales"] == [0.75, 1.0, 1.25]
    assert figures["set"].endswith("-val-tta")
    assert [path.name.endswith("-val-tta-best.json") for path in (tmp_path / "run" / "eval").iterdir()] == [
        True
    ]
    assert "0.75, 1.0, 1.25 times as large" in capsys.readouterr().out
    told = predict.answers_of(predict.Settings(tta=True), str(folder))
    plain = reader.Reader(folder)
    shards = evaluation.Shards([photos], "val")
    given = [shards.image(0)]
    assert told(["a"], given)[0] == reader.Reader(scales.several(plain.loaded)).answers(given)[0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    from ingest import shard

    out = tmp_path_factory.mktemp("photos") / "data"
    shard.main(["source=rendered", "level=scenes", f"out={out}", "split=val", "count=4", "scene_width=160",
                "scene_height=120", "wordless=0"])  # fmt: skip
    return out
