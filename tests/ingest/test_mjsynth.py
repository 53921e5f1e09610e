"""MJSynth: folder or tar, one name or the other, the same shards; and what is refused."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ingest import jobs, splits
from ingest.sources import Reject, mjsynth, synth90k
from ingest.sources.mjsynth import Settings, Source
from shards import config, manifest
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/mjsynth/root"
RELEASE = "mnt/ramdisk/max/90kDICT32px"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def release(tmp_path):
    """A folder in the layout of the release that may be changed."""
    return Path(shutil.copytree(ROOT / "90kDICT32px", tmp_path / "raw" / RELEASE))


@pytest.fixture
def packed(tmp_path, release):
    """The same as a tar, its files in another order than the lists'."""
    path = tmp_path / "mjsynth.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted((p for p in release.rglob("*") if p.is_file()), reverse=True):
            tar.add(file, file.relative_to(tmp_path / "raw"))
    return path


def source(root, split="train"):
    return Source(Settings(), str(root), split)


@pytest.mark.slow
def test_folder_and_tar_and_either_name_give_byte_identical_shards(tmp_path, shard, packed, snapshot):
    arguments = ("split=train,val,test", "rows_per_shard=3", "max_reject_frac=.9")
    ways = [("mjsynth", ROOT, 1), ("synth90k", packed, 1), ("mjsynth", packed, 2), ("synth90k", ROOT, 2)]
    found = []
    for number, (name, root, workers) in enumerate(ways):
        out = tmp_path / f"out{number}"
        code, said = shard(f"source={name}", f"root={root}", f"out={out}", f"workers={workers}", *arguments)
        assert code == 0, said
        found.append(snapshot(out))
    assert found[0] == found[1] == found[2] == found[3]
    assert [manifest.load(tmp_path / "out0" / split).written for split in ("train", "val", "test")] == [
        3,
        1,
        1,
    ]
    ledger = [json.loads(line) for line in (tmp_path / "out1/train/rejects.jsonl").read_text().splitlines()]
    assert [(r["row"], r["origin"], r["reason"]) for r in ledger] == [
        (2, "1/2/4_Delta_1.jpg", "labels_differ"),
        (3, "1/2/3_beta_1.jpg", "labels_differ"),
        (5, "7/1/2_Beta_1.jpg", "truncated"),
        (6, "7/1/3_alpha_0.jpg", "missing_image"),
    ]
    assert "'Delta' in the name, 'beta' in lexicon.txt" in ledger[0]["detail"]
    assert "line 3" in ledger[1]["detail"]


def test_the_second_name_is_the_same_data_set():
    def plan(name):
        settings = config.read(splits.Settings, "shard", [f"source={name}", f"root={ROOT}", "out=x"])
        return splits.describe(settings, "train")

    assert plan("mjsynth") == plan("synth90k")
    assert plan("synth90k").name == plan("synth90k").source == "mjsynth"
    assert synth90k.Source is mjsynth.Source


def test_too_many_rejects_stop_the_run(tmp_path, shard):
    code, said = shard("source=mjsynth", f"root={ROOT}", f"out={tmp_path / 'out'}")
    assert (code, "2 labels_differ" in said) == (3, True), said


@pytest.mark.parametrize("below", ["", "mnt", RELEASE])
def test_the_release_is_found_from_each_of_its_folders(tmp_path, release, below):
    whole, part = source(tmp_path / "raw"), source(tmp_path / "raw" / below)
    assert part.options == whole.options
    assert part.read(0) == whole.read(0)


@pytest.mark.parametrize("name", ["mjsynth.tar.gz", "mjsynth.tgz", "my words.tar", "mjsynth.gz"])
def test_a_gzipped_tar_is_refused_with_the_line_that_helps(tmp_path, packed, name):
    whole = source(packed)
    subprocess.run(["gzip", packed], check=True)
    zipped = (tmp_path / "mjsynth.tar.gz").rename(tmp_path / name)
    with pytest.raises(BadSettings, match="gzipped") as caught:
        source(zipped)
    _, line, then = str(caught.value).split("\n")
    subprocess.run(line, shell=True, check=True)
    root = then.removeprefix("and give root=")
    assert root != str(zipped)
    assert zipped.exists()
    assert source(root).options == whole.options
    assert source(root).read(0) == whole.read(0)


