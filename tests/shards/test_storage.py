"""Shards at addresses: an S3 server on loopback, and fsspec's memory; read, written, planned, damaged."""

import contextlib
import os

import fsspec
import pytest

from ingest import shard
from shards import lock, show, storage, unpack, verify
from shards import room as room_module
from shards.augment import Augment, Settings
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from shards.storage import File
from train import predict

pytest.importorskip("upath")
RENDERED = ["source=rendered", "count=120", "rows_per_shard=20", "workers=1"]


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    return tmp_path / "room"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Six shards of 20 words in a local folder."""
    out = tmp_path_factory.mktemp("here") / "words"
    shard.main([*RENDERED, f"out={out}"])
    return out


@pytest.fixture(scope="module")
def there(here):
    """The same in fsspec's memory."""
    fsspec.filesystem("memory").put(str(here), "memory://sets/words", recursive=True)
    return "memory://sets/words"


def content(address):
    system, path = fsspec.core.url_to_fs(address)
    return {name.removeprefix(path): system.cat_file(name) for name in system.find(path)}


def test_a_folder_in_a_bucket_is_byte_for_byte_the_local_one(s3, here, capsys):
    out = f"{s3}/kind=words/first"  # a value may hold what stands between a key and its value
    shard.main([*RENDERED, f"out={out}"])
    found = content(out)
    assert found == {
        f"/{p.relative_to(here)}": p.read_bytes() for p in sorted(here.rglob("*")) if p.is_file()
    }
    said = capsys.readouterr()
    assert "sesame" not in said.out + said.err + b"".join(found.values()).decode(errors="ignore")


def test_what_a_stopped_run_left_in_a_bucket_is_gone_on_with(s3, here):
    out = f"{s3}/stopped"
    system = fsspec.filesystem("s3")
    system.put(str(here), out, recursive=True)
    for name in ("manifest.json", "000002.json", "000004.tar"):
        system.rm_file(f"{out}/train/{name}")
    system.pipe_file(f"{out}/train/000003.tar", b"not a tar")
    marks = {n: system.modified(f"{out}/train/{n}") for n in ("000000.tar", "000005.tar")}
    shard.main([*RENDERED, f"out={out}"])
    assert content(out) == content(str(here))
    assert marks == {n: system.modified(f"{out}/train/{n}") for n in marks}
    with pytest.raises(BadSettings, match=r"option strength is 1.0 there and 0.5 here"):
        shard.main([*RENDERED, f"out={out}", "strength=.5"])


def test_a_bucket_is_verified_and_its_damage_named(s3, here, monkeypatch, capsys):
    out = f"{s3}/verified"
    system = fsspec.filesystem("s3")
    system.put(str(here), out, recursive=True)
    verify.main([out])
    data = system.cat_file(f"{out}/train/000001.tar")
    system.pipe_file(f"{out}/train/000001.tar", data[:5000] + b"?" + data[5001:])
    with pytest.raises(BadData, match=r"s3://bucket/verified/train/000001\.tar: sha256 differs"):
        verify.main([out])
    shards = Shards([out], "train")
    assert shards.image(0)
    with pytest.raises(BadData, match=r"000001\.tar: sha256 differs from the manifest"):
        shards.image(25)


def test_remote_samples_are_the_local_ones(here, there, room):
    mine, theirs = Shards([here], "train"), Shards([there], "train")
    assert theirs.digest == mine.digest
    assert list(theirs.texts()) == list(mine.texts())
    assert not list(room.rglob("*.tar"))  # none is needed yet
    for position in (119, 3, 60):
        assert theirs.image(position) == mine.image(position)
        assert theirs.record(position) == mine.record(position)
    assert len(list(room.rglob("*.tar"))) == 3


