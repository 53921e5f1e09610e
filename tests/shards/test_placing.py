"""Words on canvases: where they go, what is left out, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.augment import Augment, Settings
from shards.image import ImageSpec
from shards.placing import focus, placed, returned, stands, whole
from shards.sample import Record, Word

SPEC = ImageSpec(64, 96, "rgb", "letterbox")
SIZE = (SPEC.height, SPEC.width)


def scene(*boxes, size=(200, 100), legible=True) -> Record:
    words = [Word("w", ((x, y), (u, y), (u, v), (x, v)), legible) for x, y, u, v in boxes]
    return Record(tuple(words), size, "o")


def test_crops_stand_nowhere_and_are_left_as_they_are():
    crop = Record((Word("word"),), (10, 10), "o")
    assert not stands(crop)
    assert placed(crop, np.eye(3), SIZE) is crop


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_what_is_placed_comes_back(w, h, x, y):
    affine = SPEC.affine(w, h)
    left, top = x * (w - 1), y * (h - 1)
    record = scene((left, top, left + 5, top + 5), size=(w, h))
    there = placed(record, whole(affine[None])[0], (10**6, 10**6))
    back = returned(there.words, affine)
    assert np.allclose(back[0].polygon, record.words[0].polygon, atol=1e-6)


def test_the_centre_of_a_pixel_stays_the_centre_of_a_pixel():
    record = scene((0, 0, 9, 9), size=(96, 64))
    there = placed(record, whole(SPEC.affine(96, 64)[None])[0], SIZE)
    assert there.words[0].polygon == ((0.5, 0.5), (9.5, 0.5), (9.5, 9.5), (0.5, 9.5))


def test_words_outside_are_left_out_and_those_mostly_outside_are_not_judged():
    moved = np.array([[1.0, 0, -20], [0, 1, 0], [0, 0, 1]])
    record = scene((0, 0, 10, 10), (12, 0, 22, 10), (18, 0, 28, 10), (40, 0, 50, 10))
    there = placed(record, moved, SIZE)
    assert [word.legible for word in there.words] == [False, True, True]


def test_places_of_views_are_where_their_pixels_went():
    """A white dot is found where the map says, in every view."""
    import torch

    settings = Settings(chance=1.0, rotation=20, stretch=0.2, perspective=0.1, zoom=0.5, shift=0.1, crop=0.1)
    augment, uids = Augment(settings), np.arange(40, dtype=np.uint64)
    images = torch.zeros(40, 1, *SIZE)
    images[:, :, 30:33, 50:53] = 1
    about = np.tile([[0.1, -0.2]], (40, 1))
    seen, places = augment(images, uids, 3, about), augment.places(uids, 3, SIZE, about)
    met = 0
    for one, place in zip(seen[:, 0].numpy(), places, strict=True):
        x, y, depth = place @ (51.5, 31.5, 1)
        x, y = x / depth, y / depth
        if 3 < x < SIZE[1] - 3 and 3 < y < SIZE[0] - 3:
            rows, columns = np.nonzero(one > 0.5 * one.max())
            assert abs(columns.mean() + 0.5 - x) < 1
            assert abs(rows.mean() + 0.5 - y) < 1
            met += 1
    assert met > 20


def test_untouched_views_move_nothing():
    assert (Augment(Settings(rotation=9)).places(np.arange(5), 0, SIZE) == np.eye(3)).all()


def test_a_scene_is_enlarged_about_one_of_its_legible_words():
    words = scene((0, 0, 9, 9), (80, 40, 89, 49))
    hidden = scene((0, 0, 9, 9), legible=False)
    found = focus([words] * 50 + [hidden], np.arange(51), np.full(51, 1), SIZE)
    centres = {(round(x, 3), round(y, 3)) for x, y in found[:50]}
    assert centres == {(-0.906, -0.859), (0.76, 0.391)}
    assert found[50].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_an_enlargement_stays_inside_the_canvas(scale):
    augment = Augment(Settings(chance=1.0, zoom=1.0))
    about = np.array([[scale, scale]]).clip(-1, 1).repeat(30, 0)
    places = augment.places(np.arange(30, dtype=np.uint64), 1, SIZE, about)
    corners = np.array([[0, 0, 1], [SIZE[1], SIZE[0], 1]]).T
    for place in places:
        x, _, depth = place @ corners
        grown = (x[1] - x[0]) / depth[0] > SIZE[1]
        if grown:  # what is seen lies within what was there
            assert x[0] <= 1e-6
            assert x[1] >= SIZE[1] - 1e-6
