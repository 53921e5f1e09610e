import json
import shutil

import fsspec
import numpy as np
import pytest

from distill import cache as caches
from distill import fetch
from distill.cache import Cache
from shards import storage
from shards.errors import BadData, BadSettings
from shards.read import Shards


@pytest.fixture
def bucket():
    """An empty place in memory, and its file system."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Where fetched caches are kept."""
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    return tmp_path / "room"


def sent(cache):
    caches.main(["copy", str(cache), "memory://bucket/words"])
    return "memory://bucket/words"


def test_a_cache_elsewhere_is_the_same_cache(cache, words, bucket, room, files):
    address = sent(cache)
    uids = Shards([words], "train").uids.astype(np.int64)
    there, here = Cache(address), Cache(cache)
    assert there.card == here.card
    assert np.array_equal(
        there.packed("frames", uids, 1)["log_probs"], here.packed("frames", uids, 1)["log_probs"]
    )
    mine = {name: data for name, data in files(cache).items() if name != ".lock"}
    assert files(there.path) == mine
    assert there.path.parent == room


def test_a_cache_in_a_bucket_is_the_same_cache(cache, words, s3, room, files):
    address = f"{s3}/caches/k=v"
    caches.main(["copy", str(cache), address])
    there = Cache(address)
    assert files(there.path) == {name: data for name, data in files(cache).items() if name != ".lock"}
    caches.main(["verify", str(there.path)])


def test_what_stands_is_not_fetched_again(cache, bucket, room, tmp_path):
    address = sent(cache)
    again = str(tmp_path / "again")
    files, size = fetch.copy(address, again)
    assert files > 10
    assert size > 100_000
    assert fetch.copy(address, again) == (0, 0)
    mark = next((tmp_path / "again").glob("done/*/view1/000001.json"))
    mark.unlink()
    assert fetch.copy(address, again)[0] == 1


def test_marks_arrive_last_so_a_copy_that_was_cut_off_is_not_whole_and_goes_on(
    cache, bucket, room, monkeypatch
):
    address, real, left = sent(cache), fetch._Place.write, [15]

    def failing(self, name, data):
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionError("the line is dead")
        real(self, name, data)

    monkeypatch.setattr(fetch._Place, "write", failing)
    with pytest.raises(BadData, match=r"memory://bucket/words to .*the line is dead.* goes on"):
        Cache(address)
    (folder,) = (path for path in room.iterdir() if path.is_dir())
    with pytest.raises(BadData, match=r"missing, so the cache is not whole"):
        Cache(folder)
    monkeypatch.undo()
    monkeypatch.setenv(storage.ROOM, str(room))
    assert Cache(address).answers == Cache(cache).answers


def test_a_chunk_that_was_damaged_there_is_named_and_not_kept(cache, bucket, room):
    address = sent(cache)
    (path,) = [p for p in bucket.find("/bucket") if "view1/log_probs/c/1/0/0" in p]
    whole = bucket.cat_file(path)
    bucket.pipe_file(path, whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(BadData, match=r"view1/log_probs/c/1/0/0: sha256 differs from done/.*; run again"):
        Cache(address)
    assert not list(room.glob("*/*/view1/log_probs/c/1/0/0"))
    bucket.pipe_file(path, whole)
    assert Cache(address).answers == Cache(cache).answers


@pytest.mark.parametrize("name", ["../../outside", "/etc/outside"])
def test_a_done_mark_cannot_reach_out_of_the_folder(cache, bucket, room, tmp_path, name):
    address = sent(cache)
    victim = tmp_path / "outside"
    victim.write_text("mine")
    path = next(p for p in bucket.find("/bucket") if "/done/" in p)
    mark = json.loads(bucket.cat_file(path))
    bucket.pipe_file(path, json.dumps({**mark, "sha256": {name: "0"}}).encode())
    with pytest.raises(BadData, match=r"outside': no file of a cache"):
        Cache(address)
    assert victim.read_text() == "mine"


def test_what_is_no_cache_or_another_one_is_refused(cache, rich, bucket, room, tmp_path):
    with pytest.raises(BadData, match=r"memory://bucket/nothing: no card.json, so no cache"):
        Cache("memory://bucket/nothing")
    address = sent(cache)
    with pytest.raises(BadSettings, match=r"words: holds another cache"):
        caches.main(["copy", str(rich), address])
    with pytest.raises(BadSettings, match=r"nosuch://x: "):
        Cache("nosuch://x")
    with pytest.raises(BadSettings, match=r"FROM TO"):
        caches.main(["copy", str(cache)])
    broken = shutil.copytree(cache, tmp_path / "broken")
    next(broken.glob("done/*/view1/*.json")).write_text("{")
    with pytest.raises(BadData, match=r"not a done mark"):
        caches.main(["copy", str(broken), "memory://bucket/broken"])


def test_an_address_is_verified_as_a_folder_is(cache, bucket, room, capsys):
    address = sent(cache)
    capsys.readouterr()
    caches.main(["verify", address, f"file://{cache}", "json=true"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["caches"][address] == told["caches"][f"file://{cache}"]
    assert told["faults"] == []
