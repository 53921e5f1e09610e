"""What a command names as images: globs, folders, splits, and what comes on standard input."""

import errno
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from shards import pictures
from shards.errors import BadData
from train import inputs


@pytest.fixture
def crops(tmp_path, monkeypatch):
    """a.png, deep/b.png, deep/er/c.png and deep/note.txt, in the working folder."""
    for name in ("a.png", "deep/b.png", "deep/er/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "deep" / "note.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*given):
    return [name for name, _ in inputs.images(given)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png"]),
        ("**/*.png", ["a.png", "deep/b.png", "deep/er/c.png"]),
        ("deep/*", ["deep/b.png", "deep/note.txt"]),
        ("d??p", ["deep/b.png", "deep/er/c.png"]),
        ("[ab].png", ["a.png"]),
        ("deep", ["deep/b.png", "deep/er/c.png"]),
    ],
)
def test_a_glob_is_what_matches_it(crops, pattern, found):
    assert names(pattern) == found


def test_a_file_whose_name_looks_like_a_glob_is_that_file(crops):
    (crops / "[a].png").write_bytes((crops / "a.png").read_bytes())
    assert names("[a].png") == ["[a].png"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("*.gif", r"\*.gif: no file matches"),
        ("gone.png", "gone.png: no such file"),
        ("er/**", "no file matches"),
        ("empty", "empty: no image in this folder"),
        ("emp*", "empty: no image in this folder"),
        ("long" * 76, "longlong: File name too long"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_read(crops, given, said):
    (crops / "empty").mkdir()
    with pytest.raises(BadData, match=said):
        inputs.images(["a.png", given])


@pytest.mark.parametrize("given", ["barred", "barred/d.png", "."])
def test_a_folder_that_may_not_be_entered_is_named(crops, monkeypatch, given):
    (crops / "barred").mkdir()
    stat, scandir = os.stat, os.scandir

    def refuse(call, bars):
        def called(path, *more, **named):
            if bars(os.fsdecode(path)):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return call(path, *more, **named)

        return called

    monkeypatch.setattr(os, "stat", refuse(stat, lambda path: "barred/" in path))
    monkeypatch.setattr(os, "scandir", refuse(scandir, lambda path: path.endswith("barred")))
    with pytest.raises(BadData, match=r"barred.*: Permission denied"):
        inputs.images(["a.png", given])


def test_a_folder_has_images_of_every_spelling_and_a_pipe_among_them_is_not_waited_for(crops):
    (crops / "deep" / "B.JPG").write_bytes((crops / "a.png").read_bytes())
    os.mkfifo(crops / "deep" / "z.png")
    found = dict(inputs.images(["deep"]))
    assert list(found) == ["deep/B.JPG", "deep/b.png", "deep/er/c.png", "deep/z.png"]
    with pytest.raises(OSError, match="neither a file nor a folder"):
        found["deep/z.png"]()


def stdin(data):
    return list(inputs.standard_input(io.BytesIO(data)))


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_the_bytes_of_an_image_are_told_from_a_list(kind):
    file = io.BytesIO()
    Image.effect_noise((300, 200), 50).save(file, kind)
    ((name, get),) = stdin(file.getvalue())
    assert (name, get()) == ("-", file.getvalue())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "listed", [["a.png"], ["a.png", "deep/b.png", "BM.png", "P5.pgm", "Ünder weg/x.jpg", " a b.png "]]
)
def test_a_list_is_a_path_a_line(listed, end):
    assert [name for name, _ in stdin(f"{end}{end.join(listed)}{end}{end}".encode())] == listed
    assert [name for name, _ in stdin(end.join(listed).encode())] == listed


def test_a_listed_path_is_read_when_its_turn_comes(crops):
    (_, first), (_, second) = stdin(b"a.png\ngone.png\n")
    assert first() == Path("a.png").read_bytes()
    with pytest.raises(OSError, match="No such file"):
        second()


def test_addresses_that_are_listed_are_not_fetched(monkeypatch):
    monkeypatch.setattr(inputs.storage, "place", lambda name: pytest.fail("it was opened"))
    for _, get in stdin(b"http://127.0.0.1/a.png\ns3://bucket/a.png\nmemory://a.png\n"):
        with pytest.raises(BadData, match="an address; only files of this machine"):
            get()


@pytest.mark.parametrize(
    "data",
    [
        b"a.png\0deep/b.png\0",
        b"\0" * 99,
        b"%PDF-1.7\nstream\n",
        b"%PDF-1.7\n%\xe2\xe3\n\0\0",
        bytes(range(255, -1, -1)) * 40,
    ],
)
def test_what_is_neither_an_image_nor_a_list_is_said_before_anything_is_read(data, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(BadData, match="neither an image nor paths"):
        inputs.images(["-"])


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\n" * 20])
def test_nothing_on_standard_input_is_said(data):
    with pytest.raises(BadData, match="standard input is empty"):
        stdin(data)
