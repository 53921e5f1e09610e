"""Properties of contracts 1 and 2: samples, uids, columns, the shard as others read it."""

import io
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards import columns, manifest, pack, written
from shards.errors import BadData
from shards.read import Shards
from shards.sample import Meta, Record, Sample, Word, record_from_json
from shards.verify import faults


def picture(seed: int, width: int = 20, suffix: str = "JPEG") -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (12, width), np.uint8)
    Image.fromarray(pixels).save(file, suffix)
    return file.getvalue()


def sample(row: int, text: str | None = "word") -> Sample:
    suffix = "png" if row % 3 == 0 else "jpg"
    image = picture(row, 20 + row % 7, "PNG" if suffix == "png" else "JPEG")
    return Sample(
        image, suffix, Record((Word(text),), (20 + row % 7, 12), f"row {row}", Meta(group=f"g{row % 5}"))
    )


def write(folder: Path, rows: int = 25, rejected: tuple[int, ...] = (3, 8), per_shard: int = 10) -> Path:
    dataset = manifest.dataset_id("toy", "train", {"a": 1})
    infos = []
    for number, first in enumerate(range(0, rows, per_shard)):
        stop = min(rows, first + per_shard)
        items = (
            (r, pack.Rejected(r, "broken", f"row {r}") if r in rejected else sample(r, f"w{r}"))
            for r in range(first, stop)
        )
        infos.append(pack.write_shard(folder / "train", pack.stem_of(number), first, stop, items, dataset))
    m = manifest.Manifest("toy", "train", "toy", "none", {"a": 1}, rows, per_shard, tuple(infos))
    manifest.save(folder / "train", m)
    return folder


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 23), rejected=st.sets(st.integers(0, 22)), per_shard=st.integers(1, 9))
def test_columns_say_what_the_tar_holds(tmp_path_factory, rows, rejected, per_shard):
    folder = write(tmp_path_factory.mktemp("c"), rows, tuple(rejected), per_shard)
    kept = [r for r in range(rows) if r not in rejected]
    content = manifest.load(folder / "train")
    assert (content.rows, content.written) == (rows, len(kept))
    assert faults(folder / "train") == []
    if not kept:
        return
    shards = Shards([folder], "train")
    assert [manifest.split_uid(u)[1] for u in shards.uids] == kept
    for position, row in enumerate(kept):
        assert shards.image(position) == sample(row, f"w{row}").image
        assert shards.record(position) == sample(row, f"w{row}").record
        assert shards.text(position) == f"w{row}"


def test_the_same_samples_give_the_same_bytes(tmp_path):
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / f).read_bytes() == (two / f).read_bytes() for f in files)


def test_the_index_is_the_one_that_wds2idx_makes(tmp_path):
    pytest.importorskip("wds2idx", reason="wds2idx comes with the extra `dali`")
    folder = write(tmp_path) / "train"
    tool = Path(sys.executable).with_name("wds2idx")
    for tar in folder.glob("*.tar"):
        subprocess.run([tool, tar, tmp_path / "their.idx"], check=True, stdout=subprocess.DEVNULL)
        assert (tmp_path / "their.idx").read_text() == tar.with_suffix(".idx").read_text()


@pytest.mark.filterwarnings("ignore")
def test_the_webdataset_library_reads_the_shards(tmp_path):
    import webdataset

    folder = write(tmp_path) / "train"
    tars = sorted(map(str, folder.glob("*.tar")))
    read = list(webdataset.WebDataset(tars, shardshuffle=False))
    shards = Shards([tmp_path], "train")
    assert [int(s["__key__"], 16) for s in read] == shards.uids.tolist()
    assert [record_from_json(s["json"]).words[0].text for s in read] == [
        shards.text(i) for i in range(len(shards))
    ]


@pytest.mark.filterwarnings("ignore")
def test_dali_reads_the_shards_through_our_index(tmp_path):
    pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")
    from nvidia.dali import fn, pipeline_def

    folder = tmp_path / "train"
    rows = [(r, sample(r * 3 + 1, f"w{r}")) for r in range(6)]  # one suffix, as DALI wants it
    pack.write_shard(folder, "000000", 0, 6, rows, 5)

    @pipeline_def(batch_size=6, num_threads=1, device_id=None)
    def pipe():
        jpg, record = fn.readers.webdataset(
            paths=[str(folder / "000000.tar")], index_paths=[str(folder / "000000.idx")], ext=["jpg", "json"]
        )
        return jpg, record

    built = pipe()
    built.build()
    images, found = built.run()
    for i, (_, wanted) in enumerate(rows):
        assert images.at(i).tobytes() == wanted.image
        assert record_from_json(found.at(i).tobytes()) == wanted.record


