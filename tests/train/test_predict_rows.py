"""Rows as they are written and printed: whole, while images come, and by processes that end badly."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shards.errors import BadSettings
from tests.train.asked import files, model_folder, rows
from train import answersheet, modelfolder, pictured, predict, reader, writing

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture(scope="module")
def pictures(words, tmp_path_factory):
    return files(words, tmp_path_factory.mktemp("pictures"))


OFFLINE = """
import socket, sys
class Refused(socket.socket):
    def __init__(self, *given, **more):
        raise OSError("no network here")
socket.socket = Refused
def refused(*given, **more):
    raise OSError("no network here")
socket.create_connection = socket.getaddrinfo = refused
from shards.progress import run
from train import predict
sys.exit(run(predict.main))
"""


def command(*given, code=OFFLINE, **more):
    """A process that predicts; of HOME, a file stands there, so that not even root can write below."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "HF_", "TORCH"))}
    env |= {"HOME": str(Path(__file__)), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, given)], env=env, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", ["checkpoint", "onnx", "packaged"])
def test_it_needs_no_home_and_no_network(model, pictures, tmp_path, form):
    place = [] if form == "packaged" else [model]
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        place = [tmp_path / "model.onnx"]
        writing.write(modelfolder.load(model), "onnx", place[0])
    wanted = rows(tmp_path / "wanted.json", *place, pictures, "limit=3", "raw=true")
    (tmp_path / "here").mkdir(mode=0o555)
    with command(*place, pictures, "limit=3", "raw=true", "out=json", cwd=tmp_path / "here") as process:
        said, wrong = process.communicate(timeout=240)
    assert (process.returncode, wrong) == (0, "")
    assert json.loads(said) == wanted
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.slow
def test_rows_are_printed_while_paths_still_come(model, pictures, tmp_path):
    first, second, third = map(str, sorted(pictures.glob("0*"))[:3])
    with command(model, "-", "batch=2", "out=jsonl", cwd=tmp_path) as process:
        process.stdin.write(f"{first}\n{second}\n")
        process.stdin.flush()
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.write(third)
        said, wrong = process.communicate(timeout=240)
    told += [json.loads(line) for line in said.splitlines()]
    assert ([row["image"] for row in told], wrong) == ([first, second, third], "")
    assert told == rows(tmp_path / "wanted.jsonl", model, first, second, third, "batch=2")


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_a_format_alone_prints_what_the_file_holds_and_nothing_else(model, pictures, tmp_path, capsys, form):
    given = [str(model), str(pictures), "limit=5", "batch=2", "raw=true", "topk=2"]
    predict.main([*given, f"out={tmp_path / 'file'}.{form}"])
    capsys.readouterr()
    predict.main([*given, f"out={form}"])
    assert capsys.readouterr().out == (tmp_path / f"file.{form}").read_text()


def test_the_same_rows_stand_in_every_format(model, pictures, tmp_path):
    given = [model, *sorted(pictures.glob("0*"))[:3], pictures / "note.txt", "raw=true", "topk=2"]
    table, lines, objects = (rows(tmp_path / f"o.{form}", *given) for form in ("csv", "jsonl", "json"))
    assert lines == objects
    assert list(table[0]) == ["image", "text", "score", "error", "raw", "spans", "alternatives"]
    assert list(lines[0])[-3:] == ["raw", "spans", "alternatives"]
    assert lines[3]["error"] == table[3]["error"] != ""
    for plain, row in zip(table, lines, strict=True):
        assert (plain["image"], plain["text"], plain["raw"]) == (row["image"], row["text"], row["raw"])
        assert float(plain["score"]) == row["score"]
        assert plain["spans"] == " ".join(f"{start:.1f}-{end:.1f}" for start, end in row["spans"])
        told = [f"{one['text']} {one['probability']:.4f}" for one in row["alternatives"]]
        assert plain["alternatives"] == " | ".join(told)
        assert [one["text"] for one in row["alternatives"]][:1] == [row["text"]] * (not row["error"])


