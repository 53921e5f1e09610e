"""Real sets, beside the checkout or where OCR_REAL_DATA says: every word becomes a sample."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from ingest import crops, labels
from ingest.sources import icdar2017_mlt, paddle_labels, sroie, svt
from ingest.sources.icdar2015 import Settings, Source
from shards import columns, geometry, manifest

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_icdar2015_words(tmp_path, shard, real):
    code, said = shard(
        "source=icdar2015",
        f"root={real / 'icdar2015_words'}",
        f"out={tmp_path}",
        "split=train,test",
        "max_reject_frac=0",
    )
    assert code == 0, said
    assert manifest.load(tmp_path / "train").written == 2224
    assert manifest.load(tmp_path / "test").written == 144


@pytest.mark.parametrize(
    ("root", "labels", "images", "count"),
    [
        ("iiit5k/IIIT5K", "train_gt.txt", "train", 1978),
        ("iiit5k/IIIT5K", "test_gt.txt", "test", 195),
        ("svt", "train_gt.txt", "train_words", 257),
        ("svt", "test_gt.txt", "test_words", 90),
    ],
)
def test_folders_with_lists(tmp_path, shard, real, root, labels, images, count):
    code, said = shard(
        "source=folder", f"root={real / root}", f"labels={labels}", "format=icdar", f"images={images}",
        f"out={tmp_path}", "max_reject_frac=0", "name=x", "split=test",
    )  # fmt: skip
    assert code == 0, said
    assert manifest.load(tmp_path / "test").written == count


def test_icdar2015_crops_cut_here_are_the_published_ones_pixel_for_pixel(real):
    words = Source(Settings("words"), str(real / "icdar2015_words"), "train")
    crops = Source(Settings("crops", "box"), str(real / "icdar2015_loc"), "train")
    for row in range(200):
        theirs, ours = words.read(row), crops.read(row)
        assert theirs.record.origin == f"word_{row + 1}.png"
        assert ours.record.words == theirs.record.words
        pixels = [np.asarray(Image.open(io.BytesIO(s.image)).convert("RGB")) for s in (ours, theirs)]
        np.testing.assert_array_equal(*pixels, err_msg=ours.record.origin)


@pytest.mark.parametrize(
    ("level", "written", "words", "photos"),
    [
        ("level=scenes", [500, 30], [6632, 462], [500, 30]),
        ("level=crops", [2443, 144], [2443, 144], [487, 29]),
    ],
)
def test_icdar2015_photos(tmp_path, shard, real, level, written, words, photos):
    where = (f"root={real / 'icdar2015_loc'}", f"out={tmp_path}")
    code, said = shard("source=icdar2015", level, *where, "split=train,test", "max_reject_frac=0")
    assert code == 0, said
    splits = [tmp_path / split for split in ("train", "test")]
    assert [manifest.load(split).written for split in splits] == written
    assert [columns_of(split)["words"].sum() for split in splits] == words
    groups = [set(columns_of(split)["group"].tolist()) for split in splits]
    assert not groups[0] & groups[1]
    assert [len(group) for group in groups] == photos


def test_no_legible_word_of_icdar2015_resists_perspective(real):
    for split, count in (("train", 2443), ("test", 144)):
        crops = Source(Settings("crops", "perspective"), str(real / "icdar2015_loc"), split)
        assert sum(crops.read(row).record.size[1] > 1 for row in range(len(crops))) == count


def columns_of(folder):
    return columns.load(folder / "000000.columns.npy")


def test_mjsynth(tmp_path, shard, real):
    arguments = ("split=train,val,test", "max_reject_frac=0", f"out={tmp_path}")
    code, said = shard("source=synth90k", f"root={real / 'mjsynth_mini'}", *arguments)
    assert code == 0, said
    assert [manifest.load(tmp_path / split).written for split in ("train", "val", "test")] == [9, 3, 3]


def test_iiit5k(tmp_path, shard, real):
    pytest.importorskip("scipy", reason="the extra `mat` is not installed")
    where = (f"root={real / 'iiit5k'}", f"out={tmp_path}")
    code, said = shard("source=iiit5k", *where, "complete=true", "max_reject_frac=.02")
    assert code == 0, said
    done = manifest.load(tmp_path / "train")
    assert (done.rows, done.written, done.rejected) == (2000, 1978, {"missing_image": 22})


def test_the_xml_of_svt_tells_the_order_and_the_size_of_its_crops(real):
    source = svt.Source(svt.Settings(), str(real / "svt"), "train")
    assert (len(source), source.official) == (257, 257)
    lists = labels.read(real / "svt/train_gt.txt", "icdar")
    assert [box.text for _, box in source.rows] == [label.text for label in lists]
    uncut = 0
    for (photo, box), label in zip(source.rows, lists, strict=True):
        if box.place[3] <= 128 and not photo.beyond(box):  # higher crops were made smaller
            left, top, right, bottom = geometry.box(crops.touched(*box.place))
            with Image.open(real / "svt/train_words" / label.path) as crop:
                assert crop.size == (right - left + 1, bottom - top + 1), label
            uncut += 1
    assert uncut == 241


def test_the_same_crops_come_of_three_lists_that_say_the_same(tmp_path, real):
    theirs = Source(Settings("crops", "perspective"), str(real / "icdar2015_loc"), "test")
    lists = {photo.image: photo.listed() for photo in theirs.level.scenes.rows}
    mlt, mlt_lists = (tmp_path / f"ch8_validation_{name}" for name in ("images", icdar2017_mlt.LISTS))
    mlt.symlink_to(theirs.level.scenes.photos.tree.path)
    (tmp_path / "box").mkdir()
    mlt_lists.mkdir()
    det = []
    for image, regions in lists.items():
        lines = [(",".join(f"{v:.0f}" for xy in one.quad for v in xy), one.text or "###") for one in regions]
        stem = image.removesuffix(".jpg")
        (tmp_path / f"box/{stem}.txt").write_text("".join(f"{quad},{text}\n" for quad, text in lines))
        (mlt_lists / f"gt_{stem}.txt").write_text("".join(f"{quad},Latin,{text}\n" for quad, text in lines))
        words = [{"transcription": one.text or "*", "points": one.quad} for one in regions]
        det.append(f"{image}\t{json.dumps(words)}\n")
    (tmp_path / "det_gt_val.txt").write_text("".join(det))
    chosen = {"level": "crops", "crop": "perspective"}
    ours = [
        sroie.Source(sroie.Settings(images=mlt.name, boxes="box", **chosen), str(tmp_path), "val"),
        icdar2017_mlt.Source(icdar2017_mlt.Settings(**chosen), str(tmp_path), "val"),
        paddle_labels.Source(paddle_labels.Settings(images=mlt.name, **chosen), str(tmp_path), "val"),
    ]
    for source in ours:
        assert len(source) == len(theirs) == 144
        for row in range(144):
            mine, other = source.read(row), theirs.read(row)
            assert (mine.image, mine.record.words) == (other.image, other.record.words)
