"""Every format of unpack: what it holds, what it cannot, and that others read it."""

import json
import sys

import pytest

from shards import lookup
from shards.errors import BadData, BadSettings
from shards.manifest import split_uid
from shards.read import Shards
from shards.sample import Word
from shards.unpackers import box
from tests.shards.unpacked import SCENES, WORDS, available, contents, ledger, run


def test_a_label_with_a_line_end_or_tab_never_gets_into_a_shard(hand, tmp_path):
    """So a list with a tab between path and label holds every label there is."""
    items = [hand.crop(seed, f"a{bad}b") for seed, bad in enumerate("\t\n\r\0\x85\x1f")]
    hand.written(tmp_path / "d", "train", [*items, hand.crop(9, "fine")])
    assert [text for _, text in contents(tmp_path / "d", "train")] == ["fine"]


@pytest.mark.parametrize("to", WORDS)
def test_what_a_word_format_cannot_hold_is_named_and_the_rest_is_written(hand, tmp_path, to):
    root = hand.written(tmp_path / "d", "train", [
        hand.crop(0, "yes"), hand.crop(1, None), hand.crop(2, "blurred", legible=False), hand.crop(3, ""),
        hand.scene(4, Word("far", hand.box(1, 1, 9, 9))), hand.scene(5),
    ])  # fmt: skip
    run(root, available(to), tmp_path / "out")
    left = ledger(tmp_path / "out")
    assert [(split_uid(int(line["uid"], 16))[1], line["reason"], line["what"]) for line in left] == [
        (1, "no_text", "sample"), (2, "illegible", "sample"), (4, "scene", "sample"), (5, "scene", "sample"),
    ]  # fmt: skip
    assert left[0]["origin"] == "crops/1.jpg"
    done = json.loads((tmp_path / "out/train.unpacked.json").read_text())
    assert (done["samples"], done["written"]) == (6, 2)
    assert done["left_out"]["sample"] == {"illegible": 1, "no_text": 1, "scene": 2}


def test_lmdb_has_the_keys_that_others_expect(crops, tmp_path):
    lmdb = pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    run(crops, "lmdb", tmp_path / "out")
    for split in ("train", "test"):
        wanted = contents(crops, split)
        with (
            lmdb.open(str(tmp_path / "out" / split), readonly=True, lock=False) as store,
            store.begin() as reader,
        ):
            assert reader.get(b"num-samples") == str(len(wanted)).encode()
            assert reader.stat()["entries"] == 2 * len(wanted) + 1
            for number, (image, text) in enumerate(wanted, 1):
                assert reader.get(f"image-{number:09d}".encode()) == image
                assert reader.get(f"label-{number:09d}".encode()) == text.encode()


@pytest.mark.parametrize("count", [1, 9, 10, 11, 40])
def test_lmdb_of_any_size_is_whole(hand, tmp_path, monkeypatch, count):
    lmdb = pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    monkeypatch.setattr(lookup.find("shards.unpackers", "lmdb"), "COMMIT", 10)
    items = [hand.crop(seed % 3, f"{seed}") for seed in range(count)]
    root = hand.written(tmp_path / "d", "train", items)
    run(root, "lmdb", tmp_path / "out")
    with lmdb.open(str(tmp_path / "out/train"), readonly=True, lock=False) as store, store.begin() as reader:
        assert reader.get(b"num-samples") == str(count).encode()
        assert reader.get(f"label-{count:09d}".encode()) == f"{count - 1}".encode()


