"""The room of fetched shards: what ended runs left there counts and goes first, what a living process uses
stays, and a shard that cannot be had costs only its own samples.
"""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest

from ingest import shard
from shards import room as room_module
from shards import storage
from shards.augment import Augment, Settings
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards

pytest.importorskip("upath")
ADDRESS = "memory://room/words"
SHARDS, PER_SHARD = 5, 8
HOLD = """
import sys
from pathlib import Path
from shards.held import Held

held = Held(Path(sys.argv[1])).share()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    return tmp_path / "room"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Shards in a local folder."""
    out = tmp_path_factory.mktemp("made") / "words"
    told = [f"count={SHARDS * PER_SHARD}", f"rows_per_shard={PER_SHARD}", "strength=0", "vocabulary=50"]
    shard.main(["source=rendered", *told, f"out={out}", "workers=1"])
    return out


@pytest.fixture
def there(made):
    """The same in fsspec's memory, to be changed."""
    memory = fsspec.filesystem("memory")
    memory.put(str(made), ADDRESS, recursive=True)
    yield memory
    memory.rm(ADDRESS, recursive=True)


@pytest.fixture
def fetched(monkeypatch):
    """The names of the shards that are fetched, or looked at whether they are here already."""
    names = []
    monkeypatch.setattr(
        room_module, "fetch", lambda files: (names.extend(f.path.name for f in files), storage.fetch(files))
    )
    return names


def left(room: Path, name: str, size: int, age: int) -> Path:
    """A file that an earlier run left, so many seconds ago."""
    path = room / "0123456789abcdef" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def batches(shards):
    class Targets:
        def to(self, device):
            return self

    plan = Plan(shards.uids, PER_SHARD, 3, True, shard=shards.shard_of, window=1)
    return Loader(shards, plan, ImageSpec(), lambda _: Targets(), Augment(Settings()), threads=1).batches(0)


def sizes(shards):
    return [info.bytes["tar"] for info in shards.manifests[0].shards]


def test_what_ended_runs_left_counts_and_goes_the_oldest_first(there, room):
    shards = Shards([ADDRESS], "train")
    size = max(sizes(shards))
    shards.room.limit = 4 * size
    old, half, young = (
        left(room, name, size, age)
        for name, age in (("000007.tar", 3), ("9.tar.1.2.part", 2), ("000001.tar", 1))
    )
    raw = left(room, f"{'0' * 16}-raw.tar", 9 * size, 9)  # what ingest copies is not the room's
    shards.image(0)
    assert [path.exists() for path in (old, half, young)] == [True] * 3
    shards.image(PER_SHARD)
    assert [path.exists() for path in (old, half, young)] == [False, True, True]
    for position in range(len(shards)):
        assert shards.image(position)
        assert sum(room_module.kept().values()) <= shards.room.limit
    assert [path.exists() for path in (half, young, raw)] == [False, False, True]


def test_what_an_earlier_run_left_of_this_set_is_used_and_gives_way_last(there, room):
    Shards([ADDRESS], "train").image(0)
    (first,) = room_module.kept()
    shards = Shards([ADDRESS], "train")
    shards.room.limit = sum(sizes(shards)[:2])
    strange, inode = left(room, "000009.tar", 1, 0), first.stat().st_ino
    with shards.room.needed(np.array([1, 0]), np.array([0, 1])):
        shards.image(PER_SHARD)
        shards.image(0)
    assert first.stat().st_ino == inode
    assert not strange.exists()


@pytest.mark.slow
def test_what_a_living_process_uses_stays_until_it_is_killed(there, room):
    shards = Shards([ADDRESS], "train")
    shards.room.limit = max(sizes(shards))
    used = left(room, "000007.tar", shards.room.limit, 9)
    command = [sys.executable, "-c", HOLD, str(used)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        shards.image(0)
        assert used.exists()
        other.kill()
    shards.image(PER_SHARD)
    assert not used.exists()


def test_a_file_that_is_being_fetched_is_no_leftover(there, room):
    shards = Shards([ADDRESS], "train")
    shards.room.limit = max(sizes(shards))
    part = left(room, "000007.tar.1.2.part", shards.room.limit, 9)
    with storage._in_use(part) as file:
        file.write(bytes(shards.room.limit))
        file.flush()
        shards.image(0)
        assert part.exists()
    shards.image(PER_SHARD)
    assert not part.exists()


def test_reading_ahead_goes_on_after_a_shard_that_cannot_be_had(there, room, fetched):
    there.rm_file("/room/words/train/000001.tar")
    shards = Shards([ADDRESS], "train")
    order = np.arange(SHARDS)
    with shards.room.needed(order, order):
        deadline = time.monotonic() + 60
        while len(room_module.kept()) < SHARDS - 1:
            assert time.monotonic() < deadline, fetched
            time.sleep(0.01)
    assert fetched == [f"{number:06d}.tar" for number in range(SHARDS)]


@pytest.mark.parametrize("harm", ["missing", "damaged", "cut"])
def test_a_shard_that_cannot_be_had_is_the_named_damage_of_its_samples(there, fetched, harm):
    place = "/room/words/train/000003.tar"
    data = there.cat_file(place)
    there.rm_file(place)
    if harm != "missing":
        there.pipe_file(place, data[: len(data) // 2] if harm == "cut" else b"?" + data[1:])
    shards = Shards([ADDRESS], "train")
    seen, damage = set(), {}
    for batch in batches(shards):
        seen |= set(batch.uids[batch.valid].tolist())
        damage |= {int(batch.uids[row]): why for row, why in batch.damage.items()}
    lost = set(shards.uids[shards.shard_of == 3].tolist())
    assert (set(damage), seen) == (lost, set(shards.uids.tolist()) - lost)
    why = "no such file" if harm == "missing" else "sha256 differs"
    assert all(f"{ADDRESS}/train/000003.tar: {why}" in said for said in damage.values())
    assert fetched.count("000003.tar") == 1  # and not once for each of its samples
    there.pipe_file(place, data)
    assert not any(batch.damage for batch in batches(shards))  # the next epoch tries again


def test_a_full_disk_is_no_damage_of_the_data(there, monkeypatch):
    shards = Shards([ADDRESS], "train")

    def full(part):
        raise OSError(errno.ENOSPC, "No space left on device", str(part))

    monkeypatch.setattr(storage, "_in_use", full)
    with pytest.raises(BadSettings, match=r"no room for memory://.* data\.room= .*OCR_DISTILLERY_CACHE=DIR"):
        list(batches(shards))
    with pytest.raises(BadSettings):
        shards.image(0)


def test_what_is_lost_is_told_with_its_address(there):
    there.rm_file("/room/words/train/000000.tar")
    shards = Shards([ADDRESS], "train")
    for _ in range(2):
        with pytest.raises(BadData, match=r"memory://room/words/train/000000\.tar: no such file"):
            shards.record(0)
