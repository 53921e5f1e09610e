"""The loader: the right pixels for the right uid, damage masked and named."""

import threading

import numpy as np
import pytest
import torch

from shards.augment import Augment, Settings
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Loader, ahead, view_of
from shards.loader import Settings as DataSettings
from shards.plan import Plan
from shards.read import Shards

AUGMENT = Settings(chance=0.7, rotation=5, blur=1.0, noise=0.05, jpeg=0.5)


class Lengths:
    """A double for a task's targets."""

    def __init__(self, records):
        self.lengths = torch.tensor([len(r.words[0].text or "") for r in records])

    def to(self, device):
        return self


def loader(shards: Shards, batch: int = 10, epochs_views: int = 0, **more) -> Loader:
    return Loader(
        shards, Plan(shards.uids, batch, seed=1), ImageSpec(), Lengths, Augment(AUGMENT), epochs_views, **more
    )


def by_uid(batches) -> dict[int, torch.Tensor]:
    return {int(u): b.images[i] for b in batches for i, u in enumerate(b.uids) if b.valid[i]}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_sample_has_the_same_pixels_in_any_batch(words, size):
    shards = Shards([words], "train")
    one, other = by_uid(loader(shards, 10).batches(2)), by_uid(loader(shards, size).batches(2))
    assert one.keys() == other.keys() == set(shards.uids.tolist())
    assert all(torch.equal(one[u], other[u]) for u in one)


def test_ranks_and_micro_batches_divide_the_batch_and_change_no_pixel(words):
    shards = Shards([words], "train")
    whole = by_uid(loader(shards).batches(0))
    split = [b for rank in range(3) for b in loader(shards, rank=rank, world=3, accumulation=2).batches(0)]
    assert all(torch.equal(whole[u], image) for u, image in by_uid(split).items())
    assert by_uid(split).keys() == whole.keys()


def test_a_restart_in_the_middle_gives_the_same_batches(words):
    shards = Shards([words], "train")
    whole = list(loader(shards).batches(1))
    for a, b in zip(whole[4:], loader(Shards([words], "train")).batches(1, 4), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.uids, b.uids)
        assert torch.equal(a.targets.lengths, b.targets.lengths)


def test_denominators_make_rank_sums_a_global_mean(words):
    shards = Shards([words], "train")
    values = torch.arange(len(shards)).float()
    place = {int(u): i for i, u in enumerate(shards.uids)}
    for step in range(10):
        parts = [
            b
            for r in range(3)
            for b in [loader(shards, 10, rank=r, world=3).batch(Plan(shards.uids, 10, 1).part(0, step, r, 3))]
        ]
        sums = [
            sum(values[place[int(u)]] for u, ok in zip(b.uids, b.valid, strict=True) if ok) / b.denominator
            for b in parts
        ]
        uids = [int(u) for b in parts for u, ok in zip(b.uids, b.valid, strict=True) if ok]
        assert float(sum(sums)) / 3 == pytest.approx(float(np.mean([values[place[u]] for u in uids])))


def test_a_damaged_sample_is_masked_and_named_and_its_label_is_kept(words, tmp_path):
    import shutil

    shutil.copytree(words, tmp_path / "w")
    shards = Shards([tmp_path / "w"], "train")
    row = shards._open[0].columns[5]
    tar = tmp_path / "w" / "train" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[row.image_offset + 30] ^= 255
    tar.write_bytes(data)
    shards, uid = Shards([tmp_path / "w"], "train"), int(shards.uids[5])
    batches = list(loader(shards).batches(0))
    named = {int(b.uids[i]): why for b in batches for i, why in b.damage.items()}
    assert list(named) == [uid]
    assert f"{uid:016x} is damaged" in named[uid]
    assert set(by_uid(batches)) == set(shards.uids.tolist()) - {uid}
    kept = [b.records[i] for b in batches for i, u in enumerate(b.uids) if int(u) == uid]
    assert kept[0].words[0].text == shards.text(5)


def test_the_affine_takes_source_points_to_the_canvas():
    for spec in (ImageSpec(), ImageSpec(fit="keep"), ImageSpec(64, 64, fit="letterbox")):
        left, top, width, height = spec.placement(80, 20)
        corner = spec.affine(80, 20) @ np.array([80.0, 20.0, 1.0])
        assert corner.tolist() == [left + width, top + height]


def test_views_cycle_or_are_always_fresh():
    assert view_of(np.arange(5), 3).tolist() == [0, 1, 2, 0, 1]
    assert view_of(np.arange(3), 0).tolist() == [1, 2, 3]
    assert view_of(np.arange(3), 1).tolist() == [0, 0, 0]


def test_errors_of_the_preparing_thread_arrive_and_leaving_early_ends_it():
    def broken():
        yield 1
        raise ValueError("in the thread")

    items = ahead(broken(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="in the thread"):
        next(items)
    before = threading.active_count()
    items = ahead(iter(range(1000)), 2)
    next(items)
    items.close()
    assert threading.active_count() == before


def test_a_window_that_is_no_number_is_refused():
    assert DataSettings(window="3").shards_mixed() == 3
    assert DataSettings().shards_mixed() is None
    with pytest.raises(BadSettings, match=r"data\.window"):
        DataSettings(window="many").shards_mixed()


@pytest.mark.parametrize(
    "bad", [{"channels": "cmyk"}, {"fit": "crop"}, {"resample": "lanczos"}, {"std": 0.0}, {"height": 0}]
)
def test_an_impossible_image_spec_is_refused(bad):
    with pytest.raises(BadSettings, match="image"):
        ImageSpec(**bad)
