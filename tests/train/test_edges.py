"""Photographs of many widths: detectors look at each up to its own edge, and answer in one layout."""

import json

import numpy as np
import pytest
import torch

from ingest import shard
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find
from shards.read import Shards
from shards.sample import Record, Word
from tests.train.cases import TASKS
from tests.train.test_models import SMALL
from train import evaluation, judging, modelfolder, predict, teacher
from train.blocks.edges import NOTHING
from train.models import Output

SPEC = ImageSpec(height=64, width=128, fit="keep", buckets=[64, 96, 128])
ASKED = ["image.height=64", "image.width=128", "image.fit=keep", "image.buckets=[64,96,128]"]
TINY = {
    "db": ["task=maps", "model=db_tiny", "model.channels=[4,4,8,8]", "model.neck=8", "task.level=.3"],
    "yolo": ["task=boxes", "model=yolo_p", "model.width=.03"],
}  # fmt: skip


def made(name, spec=SPEC):
    torch.manual_seed(0)
    member = find("train.models", name)
    task = find("train.tasks", TASKS[name])
    opened = task.Task(task.Settings(), spec)
    return member.Model(member.Settings(**SMALL[name]), spec, opened.channels).eval(), opened


def pictures(widths, spec=SPEC):
    images = torch.randn(len(widths), 1, spec.height, spec.width, generator=torch.Generator().manual_seed(1))
    images[torch.arange(spec.width) >= torch.tensor(widths)[:, None, None, None].expand(-1, 1, 64, -1)] = 0.0
    return images


def scene(width, *boxes):
    words = [Word("w", ((a, b), (c, b), (c, d), (a, d))) for a, b, c, d in boxes]
    return Record(tuple(words), (width, 64), "")


@pytest.mark.parametrize("name", TASKS)
def test_an_answer_depends_on_no_other_photograph_of_the_batch(name):
    (model, _), widths = made(name), [128, 20, 64, 65, 96]
    images = pictures(widths)
    with torch.no_grad():
        together = model(images, torch.tensor(widths))
        for row, width in enumerate(widths):
            edge = int(SPEC.edge(np.array([width]))[0])
            alone = model(images[row : row + 1, ..., :edge], torch.tensor([width]))
            assert alone.grids == together.grids == model.grids
            assert torch.allclose(together.logits[row], alone.logits[0], atol=1e-5)
    assert not together.features
    assert together.logits.shape[1] == model.frames


@pytest.mark.parametrize("name", TASKS)
def test_what_stands_beyond_an_edge_is_not_looked_at_and_is_nothing(name):
    (model, _), widths = made(name), torch.tensor([60, 64])
    images = pictures([128, 128])
    noise = images.clone()
    noise[..., 64:] = 9.0
    with torch.no_grad():
        one, other = model(images, widths), model(noise, widths)
    assert torch.equal(one.logits, other.logits)
    first = one.logits[0, : model.grids[0][0] * model.grids[0][1], 0].reshape(model.grids[0])
    half = model.grids[0][1] // 2
    assert (first[:, half:] == NOTHING).all()
    assert (one.there == (one.logits[..., 0] != NOTHING)).all()
    assert (first[:, :half] > NOTHING).all()


@pytest.mark.parametrize("name", TASKS)
def test_one_bucket_is_none_to_a_model(name):
    one, none = (made(name, ImageSpec(height=64, width=128, fit="keep", buckets=b))[0] for b in ([128], []))
    with torch.no_grad():
        assert torch.equal(one(pictures([128, 30])).logits, none(pictures([128, 30])).logits)


@pytest.mark.parametrize("name", TASKS)
def test_what_lies_beyond_an_edge_teaches_nothing(name):
    (model, task), record = made(name), scene(64, (10, 10, 40, 30), (50, 40, 90, 60))
    targets, logits = task.encode([record]), torch.randn(1, model.frames, task.channels)
    logits.requires_grad_()
    task.loss(Output(logits, model.grids), targets)["task"].sum().backward()
    assert logits.grad is not None
    at = 0
    for h, w in model.grids:
        level = logits.grad[0, at : at + h * w].reshape(h, w, -1)
        assert not level[:, w // 2 :].any()
        assert level[:, : w // 2].any()
        at += h * w


@pytest.mark.parametrize("name", TASKS)
def test_a_loss_at_an_edge_is_that_of_a_canvas_of_that_width(name):
    narrow = ImageSpec(height=64, width=64, fit="keep")
    (model, task), (small, other) = made(name), made(name, narrow)
    record = scene(64, (10, 10, 40, 30), (44, 40, 60, 60))
    small.load_state_dict(model.state_dict())
    images = pictures([64])
    with torch.no_grad():
        wide, own = model(images, torch.tensor([64])), small(images[..., :64])
        one, two = (t.loss(o, t.encode([record])) for t, o in ((task, wide), (other, own)))
        assert {k: v.item() for k, v in one.items()} == pytest.approx(
            {k: v.item() for k, v in two.items()}, rel=0.02
        )
        assert len(task.decode(wide)[0]) == len(other.decode(own)[0])


def test_edges_that_a_detector_cannot_take_are_refused():
    for name in TASKS:
        with pytest.raises(BadSettings, match=rf"64x80; {name} needs multiples of 32"):
            made(name, ImageSpec(height=64, width=128, fit="keep", buckets=[80, 128]))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Rendered scenes of three shapes."""
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 12), ("val", 4)):
        for width in (80, 120, 160):
            shard.main(["source=rendered", "level=scenes", f"out={root / str(width)}", f"split={split}",
                        f"count={count}", f"scene_width={width}", "scene_height=80", "min_word_height=.2",
                        "wordless=0", f"name=s{width}"])  # fmt: skip
    return ",".join(str(root / str(width)) for width in (80, 120, 160))


@pytest.mark.parametrize("name", TASKS)
def test_a_detector_of_buckets_is_trained_judged_and_asked_alike(name, photos, tmp_path, forget_accelerate):
    forget_accelerate()
    teacher.main([*TINY[name], *ASKED, "task.floor=0", "task.threshold=0", "augment=scene", "optim.lr=.003",
                  "fit.epochs=2", "fit.batch=6", "run.name=run", f"run.root={tmp_path}",
                  f"data.root=[{photos}]"])  # fmt: skip
    folder = tmp_path / "run" / "best"
    out = tmp_path / "found.json"
    evaluation.main([f"checkpoint={folder}", f"data.root=[{photos}]", "data.split=val", f"out={out}"])
    (figures,) = json.loads(out.read_text())["models"].values()
    assert figures["n"] == 12
    shards, loaded, reader = (
        Shards(photos.split(","), "val"),
        modelfolder.load(folder),
        predict.Reader(folder),
    )
    assert loaded.task.image.buckets == [64, 96, 128]
    meter = judging.judge(loaded.model, loaded.task, judging.still_loader(shards, loaded.task, 5))
    found = {row[0]: row[2] for row in meter.detail()}
    for position, uid in enumerate(shards.uids.tolist()):
        (answer,) = reader.answers([shards.image(position)])
        assert len(answer) == len(found[uid])
        for one, other in zip(answer, found[uid], strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-3)
            assert np.allclose(one.polygon, other.polygon, atol=0.05)
