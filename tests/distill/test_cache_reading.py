"""A cache as it is read: values, maps, and what was not recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from distill import cache as caches
from distill.cache import Cache
from distill.layout import bytes_per_view
from shards.read import Shards


@pytest.mark.parametrize("which", ["cache", "rich"])
def test_any_zarr_reader_reads_the_values_that_the_maps_give(which, words, request):
    place = request.getfixturevalue(which)
    shards, opened = Shards([words], "train"), Cache(place)
    group, seen = zarr.open_group(next(place.glob("*train*")), mode="r"), 0
    rows = (shards.uids & np.uint64((1 << 40) - 1)).astype(int)
    shuffled = np.random.default_rng(0).permutation(len(rows))
    uids, views = shards.uids.astype(np.int64)[shuffled], shuffled % 2
    for kind in opened.kinds:
        for name, mine in opened.packed(kind, uids, views).items():
            arrays = [group[f"view{view}/{name}"] for view in range(2)]
            assert (arrays[0].metadata.zarr_format, arrays[0].chunks[0]) == (3, 40)
            theirs = np.stack([array[:][rows] for array in arrays])
            assert (mine.dtype, mine.shape) == (theirs.dtype, theirs[0].shape)
            assert np.array_equal(mine, theirs[views, shuffled], equal_nan=mine.dtype.kind == "f")
            seen += 1
    assert seen == {"cache": 2, "rich": 9}[which]


def test_the_card_and_marks_say_what_was_kept(cache):
    opened = Cache(cache)
    assert (opened.card.views, opened.card.frames, opened.card.classes) == (2, 24, 37)
    assert {n: (tap.shape, tap.kind) for n, tap in opened.card.taps.items()} == {"rnn2": ([24, 16], "fp16")}
    assert bytes_per_view(opened.card) == 2 * 24 * 37 + 2 * 24 * 16
    assert opened.answers == 2 * 96 + 32
    assert 0 <= opened.lost["frames"].kl < 1e-4
    mark = json.loads(next(cache.glob("done/*train*/view1/000001.json")).read_text())
    assert mark["chunks"]["1"]["frames"]["steps"] == 40 * 24


def test_no_sample_is_no_answer(cache):
    assert Cache(cache).rows(np.array([], np.int64), np.array([], np.int64)).shape == (0, 24, 37)


def test_a_mapped_chunk_holds_no_file_open(cache, words):
    uids, opened, held = Shards([words], "train").uids.astype(np.int64), Cache(cache), Path("/proc/self/fd")
    before = len(list(held.iterdir()))
    opened.rows(uids, uids % 2)
    assert len(opened._mapped) == 6
    assert len(list(held.iterdir())) == before


def test_more_chunks_than_may_be_mapped_are_mapped_in_turn(cache, words, monkeypatch):
    uids, whole = Shards([words], "train").uids.astype(np.int64), Cache(cache)
    monkeypatch.setattr(caches, "MAPS", 2)
    opened = Cache(cache)
    for _ in range(2):
        assert torch.equal(opened.rows(uids, uids % 2), whole.rows(uids, uids % 2))
    assert len(opened._mapped) == 2
