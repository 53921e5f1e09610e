"""A recording in this process: what it refuses, what it says, what it does on a full disk."""

import errno
import json
import os
import re
import shutil

import pytest

from distill import record
from distill.cache import Cache
from distill.teachers import Live
from shards.errors import BadData, BadSettings, GateFailed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("views=0", r"views: 0, must be at least 1"),
        ("codec=zip", r"codec.*zip.*sequence"),
        ("codec=topk k=99", r"k: 99, the teacher has 37 classes"),
        ("bytes=20", r"bytes: 20, a record of 24 steps has at least 38"),
        ("taps=[nose]", r"taps.*'nose'.*there are: .*rnn2"),
        ("taps=[rnn2:int4]", r"'int4'.*there are: fp16, int8, pca"),
        ("taps=[rnn2:pca]", r"pca is asked for as rnn2:pca:32"),
        ("taps=[rnn2:pca:99]", r"pca:99, the feature has 16 channels"),
        ("taps=[rnn2,rnn2:int8]", r"taps: rnn2,rnn2:int8; each only once"),
        ("kinds=[frames,wings]", r"'wings'.*there are: frames, nbest, occupancy"),
        ("kinds=[frames,frames]", r"kinds: frames,frames; each only once"),
        ("kinds=[cells]", r"kinds, of task recognise: no 'cells' \(there are: frames, nbest, occupancy\)"),
        ("nbest=20", r"nbest: 20, must be at most beam=10"),
        ("precision=int8", r"precision.*fp32"),
        ("vews=2", r"vews"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    words, teacher, recipe, tmp_path, wrong, message
):
    with pytest.raises(BadSettings, match=message):
        record.main(recipe(teacher, words, tmp_path / "c", *wrong.split()))
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("key", "told"), [("codec", "sequence"), ("kinds", "frames, nbest, occupancy")])
def test_a_question_mark_shows_what_exists(key, told, capsys):
    with pytest.raises(SystemExit):
        record.main([f"{key}=?"])
    assert told in capsys.readouterr().out


def test_a_codec_that_loses_too_much_is_a_failed_gate_that_names_what_would_do(
    words, teacher, recipe, tmp_path
):
    with pytest.raises(
        GateFailed, match=r"topk loses .* nats per step of frames, kl_limit=.*; raise k \(now 2\)"
    ):
        record.main(recipe(teacher, words, tmp_path / "c", "codec=topk", "k=2", "kl_limit=1e-6"))
    with pytest.raises(GateFailed, match=r"loses 0.\d+ .*; bytes=\d+ would do \(now 96\)") as refused:
        record.main(recipe(teacher, words, tmp_path / "s", "bytes=96", "val=false", "kl_limit=.15"))
    assert not list((tmp_path / "s").glob("*/view*/records/c"))
    size = int(re.search(r"bytes=(\d+) would do", str(refused.value))[1])
    # of the chunk that was refused: others may want a little more
    record.main(recipe(teacher, words, tmp_path / "t", f"bytes={size + 8}", "val=false", "kl_limit=.15"))


def test_views_without_augmentation_are_refused(words, teacher, recipe, tmp_path):
    with pytest.raises(BadSettings, match=r"views=2, but .* augment=light"):
        record.main(recipe(teacher, words, tmp_path / "c", "augment=none"))


def test_a_folder_with_other_files_is_left_alone(words, teacher, recipe, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadSettings, match=r"holds something else \(no card.json\)"):
        record.main(recipe(teacher, words, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_dry_run_shows_the_size_and_writes_nothing(words, teacher, recipe, tmp_path, capsys):
    record.main(
        recipe(teacher, words, tmp_path / "c", "bytes=64", "taps=[rnn2:int8]", "dry_run=true", "json=true")
    )
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["bytes_per_view"] == 64 + 24 * 16 + 2 * 16
    assert result["bytes_of"] == {"frames": 64, "feature.rnn2": 24 * 16 + 2 * 16}
    assert result["bytes"] == result["bytes_per_view"] * (96 * 2 + 32)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("writes", [0, 3, 20, 30])
def test_a_full_disk_is_told_and_the_same_command_goes_on(
    words, teacher, cache, recipe, files, tmp_path, monkeypatch, writes
):
    arguments, real, left = (
        recipe(teacher, words, tmp_path / "c", "codec=dense", "taps=[rnn2]"),
        os.fsync,
        [writes],
    )

    def full(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadData, match=r"/c: cannot be written: No space left on device; .* goes on"):
        record.main(arguments)
    monkeypatch.undo()
    with pytest.raises(BadData):
        Cache(tmp_path / "c")
    record.main(arguments)
    assert files(tmp_path / "c") == files(cache)


@pytest.mark.parametrize("which", ["log_probs", "rnn2"])
def test_an_answer_that_is_not_finite_is_refused(words, teacher, recipe, tmp_path, monkeypatch, which):
    real = Live.__call__

    def broken(self, batch):
        lesson = real(self, batch)
        (lesson.log_probs if which == "log_probs" else lesson.features["rnn2"])[1, 0, 0] = float("nan")
        return lesson

    monkeypatch.setattr(Live, "__call__", broken)
    name = "answers" if which == "log_probs" else "rnn2"
    with pytest.raises(BadData, match=rf"the teacher's {name} are not finite"):
        record.main(recipe(teacher, words, tmp_path / "c", "codec=dense", "taps=[rnn2]"))


def test_a_recording_goes_on_with_what_it_measured_first(words, teacher, rich, recipe, full, files, tmp_path):
    place = shutil.copytree(rich, tmp_path / "c")
    for mark in place.glob("done/*/view1/*.json"):
        mark.unlink()
    (place / "bases.safetensors").write_bytes(b"damaged")
    next(place.glob("*train*/view0/records/zarr.json")).write_text("{}")
    with pytest.raises(BadData, match=r"bases.safetensors: "):
        Cache(place)
    record.main(recipe(teacher, words, place, *full))
    assert files(place) == files(rich)
