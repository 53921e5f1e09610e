"""shards.verify: how it is called, what it finds, and how that is mended."""

import shutil
import sys

from shards import progress, verify


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["shards.verify", *map(str, arguments)])
    code = progress.run(verify.main)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_without_a_folder_it_says_how_it_is_called(monkeypatch, capsys):
    code, said = call(monkeypatch, capsys)
    assert (code, "python -m shards.verify DIR" in said) == (2, True)


def test_damage_is_named_with_what_mends_it(words, tmp_path, monkeypatch, capsys):
    shutil.copytree(words, tmp_path / "w")
    assert call(monkeypatch, capsys, tmp_path / "w")[0] == 0
    tar = tmp_path / "w" / "train" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    code, said = call(monkeypatch, capsys, tmp_path / "w")
    assert code == 3
    assert f"{tar}: sha256 differs from the manifest; run ingest.shard again" in said
