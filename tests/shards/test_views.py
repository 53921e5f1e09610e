"""Views of scenes: the words stand where their pixels do, whatever the edge of the canvas."""

import numpy as np
import pytest
import torch

from shards.augment import Augment, Settings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan, part_of
from shards.read import Shards
from tests.shards import painted

EDGES = [64, 128, 192]
KEPT = ImageSpec(height=64, width=192, fit="keep", buckets=EDGES)
MOVED = Settings(chance=0.9, rotation=8, stretch=0.2, perspective=0.05, zoom=0.8, shift=0.1, outside="grey")
GREY = 0.5  # what lies beyond a canvas shines less than a word


class Kept:
    """A double for a task's targets: the records themselves."""

    def __init__(self, records):
        self.records = records

    def to(self, device):
        return self


@pytest.fixture(scope="module")
def scenes(hand, tmp_path_factory):
    """Twelve pictures of three edges."""
    sizes = [(50, 64), (120, 64), (190, 64), (64, 64), (256, 128), (360, 120)] * 2
    return painted.shards(hand, tmp_path_factory.mktemp("painted"), sizes)


def loader(folder, image=KEPT, augment=MOVED, batch=4, **more):
    shards = Shards([folder], "train")
    return Loader(shards, Plan(shards.uids, batch, seed=1), image, Kept, Augment(augment), 0, **more)


def whole(source, view):
    """One batch of all samples, in one view."""
    return source.batch(part_of(np.arange(len(source.shards)), len(source.shards)), view)


def unit(images, image=KEPT):
    return (images * image.std + image.mean)[:, 0].numpy()


@pytest.mark.parametrize("view", [0, 1, 2, 3])
def test_a_word_stands_where_its_pixels_do_at_every_edge(scenes, view):
    source = loader(scenes)
    batch, met = whole(source, view), 0
    edges = KEPT.edge(batch.widths.numpy())
    assert set(edges) == set(EDGES)
    for pixels, record, edge in zip(unit(batch.images), batch.targets.records, edges, strict=True):
        if record.words:
            assert painted.agreement(pixels[:, :edge], record.words) > 0.75
            met += 1
    assert met > 8


def test_a_view_depends_on_no_other_edge_of_its_batch(scenes):
    source = loader(scenes)
    together = whole(source, 2)
    for row, edge in enumerate(KEPT.edge(together.widths.numpy())):
        alone = source.batch(part_of(np.array([row]), 1), 2)
        assert alone.images.shape[-1] == edge
        assert torch.equal(alone.images[0], together.images[row, ..., :edge])
        assert alone.targets.records[0] == together.targets.records[row]


def test_one_bucket_is_none(scenes):
    one = ImageSpec(height=64, width=192, fit="keep", buckets=[192])
    none = ImageSpec(height=64, width=192, fit="keep")
    a, b = (whole(loader(scenes, image), 1) for image in (one, none))
    assert torch.equal(a.images, b.images)
    assert a.targets.records == b.targets.records
