"""Real sets, beside the checkout or where OCR_REAL_DATA says: every word becomes a sample."""

import os
from pathlib import Path

import pytest

from shards import manifest

DATA = Path(os.environ.get("OCR_REAL_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data; set OCR_REAL_DATA"),
]


def test_icdar2015_words(tmp_path, shard):
    code, said = shard(
        "source=icdar2015",
        f"root={DATA / 'icdar2015_words'}",
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
def test_folders_with_lists(tmp_path, shard, root, labels, images, count):
    code, said = shard(
        "source=folder", f"root={DATA / root}", f"labels={labels}", "format=icdar", f"images={images}",
        f"out={tmp_path}", "max_reject_frac=0", "name=x", "split=test",
    )  # fmt: skip
    assert code == 0, said
    assert manifest.load(tmp_path / "test").written == count
