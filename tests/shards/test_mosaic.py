"""Mosaics: the same for a sample in every batch, rank and engine; words where their pixels are."""

import shutil

import fsspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shards import geometry, storage
from shards.augment import Augment, Settings
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.mosaic import Mosaics
from shards.plan import Plan, held_out, part_of
from shards.read import Shards
from tests.shards import painted
from tests.shards.test_views import EDGES, KEPT, MOVED, Kept, unit

ALL = Settings(mosaic=1.0, chance=0.0)
CANVAS = ImageSpec(height=64, width=128, fit="letterbox")
SIZES = [(120, 64), (190, 90), (64, 64), (256, 128), (360, 120), (100, 100), (128, 64)] * 3


@pytest.fixture(scope="module")
def scenes(hand, tmp_path_factory):
    """Twenty-one scenes in three shards."""
    return painted.shards(hand, tmp_path_factory.mktemp("painted"), SIZES)


def loader(folder, augment=ALL, image=CANVAS, batch=5, **more):
    shards = Shards([folder], "train")
    return Loader(shards, Plan(shards.uids, batch, seed=1), image, Kept, Augment(augment), 0, **more)


def whole(source, view):
    return source.batch(part_of(np.arange(len(source.shards)), len(source.shards)), view)


def by_uid(batches):
    return {
        int(uid): (b.images[row], b.targets.records[row])
        for b in batches
        for row, uid in enumerate(b.uids)
        if b.valid[row]
    }


@pytest.mark.parametrize("more", [{"batch": 1}, {"batch": 16, "memory": 1}, {"accumulation": 2}])
@pytest.mark.parametrize("image", [CANVAS, KEPT], ids=["canvas", "edges"])
def test_a_view_is_the_same_in_any_batch(scenes, image, more):
    settings = Settings(mosaic=0.6, rotation=5, zoom=0.5, blur=1, noise=0.05)
    one = by_uid(loader(scenes, settings, image).batches(1))
    other = by_uid(loader(scenes, settings, image, **more).batches(1))
    assert one.keys() == other.keys()
    for uid, (pixels, record) in one.items():
        width = min(pixels.shape[-1], other[uid][0].shape[-1])
        assert torch.equal(pixels[..., :width], other[uid][0][..., :width])
        assert record == other[uid][1]


def test_ranks_divide_a_batch_and_change_no_mosaic(scenes):
    together = by_uid(loader(scenes).batches(0))
    apart = by_uid(b for rank in range(2) for b in loader(scenes, rank=rank, world=2).batches(0))
    assert together.keys() == apart.keys()
    for uid, (pixels, record) in together.items():
        assert torch.equal(pixels, apart[uid][0])
        assert record == apart[uid][1]


def test_engines_agree(scenes):
    pytest.importorskip("nvidia.dali")
    plain, dali = (whole(loader(scenes, engine=name), 1) for name in ("plain", "dali"))
    assert plain.targets.records == dali.targets.records
    assert (unit(plain.images, CANVAS) - unit(dali.images, CANVAS)).mean() < 1 / 255


def test_the_order_of_roots_changes_no_mosaic(hand, tmp_path):
    folders = []
    for number in range(2):
        items = [painted.scene(10 * number + i, size) for i, size in enumerate(SIZES[:5])]
        folders.append(hand.written(tmp_path / str(number), "train", items, f"set{number}"))
    found = []
    for roots in (folders, folders[::-1]):
        shards = Shards(roots, "train")
        source = Loader(shards, Plan(shards.uids, 4), CANVAS, Kept, Augment(ALL), 0)
        found.append(by_uid([whole(source, 3)]))
    for uid, (pixels, record) in found[0].items():
        assert torch.equal(pixels, found[1][uid][0])
        assert record == found[1][uid][1]


def test_view_0_is_untouched_and_other_views_differ(scenes):
    plain, mosaics = loader(scenes, Settings()), loader(scenes)
    assert torch.equal(whole(plain, 0).images, whole(mosaics, 0).images)
    assert whole(plain, 0).targets.records == whole(mosaics, 0).targets.records
    views = [whole(mosaics, view).images for view in (1, 2)]
    assert not torch.equal(*views)
    assert not torch.equal(views[0], whole(mosaics, 0).images)


@pytest.mark.parametrize("image", [CANVAS, KEPT], ids=["canvas", "edges"])
@pytest.mark.parametrize("moved", [False, True])
def test_words_stand_where_their_pixels_do(scenes, image, moved):
    from dataclasses import replace

    settings, met = replace(MOVED, mosaic=1.0) if moved else ALL, 0
    source = loader(scenes, settings, image)
    for view in (1, 2):
        batch = whole(source, view)
        edges = image.edge(batch.widths.numpy())
        assert len(set(edges)) == len(image.edges) == (3 if image.edges == tuple(EDGES) else 1)
        for pixels, record, edge in zip(unit(batch.images, image), batch.targets.records, edges, strict=True):
            if any(word.legible for word in record.words):
                assert painted.agreement(pixels[:, :edge], record.words) > 0.7
                met += 1
    assert met > 35