def test_lmdb_without_its_extra_names_it(crops, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(BadSettings, match=r"ocr-distillery\[lmdb\]"):
        run(crops, "lmdb", tmp_path / "out")


def test_yolo_boxes_are_clipped_fractions_with_the_illegible_ones_apart(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, "yolo", out)
    shards = Shards([scenes], "train")
    for row in range(6):
        name = f"000000/{row:09d}"
        assert (out / f"images/train/{name}.jpg").read_bytes() == shards.image(row)
        assert (out / f"labels/train/{name}.txt").exists()  # a missing file would be an error, not "no text"
        for line in (out / f"labels/train/{name}.txt").read_text().splitlines():
            kind, *values = line.split()
            x, y, w, h = map(float, values)
            assert kind == "0"
            assert all(len(value.split(".")[1]) >= 6 for value in values)
            assert 0 <= x - w / 2 <= x + w / 2 <= 1
            assert 0 <= y - h / 2 <= y + h / 2 <= 1
    first = (out / "labels/train/000000/000000000.txt").read_text()
    assert (
        first == f"0 {34.25 / 160:.8f} {20.125 / 90:.8f} {52.5 / 160:.8f} {20.25 / 90:.8f}\n"
    )  # 8 10 60.5 30.25
    assert (out / "labels/train/000000/000000002.txt").read_text() == ""
    assert [path.name for path in out.rglob("ignore/train/*/*")] == ["000000000.txt"]
    assert (
        out / "ignore/train/000000/000000000.txt"
    ).read_text() == "0 0.50000000 0.16666667 0.12500000 0.11111111\n"
    assert [(line["reason"], line["what"], line["origin"]) for line in ledger(out)] == [
        ("no_area", "word", "img_3.jpg")
    ]


def test_coco_keeps_polygons_and_texts(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, "coco", out)
    whole = json.loads((out / "annotations/train.json").read_text())
    shards = Shards([scenes], "train")
    records = [shards.record(row) for row in range(6)]
    by_image = {image["id"]: image for image in whole["images"]}
    assert [by_image[row]["file_name"] for row in range(6)] == [f"000000/{row:09d}.jpg" for row in range(6)]
    assert {(image["width"], image["height"]) for image in whole["images"]} == {(160, 90)}
    found = {row: [a for a in whole["annotations"] if a["image_id"] == row] for row in range(6)}
    for row, record in enumerate(records):
        words = [word for word in record.words if word.text != "gone"]
        assert [a["text"] for a in found[row]] == [word.text for word in words]
        assert [a["iscrowd"] for a in found[row]] == [a["ignore"] for a in found[row]]
        assert [a["iscrowd"] for a in found[row]] == [int(not word.legible) for word in words]
        for annotation, word in zip(found[row], words, strict=True):
            flat = annotation["segmentation"][0]
            assert tuple(zip(flat[::2], flat[1::2], strict=True)) == word.polygon
        assert (out / "images/train" / by_image[row]["file_name"]).read_bytes() == shards.image(row)
    assert found[1][0]["bbox"] == [140.0, 70.0, 20.0, 20.0]  # clipped
    assert found[1][1]["area"] == 40 * 20
    ids = [a["id"] for a in whole["annotations"]]
    assert len(set(ids)) == len(ids) == 8
    assert min(ids) == 1


@pytest.mark.filterwarnings("ignore")  # theirs
def test_cocos_own_tools_read_it(scenes, tmp_path, capsys):
    tools = pytest.importorskip("pycocotools.coco", reason="the extra `detect` is not installed")
    run(scenes, "coco", tmp_path / "out")
    store = tools.COCO(str(tmp_path / "out/annotations/train.json"))
    assert sorted(store.getImgIds()) == list(range(6))
    for annotation in store.loadAnns(store.getAnnIds()):
        x, y, w, h = annotation["bbox"]
        mask = store.annToMask(annotation)
        assert mask.shape == (90, 160)
        assert mask[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].sum() == mask.sum() > 0
    assert [a["iscrowd"] for a in store.loadAnns(store.getAnnIds(imgIds=[0]))] == [0, 1]


@pytest.mark.parametrize("to", [*WORDS, *SCENES])
def test_a_format_that_holds_nothing_of_a_split_is_refused_with_the_reason(crops, scenes, tmp_path, to):
    with pytest.raises(BadData, match="scene" if to in WORDS else "no_polygon"):
        run(scenes if to in WORDS else crops, available(to), tmp_path / "out", "split=train")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("polygon", "clipped"),
    [
        (((0, 0), (10, 0), (10, 5), (0, 5)), (0, 0, 10, 5)),
        (((-5, -5), (5, -5), (5, 5), (-5, 5)), (0, 0, 5, 5)),
        (((15, 15), (30, 15), (30, 30), (15, 30)), (15, 15, 20, 20)),
        (((25, 0), (30, 0), (30, 5), (25, 5)), None),
        (((5, 5), (5, 5), (5, 5), (5, 5)), None),
        (((0, 20), (10, 20), (10, 30), (0, 30)), None),
    ],
)
def test_a_box_is_what_lies_in_the_image(polygon, clipped):
    assert box(polygon, (20, 20)) == clipped
