"""Raw data and shards both in a bucket of an S3 server: the bytes are those of a local run."""

import fsspec
import pytest
from PIL import Image

from shards import storage
from shards.read import Shards

pytest.importorskip("upath")
COUNT = 200


@pytest.fixture
def raw(tmp_path):
    """A folder of small word images in two folders, with a list; one is missing, one is broken."""
    lines = []
    for row in range(COUNT):
        path = tmp_path / "raw" / f"part{row % 2}" / f"{row}.{'png' if row % 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((20 + row % 50, 12)).save(path)
        lines.append(f"{path.relative_to(tmp_path / 'raw')}\tword {row}\n")
    (tmp_path / "raw/labels.tsv").write_text("".join(lines))
    path.unlink()
    (tmp_path / "raw/part0/0.jpg").write_bytes(b"\xff\xd8 broken")
    return tmp_path / "raw"


def content(address):
    system, place = fsspec.core.url_to_fs(str(address))
    return {name.removeprefix(place): system.cat_file(name) for name in system.find(place)}


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["labels.tsv", "none"])
def test_a_folder_in_a_bucket_becomes_the_shards_of_the_local_one_in_a_bucket(
    raw, s3, shard, tmp_path, monkeypatch, labels
):
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    base = f"{s3}/{labels}"
    fsspec.filesystem("s3").put(str(raw), f"{base}/raw", recursive=True)
    told = ["source=folder", f"labels={labels}", "rows_per_shard=64", "workers=1", "max_reject_frac=.02"]
    for root, out in ((raw, tmp_path / "out"), (f"{base}/raw", f"{base}/out")):
        code, said = shard(*told, f"root={root}", f"out={out}")
        assert code == 0, said
        assert "sesame" not in said
    assert content(f"{base}/out") == content(tmp_path / "out")
    here, there = (Shards([out], "train") for out in (tmp_path / "out", f"{base}/out"))
    assert len(there) == COUNT - 2
    assert [there.image(place) for place in (0, 100)] == [here.image(place) for place in (0, 100)]
    system = fsspec.filesystem("s3")
    before = {file: system.modified(file) for file in system.find(f"{base}/out")}
    assert shard(*told, f"root={base}/raw", f"out={base}/out")[0] == 0  # all is there
    assert {file: system.modified(file) for file in before} == before