def test_only_what_was_asked_for_stands_in_rows(model, pictures, tmp_path):
    picture = sorted(pictures.glob("0*"))[0]
    (plain,), (raw,), (several,) = (
        rows(tmp_path / "o.json", model, picture, *more) for more in ([], ["raw=true"], ["topk=3"])
    )
    assert set(raw) - set(plain) == {"raw", "spans"}
    assert set(several) - set(plain) == {"alternatives"}
    assert len(several["alternatives"]) == 3


def test_rows_are_kept_only_where_they_are_shown_at_the_end(model, pictures):
    for more, kept in (
        ({"out": "jsonl"}, 0),
        ({"out": "o.csv"}, 0),
        ({}, 0),
        ({"out": "o.csv", "json": True}, 5),
    ):
        settings = predict.Settings(limit=5, batch=2, **more)
        answers = predict.answers_of(settings, str(model))
        found = predict.Rows(settings, answers, [str(pictures)], pictured.Nowhere())
        assert [len(batch) for batch in found] == [2, 2, 1]
        assert (len(found.kept), found.total, found.count, found.errors) == (kept, 5, 5, 0)


@pytest.mark.parametrize("place", ["folder.csv", "file/words.csv", "file/deep/words.csv"])
def test_a_file_that_cannot_be_written_is_said_before_an_image_is_read(
    model, pictures, tmp_path, monkeypatch, place
):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(predict.Reader, "answers", lambda *given: pytest.fail("an image was read"))
    for key in ("out", "drawn", "index") if "file/" in place else ("out",):
        with pytest.raises(BadSettings, match=f"{key}={tmp_path / place}: (cannot be written|a folder)"):
            predict.main([str(model), str(pictures), f"{key}={tmp_path / place}"])


def test_a_run_that_is_stopped_leaves_the_file_of_the_last_one(model, pictures, tmp_path, monkeypatch):
    out = tmp_path / "words.csv"
    before = rows(out, model, pictures)
    answers, batches = predict.Reader.answers, []

    def stopped(self, images):
        batches.append(len(images))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return answers(self, images)

    monkeypatch.setattr(predict.Reader, "answers", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict.main([str(model), str(pictures), f"out={out}", "batch=4"])
    assert list(csv.DictReader(out.read_text().splitlines())) == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_name_that_is_no_text_is_written_as_it_is(model, pictures, tmp_path, capsys):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.png")
    Path(os.fsdecode(name)).write_bytes(sorted(pictures.glob("0*"))[0].read_bytes())
    for form in ("csv", "json", "jsonl"):
        predict.main([str(model), os.fsdecode(name), f"out={tmp_path / 'o'}.{form}"])
        assert name in (tmp_path / f"o.{form}").read_bytes()
    predict.main([str(model), os.fsdecode(name), "json=true"])
    assert "?.png" in capsys.readouterr().out.replace("\n", "")


def test_a_disk_that_takes_no_more_is_said(tmp_path):
    rows_of = [[reader.Reading("a.png", "a" * 5000, 1.0)]] * 9
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(BadSettings, match=r"out=.*big\.csv: File too large; give another place"):
            answersheet.write(rows_of, str(tmp_path / "big.csv"), answersheet.Shown())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_is_told_to_end_leaves_nothing(model, pictures, tmp_path):
    out = tmp_path / "words.csv"
    code = f"import runpy, sys; sys.argv[0] = 'predict'; sys.path.insert(0, {str(ROOT)!r}); "
    code += "runpy.run_module('train.predict', run_name='__main__')"
    with command(model, "-", f"out={out}", "batch=1", code=code, cwd=tmp_path) as process:
        process.stdin.write(f"{sorted(pictures.glob('0*'))[0]}\n")
        process.stdin.flush()
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("words.csv.*.part")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
