"""Replay: a view is a function of (uid, view), whatever batch, engine or day it stands in."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards import augment
from shards.augment import Augment, Settings
from shards.dct import jpeg
from shards.errors import BadSettings
from shards.warp import homography

STRONG = Settings(
    chance=0.6,
    rotation=8,
    perspective=0.2,
    stretch=0.15,
    crop=0.15,
    zoom=0.3,
    shift=0.1,
    colour=0.7,
    shadow=0.6,
    blur=1.5,
    noise=0.08,
    jpeg=0.9,
)
UIDS = np.arange(70, dtype=np.uint64) + np.uint64(5 << 40)
OPERATIONS = [name for name in vars(STRONG) if name not in ("chance", "outside", "mosaic")]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    g = np.random.default_rng(0)
    small = [Image.fromarray(g.integers(0, 255, (8, 25), np.uint8)).resize((100, 32)) for _ in UIDS]
    return torch.from_numpy(np.stack([np.asarray(p) for p in small]))[:, None].float() / 255


@pytest.mark.parametrize("size", [1, 7, 64])
def test_pixels_do_not_depend_on_the_batch(images, size):
    whole = Augment(STRONG)(images, UIDS, 3)
    parts = [Augment(STRONG)(images[i : i + size], UIDS[i : i + size], 3) for i in range(0, len(UIDS), size)]
    assert torch.equal(torch.cat(parts), whole)


def test_samples_of_one_batch_may_stand_in_different_views(images):
    views = np.arange(len(UIDS)) % 4
    mixed = Augment(STRONG)(images, UIDS, views)
    for view in range(4):
        rows = np.flatnonzero(views == view)
        assert torch.equal(mixed[rows], Augment(STRONG)(images, UIDS, view)[rows])


def test_pixels_do_not_depend_on_the_number_of_threads(images):
    before = torch.get_num_threads()
    one = Augment(STRONG)(images, UIDS, 2)
    torch.set_num_threads(2)
    two = Augment(STRONG)(images, UIDS, 2)
    torch.set_num_threads(before)
    assert torch.equal(one, two)


def test_view_zero_is_untouched_and_other_views_differ(images):
    one, two = Augment(STRONG)(images, UIDS, 1), Augment(STRONG)(images, UIDS, 2)
    assert torch.equal(Augment(STRONG)(images, UIDS, 0), images)
    assert not torch.equal(one, images)
    assert not torch.equal(one, two)


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=9, unique=True), st.integers(1, 1000))
def test_parameters_are_a_function_of_uid_and_view(uids, view):
    uids = np.array(uids, np.uint64)
    whole = Augment(STRONG).parameters(uids, view)
    alone = [Augment(STRONG).parameters(uids[i : i + 1], view) for i in range(len(uids))]
    for name, draws in whole.items():
        assert np.array_equal(draws, np.concatenate([a[name] for a in alone]))


def test_parameters_are_bit_equal_on_every_machine():
    draws = Augment(STRONG).parameters(np.array([5 << 40], np.uint64), 1)
    assert {name: draws[name][0, 0].hex() for name in ("rotation", "jpeg")} == GOLDEN


GOLDEN = {"rotation": "0x1.70da76a8286c7p-1", "jpeg": "0x1.3338841d3cff2p-1"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_does_something_alone_and_stays_in_range(images, name):
    alone = Settings(chance=1.0, **{name: getattr(STRONG, name)})
    out = Augment(alone)(images, UIDS, 1)
    assert alone.active
    assert not torch.equal(out, images)
    assert out.shape == images.shape
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_chance_zero_or_no_strength_is_no_augmentation(images):
    assert Settings(chance=0.0, mosaic=0.5).active
    for off in (Settings(), Settings(chance=0.0, blur=1.0)):
        assert not off.active
        assert torch.equal(Augment(off)(images, UIDS, 4), images)


def test_about_the_chosen_share_of_samples_is_altered(images):
    out = Augment(Settings(chance=0.5, blur=1.5))(images, UIDS, 9)
    assert 20 < sum(not torch.equal(a, b) for a, b in zip(out, images, strict=True)) < 50


@settings(max_examples=50)
@given(st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8))
def test_a_homography_takes_the_corners_where_it_says(moves):
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    corners = square + np.array(moves).reshape(4, 2)
    mapped = np.concatenate([square, np.ones((4, 1))], 1) @ homography(corners[None])[0].T
    assert np.allclose(mapped[:, :2] / mapped[:, 2:], corners, atol=1e-9)


@pytest.mark.parametrize("quality", [10, 40, 75, 95])
def test_jpeg_artefacts_are_those_of_libjpeg(images, quality):
    pixels = (images[0, 0].numpy() * 255).round().astype(np.uint8)[:, :96]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    real = np.asarray(Image.open(file)).astype(float)
    ours = jpeg(torch.from_numpy(pixels)[None, None].float() / 255, np.array([float(quality)]))
    assert np.abs(ours[0, 0].numpy() * 255 - real).mean() < 0.6


def test_noise_has_the_deviation_it_was_given():
    grey = torch.full((4, 1, 64, 64), 0.5)
    out = augment._noise(grey, UIDS[:4], 1, np.full(4, 0.05))
    assert abs(float(out.std()) - 0.05) < 0.002
    assert abs(float(out.mean()) - 0.5) < 0.002
    assert not torch.equal(out[0], out[1])


def test_colour_images_are_augmented_too(images):
    out = Augment(STRONG)(images.expand(-1, 3, -1, -1), UIDS, 1)
    assert out.shape == (len(UIDS), 3, 32, 100)


@pytest.mark.parametrize(
    "bad", [{"chance": 1.1}, {"jpeg": 2.0}, {"shadow": -0.1}, {"colour": 3.0}, {"noise": -1.0},
            {"rotation": float("nan")}, {"blur": float("inf")}]
)  # fmt: skip
def test_strengths_out_of_range_are_refused_with_their_key(bad):
    with pytest.raises(BadSettings, match=f"augment.{next(iter(bad))}"):
        Settings(**bad)
