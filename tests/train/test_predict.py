"""Prediction: a row per image whatever the image is, in every format, with nothing but the model folder."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ingest import shard
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import evaluation, modelfolder, predict, reader
from train.judging import judge, still_loader
from train.models.crnn import Model
from train.models.crnn import Settings as Crnn
from train.tasks.recognise import Settings, Task

JPEG = b"\xff\xd8"
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder whose random weights read something in every picture."""
    torch.manual_seed(4)
    task = Task(Settings(), ImageSpec())
    made = Model(Crnn(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8), task.image, task.channels)
    with torch.no_grad():
        made.dense.weight.mul_(30)
    path = tmp_path_factory.mktemp("model") / "m"
    modelfolder.save(path, made, task, model_name="crnn", task_name="recognise", extra={})
    return path


@pytest.fixture(scope="module")
def pictures(words, tmp_path_factory):
    """The 32 test words as files, in their order, and a note that is no picture."""
    folder, shards = tmp_path_factory.mktemp("pictures"), Shards([words], "test")
    for i in range(32):
        data = shards.image(i)
        (folder / f"{i:02d}.{'jpg' if data.startswith(JPEG) else 'png'}").write_bytes(data)
    (folder / "note.txt").write_text("not a picture")
    return folder


def rows(out, *given):
    predict.main([*map(str, given), f"out={out}"])
    text = out.read_text()
    if out.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return json.loads(text) if out.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_it_reads_what_evaluation_reads_from_files_and_from_shards(words, model, pictures, tmp_path):
    shards, loaded = Shards([words], "test"), modelfolder.load(model)
    meter = judge(loaded.model, loaded.task, still_loader(shards, loaded.task, 10, threads=1))
    wanted = [text for _, _, text, _ in meter.detail()]
    assert len(set(wanted)) > 5
    found = rows(tmp_path / "a.json", model, pictures, "batch=7")
    assert [row["text"] for row in found] == wanted
    assert [Path(row["image"]).stem for row in found] == [f"{i:02d}" for i in range(32)]
    assert [r["text"] for r in rows(tmp_path / "b.json", model, words / "test", "limit=9")] == wanted[:9]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_every_format_holds_the_same_rows(model, pictures, tmp_path, suffix):
    given = [model, *sorted(pictures.glob("0*"))[:3]]
    wanted = rows(tmp_path / "wanted.json", *given)
    found = rows(tmp_path / "deep" / f"out.{suffix}", *given)
    characters = [] if suffix == "csv" else ["characters", "certified", "polygon", "found"]
    assert [list(row) for row in found] == [["image", "text", "score", "error", *characters]] * 3
    assert all(len(row["characters"]) == len(row["text"]) for row in found if characters)
    assert [(r["image"], r["text"], float(r["score"])) for r in found] == [
        (r["image"], r["text"], r["score"]) for r in wanted
    ]


def test_without_out_it_prints_a_table_and_as_json_on_the_last_line(model, pictures, capsys):
    picture = sorted(pictures.glob("0*"))[0]
    predict.main([str(model), str(picture), "json=true"])
    lines = capsys.readouterr().out.splitlines()
    (reading,) = json.loads(lines[-1])["readings"]
    assert reading["image"] == str(picture)
    assert any("image" in line and "score" in line for line in lines)


def test_what_cannot_be_read_is_a_row_with_an_error_and_its_neighbours_are_read(model, pictures, tmp_path):
    good = sorted(pictures.glob("0*"))[0]
    (tmp_path / "in").mkdir()
    for name, data in (("0.png", good.read_bytes()[:200]), ("1.jpg", b""), ("2.png", good.read_bytes())):
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "gone.png")
    found = rows(tmp_path / "o.json", model, tmp_path / "in", pictures / "note.txt")
    assert [bool(row["error"]) for row in found] == [True, True, False, True, True]
    assert found[2]["text"] == rows(tmp_path / "p.json", model, good)[0]["text"]
    assert found[0]["text"] == ""


def test_a_damaged_sample_of_a_shard_is_a_row_with_an_error(words, model, tmp_path):
    import shutil

    shutil.copytree(words / "test", tmp_path / "w" / "test")
    tar = tmp_path / "w" / "test" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[Shards([words], "test")._open[0].columns[3].image_offset + 30] ^= 255
    tar.write_bytes(data)
    found = rows(tmp_path / "o.json", model, tmp_path / "w" / "test")
    assert [i for i, row in enumerate(found) if row["error"]] == [3]
    assert "damaged" in found[3]["error"]


@pytest.mark.parametrize(
    ("given", "kind", "named"),
    [
        ([], BadSettings, "at least one image is needed"),
        (["{model}"], BadSettings, "at least one image is needed"),
        (["/no/model", "{picture}"], BadData, "/no/model"),
        (["{model}", "{picture}", "/no/picture.png"], BadData, "/no/picture.png"),
        (["{model}", "{empty}"], BadData, "no image"),
        (["{model}", "{picture}", "out=words.xml"], BadSettings, ".csv, .json, .jsonl"),
        (["{model}", "{picture}", "batches=3"], BadSettings, "did you mean 'batch'"),
    ],
)
def test_what_is_not_there_is_named(model, pictures, tmp_path, given, kind, named):
    (tmp_path / "empty").mkdir()
    places = {"model": model, "picture": sorted(pictures.glob("0*"))[0], "empty": tmp_path / "empty"}
    with pytest.raises(kind, match=named):
        predict.main([text.format(**places) for text in given])


