"""A tar read as a folder: every ordinary file comes back, nothing else does, and damage is named."""

import io
import os
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import tarball
from ingest.tarball import Tar
from shards.errors import BadData, BadSettings

NAME = st.text(st.characters(exclude_categories=("C",), exclude_characters="/\\"), min_size=1, max_size=60)
PATH = st.lists(NAME.filter(lambda part: part.strip(".")), min_size=1, max_size=4).map("/".join)
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/ocr-distillery/tars"


def member(name, kind=tarfile.REGTYPE, link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    for key, value in more.items():
        setattr(info, key, value)
    return info


def write(path, entries, format=tarfile.USTAR_FORMAT):
    """entries: (name or TarInfo, bytes)."""
    with tarfile.open(path, "w", format=format) as tar:
        for info, data in entries:
            info = member(info) if isinstance(info, str) else info
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def index(cache):
    return sorted(path.name for path in cache.iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(files=st.dictionaries(PATH, st.binary(max_size=1500), min_size=1, max_size=8), mtime=st.floats(0, 1e9))
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_come_back_whatever_their_names(tmp_path, format, files, mtime):
    entries = [(member(name, mtime=mtime), data) for name, data in files.items()]
    tree = Tar(write(tmp_path / f"{os.urandom(8).hex()}.tar", entries, format))
    for name, data in files.items():
        assert tree.read(name) == data
        assert tree.mapped(name).tobytes() == data


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("front", ["", "./", "a/" * 60])
def test_lists_are_found_and_read_from_each_kind_of_tar(tmp_path, format, front):
    files = {f"{front}x/list.txt": b"one", f"{front}list.txt": b"two", f"{front}2/1/1_a_0.jpg": b"pixels"}
    tree = Tar(write(tmp_path / "x.tar", list(files.items()), format))
    base = front.removeprefix("./").removesuffix("/")
    assert tree.holding("list.txt") == [base, f"{base}/x".removeprefix("/")]
    assert tree.holding("ist.txt") == tree.holding("1_a_0.jpg") == []
    for name, data in files.items():
        assert tree.read(name.removeprefix("./")) == data


def test_links_and_what_climbs_out_are_never_followed(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    path = write(
        tmp_path / "x.tar",
        [
            ("fine.txt", b"fine"),
            (member("soft.txt", tarfile.SYMTYPE, str(secret)), b""),
            (member("hard.txt", tarfile.LNKTYPE, "fine.txt"), b""),
            (member("pipe.txt", tarfile.FIFOTYPE), b""),
            (member("folder.txt", tarfile.DIRTYPE), b""),
            ("../secret.txt", b"climbed"),
            ("a/../../secret.txt", b"climbed"),
            (str(secret), b"absolute"),
        ],
    )
    tree = Tar(path)
    assert tree.lists == ["fine.txt"]
    for name in (
        "soft.txt",
        "hard.txt",
        "pipe.txt",
        "folder.txt",
        "../secret.txt",
        "secret.txt",
        str(secret),
    ):
        with pytest.raises(FileNotFoundError):
            tree.read(name)


def test_of_equal_names_the_last_counts(tmp_path):
    names = ["a.txt", "./a.txt", "b.txt", "a.txt"]
    tree = Tar(write(tmp_path / "x.tar", [(name, b"%d" % n) for n, name in enumerate(names)]))
    assert (tree.read("a.txt"), tree.read("b.txt")) == (b"3", b"2")


def test_a_tar_cut_anywhere_is_refused_and_leaves_no_index(tmp_path, cache):
    whole = write(tmp_path / "whole.tar", [("a.txt", b"x" * 700), ("b.txt", b"y" * 300)]).read_bytes()
    ends = 512 * 2 + 512 + 512 + 512  # headers and data: the closing blocks begin here
    for length in (1, 511, 512, 900, 1536, 2000, 2048, 2050, ends - 1, ends):
        path = tmp_path / f"{length}.tar"
        path.write_bytes(whole[:length])
        with pytest.raises(BadData, match=rf"{length}\.tar: cut off.*fetch it again"):
            Tar(path)
    assert index(cache) == []
    path.write_bytes(whole[: ends + 512])  # one closing block will do
    assert Tar(path).read("b.txt") == b"y" * 300


@pytest.mark.parametrize(
    "data",
    [b"BZh9" + bytes(range(256)) * 9, b"PK\3\4" + b"\1" * 2000, b"text\n" * 900, b"\xfd7zXZ" + b"\7" * 999],
)
def test_what_is_no_tar_is_refused(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(BadData, match="no tar header at byte 0"):
        Tar(tmp_path / "x.tar")


def test_a_damaged_header_is_named_by_its_place(tmp_path):
    path = write(tmp_path / "x.tar", [("a.txt", b"x" * 700), ("b.txt", b"y")])
    for place, byte in ((1536 + 257, b"X"), (1536 + 125, b"9"), (1536 + 125, b"\xff")):
        data = bytearray(path.read_bytes())
        data[place : place + 1] = byte
        (tmp_path / "y.tar").write_bytes(data)
        with pytest.raises(BadData, match="no tar header at byte 1536"):
            Tar(tmp_path / "y.tar")


def test_a_tar_without_files_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"root=.*no file"):
        Tar(write(tmp_path / "x.tar", []))


def test_the_headers_are_read_once_and_again_when_the_tar_or_the_index_changed(tmp_path, cache, caplog):
    path = write(tmp_path / "x.tar", [("a.txt", b"one")])
    assert Tar(path).read("a.txt") == Tar(path).read("a.txt") == b"one"
    assert len(caplog.records) == 1
    first = index(cache)
    write(path, [("b.txt", b"two"), ("a.txt", b"three")])
    assert Tar(path).read("a.txt") == b"three"
    assert len(caplog.records) == 2
    assert len(index(cache)) == 2
    assert not set(first) & set(index(cache))
    for damage in (b"", b"not an index", next(cache.glob("*.npy")).read_bytes()[:-8]):
        next(cache.glob("*.npy")).write_bytes(damage)
        assert Tar(path).read("b.txt") == b"two"
    next(cache.glob("*.json")).write_text("{")
    assert Tar(path).read("b.txt") == b"two"
    assert len(caplog.records) == 6


def test_a_wrong_index_gives_no_wrong_bytes(tmp_path, cache):
    path = write(tmp_path / "x.tar", [("a.txt", b"one"), ("b.txt", b"two")])
    Tar(path)
    entries = next(cache.glob("*.npy"))
    table = np.load(entries)
    np.save(entries, np.stack([table[0], table[1][::-1]]))
    with pytest.raises(OSError, match="changed since"):
        Tar(path).read("a.txt")


def test_a_tar_that_shrinks_while_it_is_read_is_an_error_not_a_crash(tmp_path):
    path = write(tmp_path / "x.tar", [("a.txt", b"x" * 9000)])
    tree = Tar(path)
    os.truncate(path, 4096)
    with pytest.raises(OSError, match="cut off"):
        tree.read("a.txt")


def test_without_a_place_for_the_index_the_message_names_the_setting(tmp_path, monkeypatch):
    path = write(tmp_path / "x.tar", [("a.txt", b"one")])
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    with pytest.raises(BadSettings, match="XDG_CACHE_HOME=DIR"):
        Tar(path)


def test_numbers_in_headers_are_octal_or_binary():
    assert tarball._number(b"0000644 \0") == 0o644
    assert tarball._number(b"\0" * 12) == 0
    assert tarball._number(b"\x80" + b"\0" * 9 + b"\x01\x02") == 258
    assert tarball._number(b"12x\0") == tarball._number(b"0008\0") == -1