def held(room):
    """Bytes of the tars in a room that others tidy."""
    size = 0
    for path in room.rglob("*.tar"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def loader(shards, **plan):
    told = Plan(shards.uids, 8, 3, True, shard=shards.shard_of, **plan)
    return Loader(shards, told, ImageSpec(), lambda records: Nothing(), Augment(Settings()))


class Nothing:
    def to(self, device):
        return self


def test_a_plan_in_a_small_room_comes_in_its_own_order_and_keeps_little(here, there, room):
    mine, theirs = Shards([here], "train"), Shards([there], "train")
    sizes = [info.bytes["tar"] for info in mine.manifests[0].shards]
    theirs.room.limit = int(2.5 * max(sizes))
    most = 0
    for epoch in (0, 1):
        for a, b in zip(
            loader(mine, window=1).batches(epoch), loader(theirs, window=1).batches(epoch), strict=True
        ):
            assert a.uids.tolist() == b.uids.tolist()
            assert (a.images == b.images).all()
            most = max(most, held(room))
    assert 0 < most <= theirs.room.limit


def test_a_copy_that_another_process_takes_away_is_fetched_again(here, there, monkeypatch):
    shards, fetched = Shards([there], "train"), []

    def fetch(files):
        storage.fetch(files)
        fetched.append(files[0].local)
        if len(fetched) == 1:
            files[0].local.unlink()

    monkeypatch.setattr(room_module, "fetch", fetch)
    assert shards.image(0) == Shards([here], "train").image(0)
    assert len(fetched) == 2


def test_an_order_that_needs_more_than_the_room_is_refused_with_the_remedy(there):
    shards = Shards([there], "train")
    shards.room.limit = 1000
    with pytest.raises(BadSettings, match=r"data\.room=0: .* needs 1 megabytes .* data\.window=8"):
        next(iter(loader(shards).batches(0)))


def test_leaving_an_epoch_early_stops_what_reads_ahead(there):
    shards = Shards([there], "train")
    for _ in loader(shards, window=1).batches(0):
        break
    assert shards.image(100)


def test_what_was_fetched_of_another_data_set_is_fetched_anew(here, room):
    there = "memory://sets/changing"
    memory = fsspec.filesystem("memory")
    memory.put(str(here), there, recursive=True)
    before = Shards([there], "train").image(0)
    for file in room.rglob("000000.tar"):
        data = bytearray(file.read_bytes())
        data[600] ^= 1
        file.write_bytes(data)
    for file in room.rglob("*.labels"):
        file.write_bytes(b"x" * file.stat().st_size)
    assert Shards([there], "train").image(0) == before
    assert Shards([there], "train").text(0) == Shards([here], "train").text(0)


def test_a_file_that_is_missing_is_named(here):
    there = "memory://sets/holes"
    memory = fsspec.filesystem("memory")
    memory.put(str(here), there, recursive=True)
    memory.rm_file("/sets/holes/train/000001.tar")
    shards = Shards([there], "train")
    with pytest.raises(BadData, match=r"memory://sets/holes/train/000001\.tar: no such file"):
        shards.image(30)
    with pytest.raises(BadData, match="memory://sets/nothing: no such folder"):
        Shards(["memory://sets/nothing"], "train")


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("s3://key:secret@bucket/x", "s3://...@...: an address holds no credentials"),
        ("nosuch://bucket/x", "nosuch://bucket/x: .*addresses need: pip install 'ocr-distillery"),
    ],
)
def test_addresses_that_cannot_be_are_refused_and_secrets_not_repeated(address, named):
    with pytest.raises(BadSettings, match=named) as refused:
        storage.place(address)
    assert "secret" not in str(refused.value)


def test_local_paths_stay_local(tmp_path):
    assert storage.place(f"file://{tmp_path}/a=b") == tmp_path / "a=b"
    assert not storage.is_address(tmp_path)
    assert storage.copied(tmp_path) == tmp_path


def test_copies_are_kept_while_the_remote_file_does_not_change(room):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lists/a.txt", b"one")
    path = storage.place("memory://lists/a.txt")
    first = storage.copied(path)
    assert storage.copied(path) == first
    memory.pipe_file("/lists/a.txt", b"another")
    assert storage.copied(path).read_bytes() == b"another"
    assert not list(room.rglob("*.part"))


def test_a_copy_that_is_not_what_it_must_be_leaves_nothing(room):
    fsspec.filesystem("memory").pipe_file("/lists/b.txt", b"one")
    file = File(storage.place("memory://lists/b.txt"), 3, "0" * 64)
    with pytest.raises(BadData, match="sha256 differs"):
        storage.fetch([file])
    assert not [p for p in room.rglob("*") if p.is_file()]


def test_an_address_is_written_without_a_lock_and_no_folder_is_made_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shard.main([*RENDERED[:1], "count=5", "out=memory://sets/few", "workers=1"])
    assert os.listdir(tmp_path) == []
    with lock.locked(storage.place("memory://sets/few")):
        pass
    assert len(Shards(["memory://sets/few"], "train")) == 5


def test_what_reads_folders_reads_addresses(there, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    show.main([there, "n=4"])
    assert fsspec.filesystem("memory").cat_file("/sets/words/show.html").startswith(b"<!doctype html>")
    unpack.main([there, "to=folder", f"out={tmp_path / 'plain'}"])
    assert len(list((tmp_path / "plain").rglob("*.jpg"))) == 120
    predict.main([f"{there}/train", "limit=3"])
    assert capsys.readouterr().out.count("memory://sets/words/train/") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "room"]