def test_flipping_any_byte_of_a_sample_names_that_sample_and_spares_its_neighbours(tmp_path):
    write(tmp_path)
    shards = Shards([tmp_path], "train")
    row = shards._open[0].columns[2]
    tar = tmp_path / "train" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[row.image_offset + 5] ^= 1
    tar.write_bytes(data)
    shards = Shards([tmp_path], "train")
    with pytest.raises(BadData, match=f"{shards.uids[2]:016x} is damaged"):
        shards.image(2)
    assert shards.image(1)
    assert shards.image(3)
    assert any("sha256" in fault for fault in faults(tmp_path / "train"))


@pytest.mark.parametrize("suffix", pack.FILES)
def test_a_cut_or_missing_file_is_named(tmp_path, suffix):
    write(tmp_path)
    path = tmp_path / "train" / f"000001.{suffix}"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BadData, match=f"000001.{suffix}"):
        Shards([tmp_path], "train")
    assert pack.finished(tmp_path / "train", "000001", 10, 20) is None
    path.unlink()
    with pytest.raises(BadData, match=f"000001.{suffix}"):
        Shards([tmp_path], "train")


def test_a_shard_without_its_sidecar_is_not_finished(tmp_path):
    write(tmp_path)
    assert pack.finished(tmp_path / "train", "000000", 0, 10) is not None
    assert pack.finished(tmp_path / "train", "000000", 0, 11) is None
    (tmp_path / "train" / "000000.json").unlink()
    assert pack.finished(tmp_path / "train", "000000", 0, 10) is None


def test_rejects_are_listed_and_reconcile(tmp_path):
    write(tmp_path)
    lines = (tmp_path / "train" / "rejects.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert '"reason":"broken"' in lines[0]
    content = manifest.load(tmp_path / "train")
    written.seal(tmp_path / "train" / "manifest.json", asdict(replace(content, rows=26)))
    with pytest.raises(BadData, match="26 rows"):
        manifest.load(tmp_path / "train")


def test_a_seal_breaks_with_any_byte_and_files_without_one_are_read(tmp_path):
    write(tmp_path)
    path = tmp_path / "train" / "manifest.json"
    whole, content = path.read_bytes(), manifest.load(tmp_path / "train")
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(written.Damaged, match=r"manifest\.json"):
            manifest.load(tmp_path / "train")
    path.write_bytes(whole.replace(b'"toy"', b'"t\\ud800y"'))
    with pytest.raises(written.Damaged, match="changed after it was written"):
        manifest.load(tmp_path / "train")
    written.write_json(path, asdict(content))  # as earlier versions wrote it
    assert manifest.load(tmp_path / "train") == content
    assert faults(tmp_path / "train") == []


def test_a_later_format_is_no_damage(tmp_path):
    write(tmp_path)
    path = tmp_path / "train" / "manifest.json"
    written.seal(path, {"format": 2, "unheard": "of"})
    with pytest.raises(BadData, match="format 2, this version reads 1") as told:
        manifest.load(tmp_path / "train")
    assert not isinstance(told.value, written.Damaged)


def test_two_roots_with_the_same_data_set_are_refused(tmp_path):
    with pytest.raises(BadData, match="same data set id"):
        Shards([write(tmp_path / "a"), write(tmp_path / "b")], "train")
    with pytest.raises(BadData, match=r"a/train and .*a/train have the same data set id: name a set once"):
        Shards([tmp_path / "a", tmp_path / "a"], "train")


def test_a_missing_root_or_split_says_what_exists(tmp_path):
    with pytest.raises(BadData, match="no such folder"):
        Shards([tmp_path / "nothing"], "train")
    write(tmp_path)
    with pytest.raises(BadData, match="there are: train"):
        Shards([tmp_path], "test")


def test_a_row_read_alone_is_that_of_the_columns(words):
    for file in sorted(words.glob("*/*.columns.npy")):
        rows, whole = columns.Rows(file), columns.load(file)
        assert columns.Row._fields == columns.DTYPE.names
        for place, row in enumerate(whole):
            told = [v.tobytes() if isinstance(v, np.ndarray) else int(v) for v in row]
            assert list(rows[place]) == told


def test_columns_of_another_layout_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(BadData, match="another layout"):
        columns.load(tmp_path / "x.npy")
