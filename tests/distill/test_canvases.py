"""What a student sees against what the teacher saw: one engine to the bit, others within a tolerance."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from distill import canvases, fingerprint
from distill.cache import Cache
from shards.augment import Augment
from shards.errors import BadData
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from train.tasks import recognise

OTHER = "other/cpu/library 9, augmented on cpu"


def make_loader(words, card, engine="plain", split="train"):
    task, shards = recognise.Task(recognise.Settings(), ImageSpec()), Shards([words], split)
    plan, augment = Plan(shards.uids, 32), Augment(card.augment)
    return Loader(shards, plan, card.image, task.encode, augment, card.views, engine)


def noisier(words, card):
    loader = make_loader(words, card)
    loader.augment = Augment(replace(card.augment, noise=card.augment.noise + 0.05))
    return loader


def test_equal_pixels_pass_and_one_other_pixel_is_refused(words, cache):
    card = Cache(cache).card
    canvases.check(cache, card, [make_loader(words, card), make_loader(words, card, split="val")], 0.0)
    assert len(card.canvases) == 2 * canvases.SAMPLES
    for tolerance in (0.0, 99.0):  # of the same engine none is accepted
        with pytest.raises(BadData, match=r"canvases.[0-9a-f]{16} is \['\w+', '\w+'\] in the cache, \["):
            canvases.check(cache, card, [noisier(words, card)], tolerance)


def test_canvases_are_those_of_any_batch(words, cache):
    card = Cache(cache).card
    loader = make_loader(words, card)
    positions = canvases.sample(loader.shards)
    assert len(positions) == len(set(positions.tolist())) == canvases.SAMPLES
    alone = canvases.hashes(canvases.seen(loader, positions[3:4], 2))
    assert len(alone) == 1
    assert alone.items() <= card.canvases.items()


def test_another_engine_or_version_with_equal_pixels_is_welcome(words, cache):
    card = replace(Cache(cache).card, engine=OTHER)
    canvases.check(cache, card, [make_loader(words, card)], 0.0)


def test_another_engine_with_other_pixels_needs_the_tolerance_that_the_refusal_names(words, cache):
    card = replace(Cache(cache).card, engine=OTHER)
    with pytest.raises(BadData) as refused:
        canvases.check(cache, card, [noisier(words, card)], 0.0)
    told = str(refused.value)
    assert f"engine is {OTHER} in the cache, plain/" in told
    assert re.search(r"differ by up to [\d.]+ grey levels on average \(sample [0-9a-f]{16}, view 1\)", told)
    named = float(re.search(r"cache.tolerance=([\d.]+)", told)[1])
    assert 0 < named < 30
    canvases.check(cache, card, [noisier(words, card)], named)
    with pytest.raises(BadData, match=r"cache.tolerance="):
        canvases.check(cache, card, [noisier(words, card)], named / 2)


def test_what_one_engine_recorded_another_reads_within_its_tolerance(words, cache):
    pytest.importorskip("nvidia.dali")
    card = Cache(cache).card
    loader = make_loader(words, card, "dali")
    assert fingerprint.engine_of(loader) != card.engine
    try:
        canvases.check(cache, card, [loader], 0.0)
    except BadData as refused:
        named = float(re.search(r"cache.tolerance=([\d.]+)", str(refused))[1])
        assert named < 10
        canvases.check(cache, card, [loader], named)


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_pictures_that_are_not_the_cards_are_named(words, cache, tmp_path, harm):
    place = shutil.copytree(cache, tmp_path / "c")
    path, card = place / canvases.NAME, replace(Cache(cache).card, engine=OTHER)
    whole = path.read_bytes()
    path.unlink() if harm == "missing" else path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadData, match=r"canvases.safetensors: missing or damaged"):
        canvases.check(place, card, [noisier(words, card)], 99.0)


def test_what_either_side_could_not_read_is_not_compared_and_hides_nothing(words, cache, tmp_path):
    opened = Cache(cache).card
    first, *_, last = [uid for uid in opened.canvases if int(uid, 16) in Shards([words], "train").uids]
    loader = make_loader(words, opened)
    seen = canvases.seen(loader, canvases.sample(loader.shards), 2)
    seen[first] = [None, None]
    pictures = canvases.pictures(seen)
    (tmp_path / canvases.NAME).write_bytes(pictures)
    kept = safetensors.torch.load(pictures)
    assert kept[first].isnan().all()
    assert kept[last].shape == (2, 1, 32, 100)
    card = replace(opened, engine=OTHER, canvases=canvases.hashes(seen), pictures=_sha256(pictures))
    assert card.canvases[first] == [canvases.DAMAGED] * 2
    canvases.check(tmp_path, card, [loader], 0.0)
    with pytest.raises(BadData, match=r"differ by up to [\d.]+ grey levels"):
        canvases.check(tmp_path, card, [noisier(words, card)], 0.0)


def test_pictures_hold_what_was_seen_to_a_tenth_of_a_grey_level(words, cache):
    card = Cache(cache).card
    loader = make_loader(words, card)
    seen = canvases.seen(loader, np.array([0, 50]), 2)
    kept = safetensors.torch.load((cache / canvases.NAME).read_bytes())
    for uid, images in seen.items():
        if uid in kept:
            assert (kept[uid].float() - torch.stack(images)).abs().max() * 255 * card.image.std < 0.1


def _sha256(content):
    import hashlib

    return hashlib.sha256(content).hexdigest()