def test_a_mosaic_holds_words_of_several_scenes_at_a_legible_size(scenes):
    batch = whole(loader(scenes), 1)
    counts = [sum(word.legible for word in record.words) for record in batch.targets.records]
    assert np.mean(counts) > 3
    assert min(counts) >= 1
    for record in batch.targets.records:
        for word in record.words:
            left, top, right, bottom = geometry.box(word.polygon)
            assert -1e-6 <= left < right <= CANVAS.width + 1e-6
            assert -1e-6 <= top < bottom <= CANVAS.height + 1e-6


@given(st.integers(1, 2**62), st.integers(1, 50), st.integers(4, 21))
def test_partners_are_three_others_of_the_population(uid, view, count):
    shards = Population(count)
    mosaics = Mosaics(shards, np.arange(count), 1.0)
    for own in (uid, int(shards.uids[view % count])):
        rows, partners = mosaics.drawn(np.array([own]), np.array([view]))
        assert rows.tolist() == [0]
        drawn = set(shards.uids[partners[0]].tolist())
        assert len(drawn) == 3
        assert own not in drawn


class Population:
    """A double for shards: uids in no order."""

    def __init__(self, count):
        self.uids = (np.arange(count, dtype=np.uint64) * np.uint64(7919)) % np.uint64(104729) + np.uint64(5)

    def scenes(self):
        return True


def test_no_partner_is_held_out_and_the_share_of_mosaics_is_as_asked(scenes):
    shards = Shards([scenes], "train")
    out = held_out(np.arange(len(shards)), 0.4, 0)
    kept = np.flatnonzero(~out)
    mosaics = Mosaics(shards, kept, 0.5)
    counts = []
    for view in range(1, 60):
        rows, partners = mosaics.drawn(shards.uids[kept], np.full(len(kept), view))
        assert set(partners.ravel().tolist()) <= set(kept.tolist())
        counts.append(len(rows) / len(kept))
    assert np.mean(counts) == pytest.approx(0.5, abs=0.06)
    assert mosaics.population != Mosaics(shards, np.arange(len(shards)), 0.5).population
    assert Mosaics(shards, kept, 0.0).population == ""


def test_a_damaged_partner_leaves_its_quarter_grey_and_the_sample_whole(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "s")
    shards = Shards([scenes], "train")
    before = loader(scenes)
    _, partners = before.mosaics.drawn(shards.uids[:1], np.array([1]))
    victim = int(partners[0, 0])
    _, row = shards._row(victim)
    tar = tmp_path / "s" / "train" / f"{int(shards.shard_of[victim]):06d}.tar"
    data = bytearray(tar.read_bytes())
    data[row.image_offset + 30] ^= 255
    tar.write_bytes(data)
    after = loader(tmp_path / "s")
    sound, hurt = (source.batch(part_of(np.array([0]), 1), 1) for source in (before, after))
    assert hurt.valid.all()
    assert not hurt.damage
    one, other = unit(sound.images, CANVAS)[0], unit(hurt.images, CANVAS)[0]
    changed = one != other
    assert 0 < changed.mean() < 0.6
    assert np.allclose(other[changed], 0.5)
    words = set(sound.targets.records[0].words) - set(hurt.targets.records[0].words)
    assert set(hurt.targets.records[0].words) < set(sound.targets.records[0].words)
    assert words


def test_crops_and_too_few_scenes_are_refused(crops, scenes):
    with pytest.raises(BadSettings, match=r"augment\.mosaic=1\.0: mosaics are of scenes"):
        loader(crops)
    with pytest.raises(BadSettings, match=r"of 4 samples, there are 3"):
        loader(scenes, positions=np.arange(3))
    with pytest.raises(BadSettings, match=r"augment\.mosaic"):
        Settings(mosaic=1.5)


def test_partners_in_remote_shards_are_fetched_and_what_does_not_fit_is_refused(
    scenes, tmp_path, monkeypatch
):
    pytest.importorskip("upath")
    memory = fsspec.filesystem("memory")
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    memory.put(str(scenes), "memory://mosaics/scenes", recursive=True)

    def remote(augment, megabytes=10):
        shards = Shards(["memory://mosaics/scenes"], "train", fetched=megabytes)
        plan = Plan(shards.uids, 8, shuffle=False)  # one shard at a time, but for partners
        return Loader(shards, plan, CANVAS, Kept, Augment(augment), 0)

    far, near = (by_uid(source.batches(0)) for source in (remote(ALL), loader(scenes)))
    assert far.keys() == near.keys()
    assert all(torch.equal(far[uid][0], near[uid][0]) for uid in far)
    sizes = [info.bytes["tar"] for info in remote(ALL).shards.manifests[0].shards]
    few = remote(Settings())
    few.shards.room.limit = max(sizes) * 2
    assert len(by_uid(few.batches(0))) == len(SIZES)
    several = remote(ALL)
    several.shards.room.limit = max(sizes) * 2
    with pytest.raises(BadSettings, match=r"at once; .*; partners of augment\.mosaic lie anywhere"):
        next(several.batches(0))
    memory.rm("memory://mosaics", recursive=True)
