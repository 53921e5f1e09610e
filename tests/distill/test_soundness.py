"""Whatever is damaged in a cache is named: by opening it, by verify, or by both."""

import json
import shutil

import pytest

from distill import cache as caches
from distill import fingerprint, soundness
from distill.cache import Cache
from shards.errors import BadData, BadSettings


@pytest.fixture
def place(rich, tmp_path):
    return shutil.copytree(rich, tmp_path / "c")


def harm(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def faults(place):
    return soundness.faults(place, fingerprint.load(place / fingerprint.NAME))[0]


def test_a_whole_cache_has_no_fault(rich):
    assert faults(rich) == []


@pytest.mark.parametrize("how", ["missing", "cut", "flipped"])
@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("card.json", False),
        ("bases.safetensors", False),
        ("canvases.safetensors", True),  # looked at where canvases are
        ("done/*val*/view0/000000.json", False),
        ("*train*/view1/nbest.symbols/c/1/0/0", False),
        ("*train*/view0/records/zarr.json", True),  # the maps do not need it
        ("*train*/zarr.json", True),
    ],
)
def test_any_damaged_file_is_named(place, name, opens, how):
    (path,) = place.glob(name)
    harm(path, how)
    if path.name == fingerprint.NAME:
        with pytest.raises(BadData, match=r"card.json: "):
            caches.main(["verify", str(place)])
    else:
        (fault,) = faults(place)
        assert fault.startswith(f"{path}: "), fault
    if not opens and not (path.suffix == "" and how == "flipped"):  # a chunk's bits at the first touch
        with pytest.raises(BadData, match=path.name.replace(".", r"\.")):
            Cache(place)


def test_any_changed_byte_of_a_done_mark_is_told(place):
    (mark,) = place.glob("done/*train*/view1/000001.json")
    whole = mark.read_bytes()
    for at in range(1, len(whole) - 2, len(whole) // 50):
        mark.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if whole[at : at + 1] in b" \n":
            continue
        with pytest.raises(BadData, match=r"view1/000001.json: "):
            Cache(place)


def test_a_bad_cache_does_not_hide_the_next_one(place, cache, capsys):
    harm(place / "card.json", "cut")
    with pytest.raises(BadData, match=r"card.json: "):
        caches.main(["verify", str(place), str(cache), "json=true"])
    assert "2544" in capsys.readouterr().out  # bytes per view of the whole one


def test_verify_says_what_a_cache_holds(cache, capsys):
    caches.main(["verify", str(cache), "json=true"])
    held = json.loads(capsys.readouterr().out.splitlines()[-1])["caches"][str(cache)]
    assert (held["rows"], held["views"], held["bytes_per_view"]) == (128, 2, 2544)
    assert held["kl"] == Cache(cache).lost["frames"].kl


@pytest.mark.parametrize("argv", [[], ["check", "x"], ["verify"]])
def test_verify_and_copy_are_all_that_the_command_knows(argv):
    with pytest.raises(BadSettings, match=r"verify"):
        caches.main(argv)
