"""Files that are cut off or grow unreadable while they are open: a named loss, never the end of a process."""

import json
import shutil
import subprocess
import sys

import pytest

from shards.held import Held
from shards.read import Shards

# Opens a set, reads a sample of each shard, waits until its files were cut, and reads all of it.
READER = """
import json, sys
import numpy as np
from shards.augment import Augment, Settings
from shards.errors import BadData
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards

class Targets:
    def to(self, device):
        return self

shards = Shards([sys.argv[1]], "train")
for position in np.flatnonzero(np.diff(shards.shard_of, prepend=-1)):
    shards.image(int(position))
print("open", flush=True)
sys.stdin.readline()
plan = Plan(shards.uids, 128, seed=3, shuffle=True, shard=shards.shard_of)
loader = Loader(shards, plan, ImageSpec(), lambda records: Targets(), Augment(Settings()), threads=1)
seen, damage = [], {}
for batch in loader.batches(0):
    seen += batch.uids[batch.valid].tolist()
    damage |= {int(batch.uids[row]): why for row, why in batch.damage.items()}
print(json.dumps([seen, damage]), flush=True)
"""


def test_a_file_is_read_at_any_place_and_ends_where_it_was_cut(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    held = Held(tmp_path / "file")
    assert held.read(90, 5) == bytes(range(90, 95))
    with open(tmp_path / "file", "r+b") as file:
        file.truncate(92)
    assert held.read(90, 5) == bytes([90, 91])
    (tmp_path / "file").unlink()
    assert held.read(0, 1) == b"\0"


def test_a_file_is_discarded_by_the_last_who_has_it_in_use(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    one, two = Held(tmp_path / "file").share(), Held(tmp_path / "file").share()
    assert not one.discard()
    assert (tmp_path / "file").exists()
    del two
    assert one.discard()
    assert not (tmp_path / "file").exists()
    assert one.read(0, 1) == b"x"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tar", "columns.npy"])
def test_a_shard_that_is_cut_while_it_is_open_costs_only_its_own_samples(words, tmp_path, suffix):
    """Far enough for whole pages to be gone: reading one of a memory map there is a SIGBUS."""
    shutil.copytree(words, tmp_path / "w")
    shards = Shards([tmp_path / "w"], "train")
    command = [sys.executable, "-c", READER, str(tmp_path / "w")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "open\n"
        with open(tmp_path / "w" / "train" / f"000001.{suffix}", "r+b") as file:
            file.truncate(0 if suffix == "tar" else 200)
        said, _ = reader.communicate("go\n")
    assert reader.returncode == 0
    seen, damage = json.loads(said)
    lost = set(shards.uids[shards.shard_of == 1].tolist())
    assert (set(map(int, damage)), set(seen)) == (lost, set(shards.uids.tolist()) - lost)
    assert all(f"{int(uid):016x}" in why and "000001" in why for uid, why in damage.items())
