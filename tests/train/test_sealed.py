"""Sealed folders: any crash leaves a whole version, reading repairs nothing, others' folders stay."""

import errno
import os

import pytest

from shards.errors import BadData, BadSettings
from train import sealed

OLD, NEW = {"a": b"old", "b": b"1"}, {"a": b"new", "b": b"2"}
OTHERS = {"NOTES.md": "mine", ".gitattributes": "*", ".git/HEAD": "ref: main", ".cache/huggingface/a": "1"}


def standing(folder):
    return sealed.read(folder, ("a", "b"))[1]


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def crash(folder, monkeypatch, renames, write=sealed.write):
    """Writes NEW and dies after so many renames, before anything is removed."""
    real, left = sealed.os.replace, [renames]

    def dying(source, target):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        real(source, target)

    def never(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sealed.os, "replace", dying)
        patch.setattr(sealed.shutil, "rmtree", never)
        with pytest.raises(KeyboardInterrupt):
            write(folder, NEW)


def test_a_new_version_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path):
    sealed.write(tmp_path / "deep" / "m", OLD)
    sealed.write(tmp_path / "deep" / "m", {"a": b"x"})
    assert sealed.read(tmp_path / "deep" / "m", ("a",))[1] == {"a": b"x"}
    assert names(tmp_path / "deep") == ["m"]
    assert names(tmp_path / "deep" / "m") == ["a", "sha256sums"]


@pytest.mark.parametrize(("renames", "content"), [(0, OLD), (1, NEW), (2, NEW)])
def test_a_crash_at_any_rename_leaves_a_whole_version(tmp_path, monkeypatch, renames, content):
    sealed.write(tmp_path / "m", OLD)
    crash(tmp_path / "m", monkeypatch, renames)
    left = names(tmp_path)
    assert standing(tmp_path / "m") == content
    assert names(tmp_path) == left  # reading repairs nothing
    sealed.heal(tmp_path / "m")
    assert names(tmp_path) == ["m"]
    assert standing(tmp_path / "m") == content


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_the_next_write_after_a_crash_needs_no_healing(tmp_path, monkeypatch, renames):
    sealed.write(tmp_path / "m", OLD)
    crash(tmp_path / "m", monkeypatch, renames)
    sealed.write(tmp_path / "m", NEW)
    assert standing(tmp_path / "m") == NEW
    assert names(tmp_path) == ["m"]


def test_a_half_written_new_version_gives_way_to_the_old_one(tmp_path, monkeypatch):
    sealed.write(tmp_path / "m", OLD)
    crash(tmp_path / "m", monkeypatch, 1)
    (tmp_path / "m.part" / "b").write_bytes(b"")
    assert standing(tmp_path / "m") == OLD
    sealed.heal(tmp_path / "m")
    assert standing(tmp_path / "m") == OLD


def test_a_first_version_that_was_cut_short_is_no_version(tmp_path, monkeypatch):
    crash(tmp_path / "m", monkeypatch, 0)
    with pytest.raises(BadData, match="no such folder"):
        standing(tmp_path / "m")
    sealed.heal(tmp_path / "m")
    assert names(tmp_path) == []


def test_a_reader_beside_a_writer_sees_one_version_or_the_other(tmp_path, monkeypatch):
    sealed.write(tmp_path / "m", OLD)
    swaps = iter([NEW, OLD, NEW])
    real = sealed._bytes

    def swapping(path):
        data = real(path)
        if path.name == "a" and (content := next(swaps, None)):
            sealed.write(tmp_path / "m", content)
        return data

    monkeypatch.setattr(sealed, "_bytes", swapping)
    assert standing(tmp_path / "m") == NEW


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("x")
    with pytest.raises(BadSettings, match="not replaced"):
        sealed.write(tmp_path / "thesis", NEW)
    assert names(tmp_path / "thesis") == ["chapter1.tex"]


def shared(folder):
    """A sealed folder that is also somebody's checkout."""
    sealed.write(folder, OLD)
    for name, text in OTHERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".git" / "objects").mkdir()
    (folder / "link").symlink_to("nowhere")
    return folder


def foreign(folder):
    """What does not belong to the sealed files, if the folders and the link of `shared` are there."""
    assert (folder / ".git" / "objects").is_dir()
    assert os.readlink(folder / "link") == "nowhere"
    files = [path for path in folder.rglob("*") if path.is_file()]
    told = {str(path.relative_to(folder)): path.read_text() for path in files}
    return {name: text for name, text in told.items() if name not in ("a", "b", "sha256sums")}


@pytest.mark.parametrize("links", [True, False])
def test_an_update_leaves_the_files_of_others_where_they_are(tmp_path, monkeypatch, links):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(sealed.os, "link", refuse)
    sealed.update(shared(tmp_path / "m"), NEW)
    assert standing(tmp_path / "m") == NEW
    assert foreign(tmp_path / "m") == OTHERS
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize(("renames", "content"), [(0, OLD), (1, NEW), (2, NEW)])
def test_a_crash_of_an_update_leaves_a_whole_version_and_the_files_of_others(
    tmp_path, monkeypatch, renames, content
):
    crash(shared(tmp_path / "m"), monkeypatch, renames, sealed.update)
    assert standing(tmp_path / "m") == content
    sealed.heal(tmp_path / "m")
    assert standing(tmp_path / "m") == content
    assert foreign(tmp_path / "m") == OTHERS
    assert names(tmp_path) == ["m"]


def test_an_update_that_cannot_keep_a_file_changes_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no space left")

    folder = shared(tmp_path / "m")
    with monkeypatch.context() as patch:
        patch.setattr(sealed.os, "link", full)
        patch.setattr(sealed.shutil, "copy2", full)
        with pytest.raises(OSError, match="no space left"):
            sealed.update(folder, NEW)
    assert standing(folder) == OLD
    assert foreign(folder) == OTHERS
    sealed.update(folder, NEW)
    assert standing(folder) == NEW


@pytest.mark.parametrize("line", ["0" * 64 + "  ../a", "nonsense", "0" * 64 + "  "])
def test_a_checksum_list_can_name_only_files_of_its_folder(tmp_path, line):
    sealed.write(tmp_path / "m", OLD)
    (tmp_path / "m" / "sha256sums").write_text(line + "\n")
    with pytest.raises(BadData, match="sha256sums:1"):
        standing(tmp_path / "m")
