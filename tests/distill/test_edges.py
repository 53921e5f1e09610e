"""Detectors of buckets teach: their answers have one layout, in a cache as in a batch of any edge."""

import json

import pytest

from distill import record, student
from distill.cache import Cache
from ingest import shard
from shards.errors import BadSettings
from train import teacher

MODEL = ["task=boxes", "task.floor=0", "task.threshold=.005", "model=yolo_p", "model.width=.03"]
CANVAS = ["image.height=64", "image.width=128", "image.channels=rgb", "image.fit=keep",
          "image.buckets=[64,96,128]"]  # fmt: skip
SHORT = ["fit.epochs=1", "fit.batch=8", "fit.log_every=1", "optim.lr=.003"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Scenes of two shapes, a teacher of one epoch, and its cache."""
    root = tmp_path_factory.mktemp("house")
    for width in (80, 150):
        for split, count in (("train", 12), ("val", 4)):
            shard.main(["source=rendered", "level=scenes", f"out={root / str(width)}", f"split={split}",
                        f"count={count}", f"scene_width={width}", "scene_height=80", "min_word_height=.2",
                        "wordless=0", f"name=s{width}"])  # fmt: skip
    data = f"data.root=[{root / '80'},{root / '150'}]"
    teacher.main([*MODEL, *CANVAS, *SHORT, "augment=scene", data, f"run.root={root}", "run.name=teacher"])
    record.main([f"checkpoint={root}/teacher/best", data, f"out={root / 'cache'}", "views=2", "batch=5",
                 "cells=60"])  # fmt: skip
    return root, data


def taught(house, name: str, *given: str) -> list[dict]:
    """The lines of metrics.jsonl of a student."""
    root, data = house
    student.main([*MODEL, *SHORT, data, f"run.root={root}", f"run.name={name}", *given])
    return [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]


def test_students_learn_from_a_cache_as_from_the_teacher_at_every_edge(house):
    root, _ = house
    assert Cache(root / "cache").card.frames == 8 * 16 + 4 * 8 + 2 * 4
    methods = [
        "method=[response,cwd]",
        "method.cwd.taps=[]",
        "method.response.weight=.4",
        "method.cwd.weight=.1",
    ]
    cached = taught(house, "cached", *methods, f"cache={root / 'cache'}")
    live = taught(house, "live", *methods, f"teacher={root}/teacher/best", "data.views=2")
    for term in ("task", "response"):
        one, other = ([line[f"train/{term}"] for line in lines if f"train/{term}" in line]
                      for lines in (cached, live))  # fmt: skip
        assert len(one) >= 3
        assert one == pytest.approx(other, rel=0.05, abs=0.02), term


def test_features_of_many_widths_are_refused(house):
    root, data = house
    given = [f"checkpoint={root}/teacher/best", data, f"out={root / 'taps'}", "taps=[layer17]"]
    with pytest.raises(BadSettings, match="layer17"):
        record.main(given)
