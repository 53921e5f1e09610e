"""Shards into files and back: nothing is changed on the way, and what a format cannot hold is named."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import shard
from shards import lookup, progress, unpack
from shards.errors import BadData, BadSettings
from shards.manifest import split_uid
from shards.read import Shards
from shards.sample import Word
from shards.unpackers import box

WORDS, SCENES = ("folder", "lmdb"), ("coco", "yolo")


def run(folder, to, out, *more):
    unpack.main([str(folder), f"to={to}", f"out={out}", *more])


def available(to):
    if to == "lmdb":
        pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    return to


def ledger(out, split="train"):
    return [json.loads(line) for line in (out / f"{split}.left_out.jsonl").read_text().splitlines()]


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def contents(root, split):
    shards = Shards([root], split)
    return [(shards.image(i), shards.text(i)) for i in range(len(shards))]


def test_a_folder_is_read_again_with_the_same_images_and_labels(crops, words, tmp_path):
    for number, root in enumerate((crops, words)):
        out, again = tmp_path / f"plain{number}", tmp_path / f"again{number}"
        run(root, "folder", out)
        splits = sorted(path.name for path in root.iterdir() if path.is_dir())
        shard.main([
            "source=folder", f"root={out}", "labels={split}.tsv", "images={split}",
            f"split={','.join(splits)}", f"out={again}", "workers=1", "max_reject_frac=0",
        ])  # fmt: skip
        for split in splits:
            assert contents(again, split) == contents(root, split)
            assert ledger(out, split) == []


def test_lmdb_is_read_again_by_the_command_that_is_told(crops, tmp_path, capsys):
    run(crops, available("lmdb"), tmp_path / "out")
    command = capsys.readouterr().out.split("next: ")[1].split()
    assert command[:3] == ["python", "-m", "ingest.shard"]
    shard.main([*command[3:-1], f"out={tmp_path / 'again'}", "workers=1", "max_reject_frac=.1"])
    for split in ("train", "test"):
        with_label = [(image, text) for image, text in contents(crops, split) if text]
        assert contents(tmp_path / "again", split) == with_label  # an empty label is rejected by name


@pytest.mark.real
def test_real_crops_come_back_as_they_were(real, tmp_path):
    made, out, again = tmp_path / "made", tmp_path / "out", tmp_path / "again"
    first = ["source=folder", f"root={real / 'svt'}", "labels={split}_gt.txt", "images={split}_words"]
    shard.main([*first, "format=icdar", "split=train,test", f"out={made}", "workers=1"])
    run(made, "folder", out)
    second = ["source=folder", f"root={out}", "labels={split}.tsv", "images={split}"]
    shard.main([*second, "split=train,test", f"out={again}", "workers=1"])
    for split, count in (("train", 257), ("test", 90)):
        assert contents(again, split) == contents(made, split)
        assert len(contents(made, split)) == count


def test_the_command_that_reads_it_again_is_told(crops, hand, tmp_path, capsys):
    run(crops, "folder", tmp_path / "out")
    said = capsys.readouterr().out
    command = next(line for line in said.splitlines() if line.startswith("next: ")).removeprefix("next: ")
    assert command == (
        f"python -m ingest.shard source=folder root={tmp_path / 'out'} labels={{split}}.tsv images={{split}} "
        "split=train,test out=ANOTHER"
    )
    bare = hand.written(tmp_path / "bare", "train", [hand.crop(seed, None) for seed in range(3)])
    run(bare, "folder", tmp_path / "none")
    command = capsys.readouterr().out.split("next: ")[1].split()
    assert "labels=none" in command
    shard.main([*command[3:-1], f"out={tmp_path / 'again'}", "workers=1"])
    assert contents(tmp_path / "again", "train") == contents(bare, "train")


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


@pytest.mark.parametrize("to", ["folder", *SCENES])
def test_running_again_changes_nothing_and_a_killed_run_is_begun_anew(crops, scenes, tmp_path, to):
    root = crops if to in WORDS else scenes
    run(root, to, tmp_path / "whole")
    whole = tree(tmp_path / "whole")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")}
    run(root, to, tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")} == stamps
    mark = tmp_path / "whole/train.unpacked.json"
    (tmp_path / "whole/train.part").mkdir()  # as if killed between two renames
    mark.unlink()
    (tmp_path / "whole/train.part/junk").write_text("half")
    next(path for path in (tmp_path / "whole").rglob("*.jpg") if "train" in path.parts).write_text("half")
    run(root, to, tmp_path / "whole")
    assert tree(tmp_path / "whole") == whole


def test_files_of_others_are_never_touched(crops, tmp_path):
    (tmp_path / "out/train").mkdir(parents=True)
    (tmp_path / "out/train/mine.txt").write_text("mine")
    with pytest.raises(BadSettings, match="choose another out="):
        run(crops, "folder", tmp_path / "out")
    assert tree(tmp_path / "out") == {"train/mine.txt": b"mine"}


def test_another_format_or_data_set_is_refused(crops, words, tmp_path):
    run(crops, "folder", tmp_path / "out")
    for root, to in ((crops, available("lmdb")), (words, "folder")):
        with pytest.raises(BadSettings, match=r"train\.unpacked\.json: of other data or another format"):
            run(root, to, tmp_path / "out")


def test_a_damaged_sample_is_left_out_and_tried_again_once_mended(crops, tmp_path):
    root, out = tmp_path / "d", tmp_path / "out"
    shutil.copytree(crops, root)
    tar = root / "test/000000.tar"
    sound = tar.read_bytes()
    data = bytearray(sound)
    data[int(Shards([root], "test").column("image_offset")[2]) + 9] ^= 1
    tar.write_bytes(data)
    for _ in range(2):
        with pytest.raises(BadData, match="1 samples are damaged"):
            run(root, "folder", out)
        assert [line["reason"] for line in ledger(out, "test")] == ["damaged"]
        assert len((out / "test.tsv").read_text().splitlines()) == 3
    tar.write_bytes(sound)
    run(root, "folder", out)
    assert ledger(out, "test") == []
    run(root, "folder", tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["{crops}", "to=zip", "out={out}"], BadSettings, "coco, folder, lmdb, yolo"),
        (["{crops}", "out={out}"], BadSettings, "to= is required"),
        (["to=folder", "out={out}"], BadSettings, "one folder of shards"),
        (["{crops}", "{crops}", "to=folder", "out={out}"], BadSettings, "one folder of shards"),
        (["{crops}", "to=folder", "out={out}", "split=val"], BadData, "there are: train, test"),
        (["{crops}/absent", "to=folder", "out={out}"], BadData, "no manifest.json"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(crops, tmp_path, arguments, error, says):
    with pytest.raises(error, match=says):
        unpack.main([text.format(crops=crops, out=tmp_path / "out") for text in arguments])
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_write_one_folder(crops, tmp_path, monkeypatch, capsys):
    import fcntl

    (tmp_path / "out").mkdir()
    holder = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    monkeypatch.setattr(sys, "argv", ["x", str(crops), "to=folder", f"out={tmp_path / 'out'}"])
    assert progress.run(unpack.main) == 2
    os.close(holder)
    assert "another run writes here" in capsys.readouterr().err
    assert progress.run(unpack.main) == 0


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


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_as_one_that_was_not(hand, tmp_path):
    items = [hand.crop(seed % 50, f"word {seed}") for seed in range(600)]
    root = hand.written(tmp_path / "d", "train", items, per_shard=200)
    command = [sys.executable, "-m", "shards.unpack", str(root), "to=folder"]
    subprocess.run([*command, f"out={tmp_path / 'whole'}"], check=True, capture_output=True)
    rng, killed = random.Random(0), 0
    for _ in range(4):
        process = subprocess.Popen([*command, f"out={tmp_path / 'cut'}"], stdout=subprocess.DEVNULL)
        enough = rng.randrange(len(items))
        while process.poll() is None:
            files = (names for _, _, names in os.walk(tmp_path / "cut/train.part"))
            if sum(map(len, files)) >= enough:
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
    assert killed
    subprocess.run([*command, f"out={tmp_path / 'cut'}"], check=True, capture_output=True)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    assert not Path(tmp_path / "cut/train.part").exists()
