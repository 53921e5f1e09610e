"""Mosaics in caches: students see what their teacher saw, or are refused."""

import numpy as np
import pytest

from distill import maps, record, recording, student
from distill.lesson import Lesson
from ingest import shard
from shards import config
from shards.errors import BadData
from shards.plan import part_of
from train import teacher

MODEL = ["task=boxes", "task.floor=0", "task.threshold=.005", "model=yolo_p", "model.width=.03"]
CANVAS = ["image.height=64", "image.width=96", "image.channels=rgb", "image.fit=letterbox"]
SHORT = ["fit.epochs=1", "fit.batch=8", "fit.log_every=1", "optim.lr=.003", "method.response.weight=.5"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Scenes, a teacher of one epoch of mosaics, and its cache."""
    root = tmp_path_factory.mktemp("house")
    for split, count in (("train", 16), ("val", 4)):
        shard.main(["source=rendered", "level=scenes", f"out={root / 'data'}", f"split={split}",
                    f"count={count}", "scene_width=160", "scene_height=120", "wordless=0"])  # fmt: skip
    teacher.main([*MODEL, *CANVAS, *SHORT[:4], "augment=scene", "augment.mosaic=1", f"data.root={root}/data",
                  f"run.root={root}", "run.name=teacher"])  # fmt: skip
    record.main([f"checkpoint={root}/teacher/best", f"data.root={root / 'data'}", f"out={root / 'cache'}",
                 "views=2", "batch=8", "cells=40"])  # fmt: skip
    return root


def taught(house, *given: str) -> None:
    student.main([*MODEL, *SHORT, "method=response", f"cache={house / 'cache'}", f"data.root={house}/data",
                  f"run.root={house}", "run.name=student", *given])  # fmt: skip


def test_a_student_learns_mosaics_from_a_cache_and_one_of_other_samples_is_refused(house):
    taught(house)
    assert (house / "student" / "best").is_dir()
    with pytest.raises(BadData, match=r"population is '\w+' in the cache, '\w+' here"):
        taught(house, "run.name=few", "data.share=.7")


def test_methods_see_the_words_of_the_mosaic(house):
    argv = [
        f"checkpoint={house}/teacher/best",
        f"data.root={house / 'data'}",
        f"out={house}/other",
        "views=2",
    ]
    found = recording.prepare(config.read(recording.Settings, "record", argv), argv, "cpu")
    loader = found.loaders[0]
    part = part_of(np.arange(16), 16)
    counts = []
    for view in (0, 1):
        batch = loader.batch(part, view)
        each, nowhere = maps.words(Lesson(batch, batch.images), (8, 12))
        assert each.shape[1] == batch.targets.real.shape[1]
        assert not (each.any(1, keepdim=True) & nowhere).any()
        counts.append(int(batch.targets.real.sum()))
    assert counts[1] > counts[0]
