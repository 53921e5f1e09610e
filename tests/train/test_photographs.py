"""Whole photographs: found, read, drawn, written, and read again at given places."""

import csv
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from ingest import shard
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import answersheet, modelfolder, predict
from train.finding import boxes
from train.models.yolo import Model
from train.models.yolo import Settings as Yolo
from train.tasks.boxes import Settings, Task


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A model folder whose random weights find something in every picture."""
    torch.manual_seed(3)
    task = Task(Settings(threshold=0.0, floor=0.0, most=4), ImageSpec(64, 96, "rgb", "letterbox"))
    path = tmp_path_factory.mktemp("detector") / "m"
    made = Model(Yolo("p"), task.image, task.channels)
    modelfolder.save(path, made, task, model_name="yolo", task_name="boxes", extra={})
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three scenes as files, and a note that is no picture; their shards beside."""
    folder = tmp_path_factory.mktemp("photos")
    out = folder.parent / "scenes"
    shard.main(["source=rendered", "level=scenes", f"out={out}", "split=test", "count=3", "scene_width=160",
                "scene_height=120", "min_word_height=.2", "wordless=0", "strength=.2"])  # fmt: skip
    shards = Shards([out], "test")
    for i in range(3):
        (folder / f"{i}.jpg").write_bytes(shards.image(i))
    (folder / "note.jpg").write_text("no picture")
    return folder


def rows(out, *given):
    predict.main([*map(str, given), f"out={out}"])
    return json.loads(out.read_text(errors="surrogateescape"))


def test_words_are_found_read_and_drawn_and_a_file_that_is_no_picture_is_a_row(detector, photos, tmp_path):
    found = rows(tmp_path / "w.json", detector, photos, "recogniser=words", f"drawn={tmp_path / 'd'}")
    assert {row["image"].rpartition("/")[2] for row in found} == {"0.jpg", "1.jpg", "2.jpg", "note.jpg"}
    wrong = [row for row in found if row["error"]]
    assert len(wrong) == 1
    assert wrong[0]["polygon"] is None
    for row in found:
        if not row["error"]:
            assert len(row["polygon"]) == 4
            assert 0 <= row["found"] <= 1
            assert row["characters"] is not None
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert np.asarray(Image.open(tmp_path / "d" / "0.jpg")).shape == (120, 160, 3)


def drawn(*given):
    predict.main([*map(str, given), "limit=9"])


def test_pictures_of_one_name_are_drawn_apart_and_again_onto_themselves(detector, photos, tmp_path):
    for i, name in enumerate(("a/1.jpg", "b/1.png", "c/1-2.jpg", "d/1.JPG")):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (60, 50), (i * 60, 0, 0)).save(tmp_path / name, "PNG")
    out = tmp_path / "deep" / "drawn"
    for _ in range(2):
        drawn(detector, *(tmp_path / letter for letter in "abcd"), f"drawn={out}")
        reds = {path.name: np.asarray(Image.open(path))[-1, -1, 0] for path in out.iterdir()}
        assert {name: round(red / 60) for name, red in reds.items()} == {
            "1.jpg": 0, "1-2.jpg": 1, "1-2-2.jpg": 2, "1-3.jpg": 3,
        }  # fmt: skip
        (out / "1.jpg").write_bytes(b"")  # as a full disk leaves it


