"""Foreign tars: what belongs together, which member counts, and the same samples as webdataset gives."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from ingest.sources import Reject
from ingest.sources.webdataset import Settings, Source
from shards import manifest
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/webdataset/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


@pytest.fixture
def tar(tmp_path):
    """write(name, {member: bytes} or pairs): a tar in tmp_path/made, which is returned."""

    def write(name, members):
        (tmp_path / "made").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "made" / name, "w") as file:
            for path, data in members.items() if isinstance(members, dict) else members:
                info = tarfile.TarInfo(path)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        return tmp_path / "made"

    return write


def source(root, split="train", tars="{split}-*.tar", **settings):
    return Source(Settings(tars=tars, **settings), str(root), split)


def test_members_of_a_sample_need_not_follow_one_another_and_equal_names_in_two_tars_are_two():
    found = source(ROOT)
    records = [found.read(row).record for row in (0, 1, 4)]
    assert [(record.origin, record.words[0].text) for record in records] == [
        ("train-000000.tar/a/1", "One"), ("train-000000.tar/b/1", " two "), ("train-000001.tar/a/1", "five")
    ]  # fmt: skip
    assert found.notes == ["7 samples in 2 tars; 1 have no image, 1 no .txt"]


def test_contiguous_samples_are_those_that_webdataset_gives(tar, encoded):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    members = {}
    for number, name in enumerate(["a/1", "b/1", "b/2.x", "3"]):
        members |= {
            f"{name}.PNG": encoded(size=(9 + number, 8)),
            f"{name}.seg.txt": f"text {number}".encode(),
        }
    folder = tar("x.tar", members)
    with open(folder / "x.tar", "rb") as file:
        opened = {"url": "x.tar", "stream": file}
        expected = [(one["__key__"], one) for one in group_by_keys(tar_file_expander([opened]))]
    found = source(folder, tars="*.tar", image=["png", "x.png"], label="seg.txt")
    assert [row.name for row in found.rows] == [name for name, _ in expected]
    for row, (_, one) in enumerate(expected):
        if "seg.txt" in one:
            assert found.read(row).image == one["png"]
            assert found.read(row).record.words[0].text == one["seg.txt"].decode()
    assert len(expected) == 4


def test_the_first_ending_that_is_there_is_the_image(tar, encoded):
    wide, narrow = encoded(size=(30, 8)), encoded("JPEG", size=(10, 8))
    folder = tar("x.tar", {"1.jpg": narrow, "1.png": wide, "1.txt": b"x"})
    assert source(folder, tars="x.tar", image=["png", "jpg"]).read(0).image == wide
    assert source(folder, tars="x.tar").read(0).image == narrow


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (4, "missing_label its JSON has no words.0.text"),
        (5, "not_json Expecting property name"),
        (6, "missing_label its JSON has no words.0.text"),
    ],
)
def test_what_json_does_not_say_is_named(row, why):
    with pytest.raises(Reject, match=why):
        source(ROOT, label="json", json_key="words.0.text").read(row)
    with pytest.raises(Reject, match="missing_label text in its JSON is 5, not a text"):
        source(ROOT, label="json", json_key="text").read(4)


def test_a_changed_text_or_another_member_for_it_is_another_data_set(tar, encoded):
    image = encoded()
    options = [
        source(
            tar("x.tar", {"1.png": image, "1.txt": text, "1.cls": b"x"}), tars="x.tar", label=label
        ).options
        for text, label in ((b"x", "txt"), (b"y", "txt"), (b"x", "cls"))
    ]
    assert len({str(one) for one in options}) == 3


def test_damage_and_members_that_are_there_twice_are_named(root, tar):
    data = (root / "train-000001.tar").read_bytes()
    (root / "train-000001.tar").write_bytes(data[:2000])
    with pytest.raises(BadData, match=r"train-000001\.tar: cut off"):
        source(root)
    with pytest.raises(BadData, match=r"x\.tar: member '1\.TXT' at byte \d+ is there already"):
        source(tar("x.tar", [("1.txt", b"a"), ("1.TXT", b"b")]), tars="x.tar")


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"tars": "x-*.tar"}, BadData, r"no tar there is called x-\*\.tar"),
        ({"tars": "../*.tar"}, BadData, "does not stay below"),
        ({"image": []}, BadSettings, "image= names at least one ending"),
        ({"label": "json"}, BadSettings, "json_key= where the text stands"),
        ({"json_key": "text"}, BadSettings, "only there"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)


def test_it_survives_the_way_to_another_process(tmp_path, shard, tar, encoded, snapshot):
    members = {}
    for number in range(12):
        members |= {f"{number}.png": encoded(size=(9 + number, 8)), f"{number}.txt": b"%d" % number}
    folder = tar("x.tar", members)
    for workers in (1, 2):
        out = (f"out={tmp_path / str(workers)}", f"workers={workers}", "rows_per_shard=5")
        code, said = shard("source=webdataset", f"root={folder}", *out)
        assert code == 0, said
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")
    assert manifest.load(tmp_path / "1/train").written == 12