def test_a_tar_cut_off_writes_nothing(tmp_path, shard, packed):
    packed.write_bytes(packed.read_bytes()[:5000])
    code, said = shard("source=mjsynth", f"root={packed}", f"out={tmp_path / 'out'}")
    assert (code, "cut off" in said) == (3, True), said
    assert not (tmp_path / "out").exists()


def test_a_listed_link_in_a_tar_is_a_missing_image(tmp_path, release):
    (release / "1/2/1_Alpha_0.jpg").unlink()
    (release / "1/2/1_Alpha_0.jpg").symlink_to(release / "1/2/3_beta_1.jpg")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(release, "90k")
    found = source(tmp_path / "x.tar")
    with pytest.raises(Reject, match=r"^1/2/1_Alpha_0\.jpg: missing_image line 1"):
        found.read(0)
    assert found.read(1).record.words[0].text == "GAMMA"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("./1/2/5_Alpha_0.jpg", "expected"),
        ("./1/2/5_Alpha_0.jpg zero", "expected"),
        ("./1/2/5_Alpha_0.jpg  0", "expected"),
        ("./1/2/5_Alpha_0.jpg 0 ", "expected"),
        ("./1/2/5_Alpha_0.png 0", "expected"),
        ("./1/2/5_0.jpg 0", "expected"),
        ("", "expected"),
        ("../1/2/5_Alpha_0.jpg 0", "expected"),
        ("./1/../2/5_Alpha_0.jpg 0", "expected"),
        ("/1/2/5_Alpha_0.jpg 0", "expected"),
        ("1\\2\\5_Alpha_0.jpg 0", "expected"),
        ("./1/2/1_Alpha_0.jpg 0", "stands on line 1"),
    ],
)
def test_a_line_that_does_not_fit_is_named(release, line, why):
    lines = (release / "annotation_train.txt").read_text().splitlines()
    (release / "annotation_train.txt").write_text("\n".join([*lines[:4], line, *lines[4:]]) + "\n")
    with pytest.raises(BadData, match=r"annotation_train\.txt:5: ") as caught:
        source(release)
    assert why in str(caught.value)


def test_a_lexicon_of_phrases_is_refused(release):
    (release / "lexicon.txt").write_text("alpha\nbeta one\n")
    with pytest.raises(BadData, match=r"lexicon\.txt:2: expected one word"):
        source(release)


def test_what_is_missing_or_there_twice_is_named(tmp_path, release):
    with pytest.raises(BadSettings, match="train, val, test"):
        source(release, "dev")
    shutil.copytree(release, tmp_path / "raw/copy")
    with pytest.raises(BadData, match=r"root=.*annotation_train\.txt.*raw/copy.*mnt/ramdisk"):
        source(tmp_path / "raw")
    (release / "lexicon.txt").unlink()
    with pytest.raises(BadData, match=r"lexicon\.txt: no readable list"):
        source(release)
    (release / "annotation_val.txt").unlink()
    with pytest.raises(BadData, match=r"annotation_val\.txt is needed there, found: none"):
        source(release, "val")


def test_another_lexicon_or_list_is_another_data_set(release):
    before = source(release).options
    (release / "lexicon.txt").write_text("alpha\nbeta\ngamma\ndelta\n")
    lexicon = source(release).options
    (release / "annotation_train.txt").write_text("./1/2/1_Alpha_0.jpg 0\n")
    assert before != lexicon != source(release).options != before


def test_the_image_is_stored_as_published_under_its_path(release):
    sample = source(release).read(4)
    assert sample.image == (release / "7/1/1_beta_1.jpg").read_bytes()
    assert (sample.suffix, sample.record.origin, sample.record.size) == ("jpg", "7/1/1_beta_1.jpg", (16, 9))
    assert not sample.record.transcoded


def test_an_unreadable_place_in_a_tar_rejects_its_row_alone(packed):
    found = source(packed)
    found.tree.offsets = found.tree.offsets[::-1]
    outcomes = [jobs.outcome(found, row, str(packed)) for row in (0, 2)]
    assert [outcome.reason for outcome in outcomes] == ["unreadable", "labels_differ"]