@pytest.mark.parametrize("given", [["own"], ["own/0.jpg"], ["own/*.jpg"], [".", "own/deep/../0.jpg"]])
def test_a_folder_that_images_are_read_from_is_not_drawn_into(detector, photos, tmp_path, monkeypatch, given):
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "0.jpg").write_bytes((photos / "0.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings, match="drawn=own: images are read from this folder"):
        drawn(detector, *given, "drawn=own", "out=w.json")
    assert (tmp_path / "own" / "0.jpg").read_bytes() == (photos / "0.jpg").read_bytes()
    assert not (tmp_path / "w.json").exists()


def test_what_was_not_drawn_is_never_overwritten_and_rows_are_kept(detector, photos, tmp_path, capsys):
    out = tmp_path / "d"
    (out / "0.jpg").mkdir(parents=True)
    (out / "1.jpg").write_bytes((photos / "1.jpg").read_bytes())
    (out / "2.jpg").write_text("no picture")
    for i in range(3):
        with pytest.raises(BadData, match=rf"drawn=.*{i}\.jpg cannot be written"):
            drawn(detector, photos / f"{i}.jpg", f"drawn={out}", f"out={tmp_path / 'w.json'}", "json=true")
        (row, *_) = json.loads((tmp_path / "w.json").read_text())
        assert row["polygon"]
    assert (out / "1.jpg").read_bytes() == (photos / "1.jpg").read_bytes()
    assert (out / "2.jpg").read_text() == "no picture"


def test_without_a_recogniser_words_have_places_alone(detector, photos, tmp_path):
    found = rows(tmp_path / "w.json", detector, photos / "0.jpg")
    assert {row["text"] for row in found} == {""}
    assert all(row["score"] == row["found"] for row in found)
    predict.main([str(detector), str(photos / "0.jpg"), f"out={tmp_path / 'w.csv'}"])
    table = list(csv.DictReader((tmp_path / "w.csv").read_text().splitlines()))
    assert [len(row["polygon"].split()) for row in table] == [4] * len(found)


def test_the_true_places_are_read_as_the_crops_are_and_other_forms_of_boxes_too(photos, tmp_path):
    shards = Shards([photos.parent / "scenes"], "test")
    known = [
        {"image": f"{i}.jpg", "polygon": word.polygon} for i in range(3) for word in shards.record(i).words
    ]
    (tmp_path / "known.json").write_text(json.dumps(known))
    found = rows(tmp_path / "r.json", photos, f"boxes={tmp_path / 'known.json'}")
    good = [row for row in found if not row["error"]]
    assert len(good) == len(known)
    assert [row["polygon"] for row in good] == [[list(p) for p in one["polygon"]] for one in known]
    truths = [word.text for i in range(3) for word in shards.record(i).words]
    read = [row["text"] for row in good]
    right = sum(a.casefold() == b.casefold() for a, b in zip(truths, read, strict=True))
    assert right >= len(truths) / 3
    words = shards.record(0).words
    box = boxes(words, 160, 120)[0].tolist()
    (tmp_path / "box.json").write_text(json.dumps([{"image": "0.jpg", "box": box}]))
    assert len(rows(tmp_path / "b.json", photos / "0.jpg", f"boxes={tmp_path / 'box.json'}")) == 1


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_it_wrote_itself_are_boxes_errors_and_odd_names_included(
    detector, photos, tmp_path, capsys, form
):
    odd = tmp_path / os.fsdecode(b"\xff.jpg")
    odd.write_bytes((photos / "0.jpg").read_bytes())
    file = tmp_path / f"w.{form}"
    predict.main([str(detector), str(photos), str(odd), f"out={file}"])
    capsys.readouterr()
    found = rows(tmp_path / "r.json", photos, tmp_path / "*.jpg", f"boxes={file}")
    wanted = rows(tmp_path / "w.json", detector, photos, odd)
    assert [(r["image"], r["polygon"]) for r in found] == [(r["image"], r["polygon"]) for r in wanted]
    assert sum(bool(row["error"]) for row in found) == 1
    assert f"4 of 5 images were read at places of {file}" in capsys.readouterr().out.replace("\n", " ")


def test_boxes_of_no_image_that_is_there_are_told(photos, tmp_path, capsys):
    place = [[1, 1], [9, 1], [9, 9], [1, 9]]
    (tmp_path / "b.json").write_text(json.dumps([{"image": "other.jpg", "polygon": place}]))
    with pytest.raises(BadData, match="none of the images that could be read is named there"):
        rows(tmp_path / "r.json", photos / "0.jpg", f"boxes={tmp_path / 'b.json'}")


def test_boxes_are_not_for_a_model_that_finds(detector, photos, tmp_path):
    with pytest.raises(BadSettings, match="a model that reads is needed"):
        rows(tmp_path / "r.json", detector, photos, f"boxes={tmp_path / 'gone.json'}")


@pytest.mark.parametrize("bad", ["{}", '[{"image": "a"}]', '[{"image": "a", "polygon": [[1, 2]]}]', "[1]"])
def test_boxes_that_are_none_are_refused(photos, tmp_path, bad):
    (tmp_path / "bad.json").write_text(bad)
    with pytest.raises(BadData, match=r"bad\.json"):
        predict.main([str(photos / "0.jpg"), f"boxes={tmp_path / 'bad.json'}"])


def test_what_was_found_can_be_sharded_again_as_labels(detector, photos, tmp_path, monkeypatch):
    raw, out = tmp_path / "raw", tmp_path / "again"
    raw.mkdir()
    for i in range(3):
        (raw / f"{i}.jpg").write_bytes((photos / f"{i}.jpg").read_bytes())
    monkeypatch.chdir(raw)
    given = [str(detector), ".", "recogniser=words"]
    predict.main([*given, "out=labels.txt"])
    found = [row for row in rows(tmp_path / "w.json", *given) if row["text"]]
    shard.main(["source=paddle_labels", "level=scenes", f"root={raw}", "labels=labels.txt", "split=train",
                f"out={out}"])  # fmt: skip
    shards = Shards([out], "train")
    words = [word for i in range(3) for word in shards.record(i).words if word.text]
    assert len(shards.uids) == 3
    assert [word.text for word in words] == [row["text"] for row in found]
    for word, row in zip(words, found, strict=True):
        assert np.abs(np.array(word.polygon) - row["polygon"]).max() <= 0.5
    assert (
        np.ptp([x for row in found for x, _ in row["polygon"]]) > 120
    )  # wider than the photographs are high


def test_a_name_that_no_line_of_labels_holds_is_an_error(detector, photos, tmp_path, capsys):
    odd = [tmp_path / "a\tb.jpg", tmp_path / "a\nb.jpg", tmp_path / "ok.jpg"]
    for path in odd:
        path.write_bytes((photos / "0.jpg").read_bytes())
    with pytest.raises(BadData, match="a tab or line end in a name"):
        next(answersheet.listable(iter([("a\rb.jpg", odd[0].read_bytes)]), "w.txt"))[1]()
    out = tmp_path / "w.txt"
    predict.main([str(detector), *map(str, odd), f"out={out}"])
    (line,) = out.read_text().splitlines()
    assert line.startswith(f"{odd[2]}\t[")
    assert "errors: 2" in capsys.readouterr().out
    assert not any(row["error"] for row in rows(tmp_path / "w.json", detector, *odd))


def test_what_cannot_be_is_refused(detector, photos, tmp_path):
    with pytest.raises(BadSettings, match="must find words"):
        predict.main([str(photos / "0.jpg"), "recogniser=words"])
    with pytest.raises(BadSettings, match="index="):
        predict.main(["search=cafe"])
    with pytest.raises(BadSettings, match="boxes="):
        predict.main([str(detector), str(photos / "0.jpg"), "recogniser=words", "boxes=b.json"])
    with pytest.raises(BadSettings, match="a detector finds them"):
        predict.main([str(photos / "0.jpg"), f"out={tmp_path / 'w.txt'}"])
