"""Serving: answers are those of predict, alone, together, of folders and files; settings that cannot be."""

import json

import pytest

from shards import config
from shards.errors import BadData, BadSettings
from shards.read import Shards
from train import modelfolder, predict, serve, writing

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
from tests.train.served import ask, served, small_detector, together


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A model folder that finds something in every picture."""
    return small_detector(tmp_path_factory.mktemp("detector") / "m")


@pytest.fixture(scope="module")
def files(words, tmp_path_factory):
    """Five words as files."""
    folder, shards = tmp_path_factory.mktemp("files"), Shards([words], "test")
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(shards.image(i))
    return sorted(folder.iterdir())


def predicted(out, *given):
    """What `train.predict` writes: rows by image."""
    predict.main([*map(str, given), f"out={out}"])
    found = {}
    for row in json.loads(out.read_text()):
        found.setdefault(row["image"], []).append(row)
    return found


def check_equal(files, out, *given):
    wanted = predicted(out, *given, *files, "batch=1")
    with served(*given) as server:
        for file in files:
            status, told = ask(server.address, f"/read?name={file}", file.read_bytes())
            assert status == 200
            assert [one["readings"] for one in told["answers"]] == [wanted[str(file)]]
            assert told["name"] == str(file)
    return wanted


def test_a_recogniser_answers_what_predict_writes(files, tmp_path):
    wanted = check_equal(files, tmp_path / "p.json", predict.PRETRAINED)
    assert all(row["text"] and len(row["characters"]) == len(row["text"]) for (row,) in wanted.values())


def test_a_detector_with_a_recogniser_answers_what_predict_writes(files, detector, tmp_path):
    wanted = check_equal(files, tmp_path / "p.json", detector, "recogniser=words")
    assert {len(row["polygon"]) for rows in wanted.values() for row in rows} == {4}


def test_an_exported_file_answers_what_predict_writes(files, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    writing.write(modelfolder.load(predict.PRETRAINED), "onnx", tmp_path / "model.onnx")
    check_equal(files, tmp_path / "p.json", tmp_path / "model.onnx")


def test_a_batch_is_answered_as_predict_answers_it_and_one_that_is_no_picture_has_an_error(files, tmp_path):
    (tmp_path / "note.jpg").write_text("no picture")
    given = [*files, tmp_path / "note.jpg"]
    wanted = predicted(tmp_path / "p.json", predict.PRETRAINED, *given, "batch=6")
    images = [{"name": str(file), "data": together(file.read_bytes())} for file in given]
    for one in images:
        one["data"] = json.loads(one["data"])["images"][0]["data"]
    with served("batch=6", "wait=1000") as server:
        status, told = ask(
            server.address, "/read", json.dumps({"images": images}).encode(), "application/json"
        )
    assert status == 200
    assert {one["name"]: one["answers"][0]["readings"] for one in told["images"]} == wanted
    assert "undecodable" in told["images"][-1]["answers"][0]["readings"][0]["error"]


def test_two_models_answer_side_by_side(files, detector):
    (picture,) = files[:1]
    with served(predict.PRETRAINED, f"beside={detector}") as server:
        _, told = ask(server.address, "/read", picture.read_bytes())
        assert ask(server.address, "/health") == (200, {"status": "ok", "models": ["words", "m"]})
    read, found = told["answers"]
    assert (read["model"], found["model"]) == ("words", "m")
    assert read["readings"][0]["text"]
    assert found["readings"][0]["polygon"]


def settings(*argv):
    return config.read(serve.Settings, "serve", list(argv))


def test_models_are_called_by_the_ends_of_their_paths_that_tell_them_apart():
    assert settings("a/b/model.onnx").names == ["model.onnx"]
    assert settings("runs/x/best", "beside=runs/y/best").names == ["x/best", "y/best"]
    assert settings("a/x/best", "beside=b/x/best").names == ["a/x/best", "b/x/best"]
    assert settings("a", "beside=a").names == ["a", "a"]


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (["batch=0"], BadSettings, "batch: 0"),
        (["queue=0"], BadSettings, "queue: 0"),
        (["port=65536"], BadSettings, "port: 65536"),
        (["timeout=0"], BadSettings, "timeout: 0"),
        (["pixels=999999999"], BadSettings, "pixels: 999999999"),
        (["a", "b"], BadSettings, "beside= names a second"),
        (["host=no.such.host.invalid"], BadSettings, "host=no.such.host.invalid port=0"),
        (["/no/model", "port=0"], BadData, "/no/model"),
        (["recogniser=words", "port=0"], BadSettings, "recogniser=words: .* must find words"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given, kind, said):
    with pytest.raises(kind, match=said), served(*given):
        pass


def test_a_port_that_is_taken_is_named(files):
    with served() as server:
        port = server.address.rpartition(":")[2]
        with pytest.raises(BadSettings, match=f"port={port}: Address already in use"):
            serve.main([f"port={port}"])
