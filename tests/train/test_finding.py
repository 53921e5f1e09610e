"""Words and lines: what finds the ones misses the others, so they are mixed only where that is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from ingest import shard
from shards.errors import BadData
from shards.image import ImageSpec
from shards.read import Shards
from train import finding
from train.tasks import boxes, maps

RAW = Path(__file__).resolve().parent.parent / "raw"
IMAGE = ImageSpec(height=64, width=96, channels="rgb", fit="letterbox")
SOURCES = {  # that give whole pictures, from raw trees
    "coco_text": ("words", "level=scenes"), "icdar2013": ("words", "level=scenes"),
    "icdar2015": ("words", "level=scenes"), "icdar2017_mlt": ("words", "level=scenes"),
    "msra_td500": ("lines",), "pagexml": ("lines", "level=scenes"), "sroie": ("lines", "level=scenes"),
    "yolo": ("words", "ignore=2"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """sharded(source): the out= folder of its raw tree."""
    root = tmp_path_factory.mktemp("sharded")

    def make(source: str) -> Path:
        out = root / source
        if not out.exists():
            given = [f"root={RAW / source / 'root'}", f"out={out}", *SOURCES[source][1:]]
            shard.main([f"source={source}", "split=train", "max_reject_frac=1", *given])
        return out

    return make


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("module", [boxes, maps])
def test_every_source_of_scenes_says_what_it_marks_and_teaches(sharded, source, module):
    shards = Shards([sharded(source)], "train")
    settings, _ = module.settle(module.Settings(), shards)
    assert settings.unit == SOURCES[source][0]
    task = module.Task(settings, IMAGE)
    task.check(shards)
    records = [shards.record(position) for position in range(len(shards))]
    assert any(finding.counts(word) for words in finding.words_of(records) for word in words)
    task.encode(records).to("cpu")


def test_words_and_lines_are_mixed_only_where_that_is_asked_for(sharded):
    both = Shards([sharded("icdar2015"), sharded("sroie")], "train")
    with pytest.raises(BadData, match=r"words in .*icdar2015.*lines in .*sroie.*task\.unit=both"):
        boxes.settle(boxes.Settings(), both)
    mixed = boxes.Settings(unit="both")
    assert boxes.settle(mixed, both) == (mixed, "")
    boxes.Task(mixed, IMAGE).check(both)


def test_a_model_of_words_is_not_judged_by_lines(sharded):
    lines = Shards([sharded("sroie")], "train")
    with pytest.raises(BadData, match="this model finds words"):
        boxes.Task(boxes.Settings(unit="words"), IMAGE).check(lines)
    boxes.Task(replace(boxes.Settings(), unit="lines"), IMAGE).check(lines)
