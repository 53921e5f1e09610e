"""Shards into files and back: nothing is changed on the way, and what a format cannot hold is named."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import shard
from shards import progress, unpack
from shards.errors import BadData, BadSettings
from shards.read import Shards
from tests.shards.unpacked import SCENES, WORDS, available, contents, ledger, run


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


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
