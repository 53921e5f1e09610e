"""LMDB environments: one or a tree of them, what is checked, and who opens them when."""

import io
import json
import multiprocessing
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from ingest.sources import Reject
from ingest.sources.lmdb_pairs import Settings, Source
from shards import manifest
from shards.errors import BadData, BadSettings

lmdb = pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
ROOT = Path(__file__).resolve().parent.parent / "raw/lmdb_pairs/root"


@pytest.fixture
def environment(tmp_path, encoded):
    """make(folder, labels, said): an environment below tmp_path/raw with an image for every label."""

    def make(folder, labels, said=None, **more):
        place = tmp_path / "raw" / folder
        place.mkdir(parents=True)
        with lmdb.open(str(place), map_size=1 << 20, lock=False) as store, store.begin(write=True) as pairs:
            if said != "":
                pairs.put(b"num-samples", (said or str(len(labels))).encode())
            for number, label in enumerate(labels, 1):
                pairs.put(b"image-%09d" % number, encoded(size=(10 + number, 8)))
                pairs.put(b"label-%09d" % number, label.encode())
            for key, value in more.items():
                pairs.put(key.replace("_", "-").encode(), value)
        return tmp_path / "raw"

    return make


def source(root, environments="", split="train"):
    return Source(Settings(environments), str(root), split)


def texts(source):
    return [source.read(row).record.words[0].text for row in range(len(source))]


def test_a_tree_is_walked_in_sorted_order_and_every_environment_is_a_group(environment):
    environment("b/two", ["3", "4"])
    environment("b/one", ["2"])
    root = environment("a", ["1"])
    found = source(root)
    assert texts(found) == ["1", "2", "3", "4"]
    records = [found.read(row).record for row in range(4)]
    assert [record.origin for record in records] == ["a/000000001", "b/one/000000001", "b/two/000000001",
                                                     "b/two/000000002"]  # fmt: skip
    assert [record.meta.group for record in records] == [
        f"lmdb_pairs/{name}" for name in ("a", "b/one", "b/two", "b/two")
    ]


def test_one_environment_is_no_group(environment):
    root = environment("train", ["one"])
    found = source(root, "{split}")
    assert found.per_split
    assert not source(root / "train").per_split
    for one in (found, source(root / "train")):
        assert (one.read(0).record.origin, one.read(0).record.meta.group) == ("000000001", None)


def test_an_environment_with_no_pairs_among_others_has_no_rows(environment):
    environment("a", [])
    assert texts(source(environment("b", ["x"]))) == ["x"]


@pytest.mark.parametrize(
    ("said", "more", "why"),
    [
        ("3", {}, "num-samples is 3, but there is no pair 3"),
        ("1", {}, "num-samples is 1, but there is a pair 2"),
        ("0", {}, "num-samples is 0, but there is a pair 1"),
        (None, {"label_000000003": b"x"}, "num-samples is 2, but there is a pair 3"),
        ("", {}, "num-samples is None"),
        ("two", {}, "num-samples is b'two'"),
        ("-2", {}, "num-samples is b'-2'"),
    ],
)
def test_a_count_that_is_not_right_is_refused(environment, said, more, why):
    root = environment("a", ["one", "two"], said, **more)
    with pytest.raises(BadData, match=f"/a: {why}"):
        source(root)


def test_what_is_no_environment_is_named(environment, tmp_path):
    root = environment("a", ["one"])
    (root / "b").mkdir()
    with pytest.raises(BadData, match=r"no data\.mdb in .*/b; every leaf"):
        source(root)
    (root / "b/data.mdb").write_bytes(b"\1" * 9000)
    with pytest.raises(BadData, match="/b: no LMDB environment that can be read"):
        source(root)
    (root / "a/inner").mkdir()
    with pytest.raises(BadData, match="/a is an environment and holds folders: inner"):
        source(root)
    with pytest.raises(BadData, match="environments=val: no such folder"):
        source(root, "{split}", "val")
    with pytest.raises(BadData, match="does not stay below"):
        source(root, "../raw")


