"""A cache as it is read: what it says, what it refuses, what recording again repairs."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
import zarr

from distill import cache as caches
from distill import chunks, record
from distill.cache import Cache
from distill.lost import lost
from distill.teachers import Cached, Live, Wanted
from shards import progress
from shards.augment import Augment
from shards.errors import BadData, BadSettings
from shards.loader import Loader
from shards.manifest import uid_of
from shards.plan import Plan
from shards.read import Shards
from shards.written import digest


def copy(cache, tmp_path):
    return shutil.copytree(cache, tmp_path / "copy")


def rewrite(mark, **changes):
    content = {**json.loads(mark.read_text()), **changes}
    del content["digest"]
    mark.write_text(json.dumps({**content, "digest": digest(content)}))


def batches(words, card, task, view):
    shards = Shards([words], "train")
    loader = Loader(shards, Plan(shards.uids, 32), task.image, task.encode, Augment(card.augment), card.views)
    return list(loader.batches(view))


def chunk(cache, array="log_probs", number=1):
    (found,) = cache.glob(f"*train*/view1/{array}/c/{number}/0/0")
    return found


@pytest.mark.parametrize("view", [0, 1])
def test_a_cached_teacher_answers_like_a_live_one(words, teacher, cache, view):
    opened, live = Cache(cache), Live(teacher)
    cached, seen = Cached(opened), 0
    for asked in (live, cached):
        asked.want(Wanted(taps=("rnn2",)))
    for batch in batches(words, opened.card, live.loaded.task, view):
        assert (batch.view == view).all()
        kept, now = cached(batch), live(batch)
        assert not now.log_probs.requires_grad
        assert lost(now.log_probs, kept.log_probs).p99 < 1e-4
        assert torch.allclose(kept.features["rnn2"], now.features["rnn2"], atol=1e-3)
        seen += len(batch.uids)
    assert seen == 96


def train(opened):
    return next(key for key in opened.card.data if "train" in key)


def opened_uid(opened, row):
    return uid_of(opened.card.data[train(opened)].id, row)


@pytest.mark.parametrize("asked", ["set", "row", "view", "feature"])
def test_what_was_not_recorded_is_named(cache, asked):
    opened = Cache(cache)
    data = opened.card.data[train(opened)]
    uid = {"set": uid_of(data.id ^ 1, 0), "row": uid_of(data.id, 96)}.get(asked, uid_of(data.id, 0))
    if asked == "feature":
        with pytest.raises(BadSettings, match=r"no feature 'rnn1' \(there are: rnn2\)"):
            opened.features("rnn1", np.array([uid]), 0)
        return
    message = (
        rf"sample {uid:016x} was not recorded" if asked != "view" else r"no view 2 \(there are: 0 to 1\)"
    )
    with pytest.raises(BadData, match=message):
        opened.rows(np.array([uid]), 2 if asked == "view" else 0)


def test_an_absent_row_is_named_and_never_used(cache, tmp_path):
    place = copy(cache, tmp_path)
    array = zarr.open_group(next(place.glob("*train*")), mode="r+")["view1/log_probs"]
    array[50] = np.nan
    opened = Cache(place)
    with pytest.raises(BadData, match=rf"sample {opened_uid(opened, 50):016x} has no log_probs"):
        opened.rows(np.array([opened_uid(opened, 50)]), 1)


def test_a_flipped_bit_is_named_at_the_first_touch_and_by_verify(cache, tmp_path, capsys, monkeypatch):
    place = copy(cache, tmp_path)
    data = bytearray(chunk(place).read_bytes())
    data[1000] ^= 4
    chunk(place).write_bytes(bytes(data))
    opened = Cache(place)
    opened.rows(np.array([opened_uid(opened, 5)]), 1)  # another chunk
    with pytest.raises(BadData, match=r"view1/log_probs/c/1/0/0: chunk differs from its crc32c"):
        opened.rows(np.array([opened_uid(opened, 45)]), 1)
    monkeypatch.setattr(sys, "argv", ["cache", "verify", str(place), "json=true"])
    assert progress.run(caches.main) == 3
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["code"], len(told["faults"])) == (3, 1)
    assert "c/1/0/0: sha256 differs from its done mark" in told["error"]


@pytest.mark.parametrize("harm", ["missing", "cut", "mark", "foreign"])
def test_a_cache_that_is_not_whole_is_not_opened(cache, tmp_path, harm):
    place = copy(cache, tmp_path)
    (mark,) = place.glob("done/*train*/view1/000001.json")
    if harm == "missing":
        chunk(place).unlink()
    elif harm == "cut":
        chunk(place).write_bytes(chunk(place).read_bytes()[:-1])
    elif harm == "mark":
        mark.unlink()
    else:
        rewrite(mark, card="0")
    named = {"missing": r"c/1/0/0: chunk is missing", "cut": r"c/1/0/0: \d+ bytes, the chunk has \d+"}
    named |= {"mark": r"view1/000001.json: missing", "foreign": r"view1/000001.json: belongs to another card"}
    with pytest.raises(BadData, match=named[harm]):
        Cache(place)
    with pytest.raises(BadData, match=r"c/1/0/0: |view1/000001.json: "):
        caches.main(["verify", str(place)])


def test_recording_again_repairs_what_is_damaged(words, teacher, cache, recipe, files, tmp_path, capsys):
    place, whole = copy(cache, tmp_path), files(cache)
    chunk(place, number=0).unlink()
    data = bytearray(chunk(place, number=2).read_bytes())
    data[0] ^= 1
    chunk(place, number=2).write_bytes(bytes(data))
    capsys.readouterr()
    record.main(recipe(teacher, words, place, "codec=dense", "taps=[rnn2]", "json=true"))
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["recorded"] == 40 + 16
    assert files(place) == whole


def test_wide_arrays_are_cut_into_parts_of_a_shard(words, teacher, cache, recipe, tmp_path, monkeypatch):
    assert chunks.rows_of_chunk(8192, 1776) == 8192
    assert chunks.rows_of_chunk(8192, 26 * 5990 * 2) == 128
    monkeypatch.setattr(chunks, "LIMIT", 20 * 1776)
    out = tmp_path / "cut"
    record.main(recipe(teacher, words, out, "codec=dense"))
    opened, uncut = Cache(out), Cache(cache)
    (chunk_rows,) = {data.chunk_rows for key, data in opened.card.data.items() if "train" in key}
    assert chunk_rows == 20
    uids = Shards([words], "train").uids.astype(np.int64)[::-7].copy()
    assert torch.allclose(opened.rows(uids, 1), uncut.rows(uids, 1), atol=1e-3)
    assert len(list(out.glob("*train*/view0/log_probs/c/*"))) == 5


def test_a_damaged_sample_is_named_and_its_neighbours_are_recorded(words, teacher, cache, recipe, tmp_path):
    place = shutil.copytree(words, tmp_path / "words")
    shards = Shards([place], "train")
    offset = int(shards.column("image_offset")[45])
    tar = place / "train" / "000001.tar"
    data = bytearray(tar.read_bytes())
    data[offset + 30] ^= 255
    tar.write_bytes(bytes(data))
    record.main(recipe(teacher, place, tmp_path / "c", "codec=dense", "taps=[rnn2]"))
    opened, whole, uid = Cache(tmp_path / "c"), Cache(cache), f"{int(shards.uids[45]):016x}"
    assert list(opened.damaged) == [uid]
    assert "is damaged" in opened.damaged[uid]
    with pytest.raises(BadData, match=f"sample {uid} has no log_probs"):
        opened.rows(shards.uids[45:46].astype(np.int64), 0)
    cached, seen = Cached(opened), 0
    for batch in batches(place, opened.card, Live(teacher).loaded.task, 1):
        lesson, kept = cached(batch), batch.valid
        assert torch.isfinite(lesson.log_probs).all()
        assert torch.equal(lesson.log_probs[kept], whole.rows(batch.uids[kept].numpy(), 1))
        seen += int(kept.sum())
    assert seen == 95


def test_what_the_teacher_could_not_read_teaches_nothing_and_is_recorded_when_it_can_be(
    words, teacher, cache, recipe, files, tmp_path
):
    place = copy(cache, tmp_path)
    uid = f"{int(Shards([words], 'train').uids[45]):016x}"
    for mark in place.glob("done/*train*/view*/000001.json"):
        rewrite(mark, damaged={uid: "gone for a moment"})
    opened, seen = Cache(place), 0
    cached = Cached(opened)
    for batch in batches(words, opened.card, Live(teacher).loaded.task, 1):
        lesson = cached(batch)
        assert lesson.trust is not None
        taught = lesson.batch.valid & lesson.trust  # its label still teaches, the teacher does not
        seen += int(taught.sum())
        assert int(uid, 16) not in lesson.batch.uids[taught].tolist()
    assert seen == 95
    record.main(recipe(teacher, words, place, "codec=dense", "taps=[rnn2]"))
    assert files(place) == files(cache)