@pytest.mark.slow
def test_it_needs_no_home_and_no_network(model, pictures, tmp_path):
    (tmp_path / "home").mkdir(mode=0o555)
    code = (
        "import socket, sys\n"
        "def refused(*a, **k): raise OSError('no network here')\n"
        "socket.socket.connect = socket.getaddrinfo = refused\n"
        "from shards.progress import run; from train import predict; sys.exit(run(predict.main))"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "HF_", "TORCH"))}
    env |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", code, str(model), str(pictures / "00.png"), str(pictures / "00.jpg")]
    line = [part for part in line if not part.startswith(str(pictures)) or Path(part).exists()]
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "read by" in done.stdout
    assert list((tmp_path / "home").iterdir()) == []


def test_a_run_folder_in_place_of_a_model_is_answered_with_its_best(model, pictures, tmp_path):
    shutil.copytree(model, tmp_path / "first" / "best")
    with pytest.raises(BadData, match=f"not a model folder; try {tmp_path / 'first' / 'best'}"):
        predict.main([str(tmp_path / "first"), str(pictures)])


def test_a_decoder_is_chosen_for_the_reading(model, pictures, tmp_path):
    (tmp_path / "words.txt").write_text("house\ntree\nriver")
    given = [model, *sorted(pictures.glob("0*"))]
    greedy = rows(tmp_path / "greedy.json", *given)
    assert rows(tmp_path / "same.json", *given, "decoder=greedy") == greedy
    found = rows(
        tmp_path / "found.json", *given, "decoder=lexicon", f"decoder.words={tmp_path / 'words.txt'}"
    )
    assert {row["text"] for row in found} <= {"house", "tree", "river"}
    assert all(0 <= row["score"] <= 1 for row in found)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["decoder=bean"], "did you mean 'beam'"),
        (["decoder.width=3"], "decoder= is required first"),
        (["decoder=beam", "decoder.width=0"], "decoder.width: 0"),
        (["decoder=lexicon"], "decoder.words= is required"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(model, pictures, given, said):
    with pytest.raises(BadSettings, match=said):
        predict.main([str(model), str(pictures), *given])


@pytest.mark.parametrize("bad", ["batch=0", "limit=-1"])
def test_numbers_out_of_range_are_refused(model, pictures, bad):
    with pytest.raises(BadSettings, match=bad.split("=")[0]):
        predict.main([str(model), str(pictures), bad])


def test_an_ordinary_picture_is_decoded_once(model, pictures, monkeypatch):
    monkeypatch.setattr(reader, "published", lambda data: pytest.fail("decoded twice"))
    read = predict.Reader(model).read([path.read_bytes() for path in sorted(pictures.glob("00.*"))])
    assert not read[0].error


def test_without_a_model_the_packaged_recogniser_reads(words, pictures, tmp_path):
    packaged = modelfolder.load(predict.PRETRAINED)
    assert sum(p.numel() for p in packaged.model.parameters()) == 922_629
    assert sum(f.stat().st_size for f in predict.PRETRAINED.iterdir()) < 4_000_000
    mine = rows(tmp_path / "mine.json", predict.PRETRAINED, pictures)
    assert rows(tmp_path / "packaged.json", pictures) == mine
    shards = Shards([words], "test")
    right = [shards.record(i).words[0].text.lower() == row["text"] for i, row in enumerate(mine)]
    assert sum(right) >= 16  # rendered words that it never saw, in fonts that it never saw


@pytest.mark.real
def test_the_packaged_recogniser_reads_real_words_as_its_card_says(real, tmp_path, capsys):
    card = json.loads((predict.PRETRAINED / "config.json").read_text())["real"]
    listed = ["labels=test_gt.txt", "format=icdar"]
    sources = {
        "iiit5k": ["source=folder", f"root={real / 'iiit5k' / 'IIIT5K'}", "images=test", *listed],
        "svt": ["source=folder", f"root={real / 'svt'}", "images=test_words", *listed],
        "icdar2015": ["source=icdar2015", f"root={real / 'icdar2015_words'}"],
    }
    for name, source in sources.items():
        shard.main([*source, "split=test", f"out={tmp_path / name}", "workers=1"])
        out = tmp_path / f"{name}.json"
        evaluation.main([f"checkpoint={predict.PRETRAINED}", f"data.root={tmp_path / name}", f"out={out}"])
        (found,) = json.loads(out.read_text())["models"].values()
        assert abs(round(found["word_acc_ics"]["value"] * found["n"]) - card[name]["right"]) <= 1
        assert found["n"] == card[name]["n"]