def test_a_linked_environment_is_walked_too(environment, tmp_path):
    root = environment("a", ["one"])
    shutil.move(root / "a", tmp_path / "elsewhere")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    assert texts(source(root)) == ["one"]


def test_the_release_says_that_its_training_tree_holds_out_nothing(environment):
    environment("MJ/MJ_train", ["a"])
    environment("MJ/MJ_test", ["c"])
    root = environment("ST", ["d"])
    (note,) = source(root).notes
    assert note.startswith("MJ/MJ_test beside MJ/MJ_train: words that MJSynth holds out are among these rows")
    shutil.rmtree(root / "MJ/MJ_train")
    assert source(root).notes == []


def test_a_changed_label_or_a_changed_name_is_another_data_set(environment, tmp_path):
    options = [
        source(environment(f"{number}/{name}", labels) / str(number)).options
        for number, (name, labels) in enumerate([("a", ["1", "2"]), ("a", ["1", "3"]), ("b", ["1", "2"])])
    ]
    assert options[0] != options[1] != options[2] != options[0]
    assert options[0] == source(environment("3/a", ["1", "2"]) / "3").options


def test_nothing_is_written_beside_the_environment(environment):
    root = environment("a", ["one"])
    before = sorted(path.name for path in (root / "a").iterdir())
    assert texts(source(root)) == ["one"]
    assert sorted(path.name for path in (root / "a").iterdir()) == before == ["data.mdb"]


def _read_there(found, queue):
    queue.put(found.read(1).record.words[0].text)


@pytest.mark.slow
def test_a_forked_process_opens_for_itself_and_one_process_opens_once(environment):
    root = environment("a", ["one", "two"])
    found, other = source(root), source(root)
    assert texts(found) == texts(other)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may be about
        child = context.Process(target=_read_there, args=(found, queue))
        child.start()
    assert queue.get(timeout=60) == "two"
    child.join()
    assert texts(found) == ["one", "two"]


def test_it_survives_the_way_to_another_process(tmp_path, shard, environment, snapshot):
    root = environment("a", [str(number) for number in range(12)])
    for workers in (1, 2):
        arguments = ("rows_per_shard=4", f"workers={workers}", f"out={tmp_path / str(workers)}")
        code, said = shard("source=lmdb_pairs", f"root={root}", *arguments)
        assert code == 0, said
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")


def test_rejects_are_named_by_environment_and_number(tmp_path, shard):
    arguments = ("environments=training", "max_reject_frac=.9", "workers=1", f"out={tmp_path}")
    code, said = shard("source=lmdb_pairs", f"root={ROOT}", *arguments)
    assert code == 0, said
    ledger = [json.loads(line) for line in (tmp_path / "train/rejects.jsonl").read_text().splitlines()]
    assert [(one["origin"], one["reason"]) for one in ledger][:2] == [
        ("ST/000000002", "missing_image"), ("ST/000000003", "empty"),
    ]  # fmt: skip
    with pytest.raises(Reject, match=r"not_utf8 .* at byte 0 of the label"):
        source(ROOT / "training/ST").read(5)


def test_without_the_extra_it_is_named(environment, monkeypatch):
    root = environment("a", ["one"])
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(BadSettings, match=r"source=lmdb_pairs needs .*ocr-distillery\[lmdb\]"):
        source(root)


@pytest.mark.real
def test_the_real_piece(tmp_path, shard, real):
    where = (f"root={real / 'mmocr_rec_toy'}", "environments=imgs.lmdb", f"out={tmp_path}")
    code, said = shard("source=lmdb_pairs", *where, "max_reject_frac=0", "workers=1")
    assert code == 0, said
    assert manifest.load(tmp_path / "train").written == 10
    found = source(real / "mmocr_rec_toy", "imgs.lmdb")
    assert texts(found)[:5] == ["GRAND", "HOTEL", "HOTEL", "PACIFIC", "03/09/2009"]
    assert Image.open(io.BytesIO(found.read(0).image)).size == found.read(0).record.size
    with pytest.raises(Reject, match="truncated"):
        source(real / "mmocr_rec_toy", "broken.lmdb").read(0)
