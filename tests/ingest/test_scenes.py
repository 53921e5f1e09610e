"""Drawn scenes: words of their split, each in a tight quad of its own, legible or said not to be."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ingest import lexicon, scenes
from ingest.canvas import Canvas
from ingest.lettering import block, tilted
from ingest.sources import Reject
from ingest.sources.rendered import Settings, Source
from shards import geometry
from shards.errors import BadSettings

SMALL = {"level": "scenes", "count": 12, "vocabulary": 300, "scene_width": 160, "scene_height": 120}
SMALL |= {"max_words": 5, "min_word_height": 0.08}


def drawn(split="train", **changes):
    return Source(Settings(**{**SMALL, **changes}), "", split)


def records(source):
    return [source.read(row).record for row in range(len(source))]


def covered(polygon, size):
    """The pixels whose centres lie in a polygon."""
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon([tuple(point) for point in polygon], fill=1)
    return np.asarray(mask)


def test_the_same_seed_gives_the_same_scenes_in_any_order_and_another_seed_others():
    one, two, other = drawn(), drawn(), drawn(seed=1)
    rows = range(6)
    assert [one.read(row) for row in rows] == [two.read(row) for row in reversed(rows)][::-1]
    assert one.options == two.options != other.options
    assert not {one.read(row).image for row in rows} & {other.read(row).image for row in rows}


def test_words_of_crops_keep_their_identity_and_scenes_have_one_of_their_own():
    crops = Source(Settings(vocabulary=300), "", "train").options
    assert set(crops) == {
        "renderer", "lexicon", "fonts", "backgrounds", "count", "case", "strength", "seed",
    }  # fmt: skip
    told = drawn().options
    assert told["level"] == "scenes"
    assert all(
        told != drawn(**{key: value}).options for key, value in {"wordless": 0.5, "max_words": 4}.items()
    )


def test_no_word_stands_in_the_scenes_of_two_splits():
    seen = {}
    for split in lexicon.SPLITS:
        source = drawn(split)
        texts = {word.text.casefold() for record in records(source) for word in record.words}
        assert texts
        assert texts <= {word.casefold() for word in source.words}
        seen[split] = texts
    assert not any(one & two for one, two in itertools.combinations(seen.values(), 2))


def test_scenes_are_pictures_of_their_own_group_with_clockwise_quads_on_them():
    source = drawn(wordless=0.0)
    for row in range(len(source)):
        sample = source.read(row)
        record = sample.record
        with Image.open(io.BytesIO(sample.image)) as image:
            assert (image.format, image.size) == ("JPEG", (160, 120)) == ("JPEG", record.size)
        assert record.meta.group == record.origin == f"train/{row}"
        assert len(record.words) <= 5
        for word in record.words:
            assert geometry.convex(word.polygon)
            left, top, right, bottom = geometry.box(word.polygon)
            assert left >= 0
            assert top >= 0
            assert right <= 159
            assert bottom <= 119


def test_words_do_not_lie_on_one_another():
    shared = total = 0
    for record in records(drawn(wordless=0.0, min_words=3)):
        masks = [covered(word.polygon, record.size) for word in record.words]
        shared += sum((one & two).sum() for one, two in itertools.combinations(masks, 2))
        total += sum(mask.sum() for mask in masks)
    assert total > 1000
    assert shared == 0


def test_pictures_without_words_come_as_often_as_asked():
    assert not any(record.words for record in records(drawn(wordless=1.0)))
    assert all(record.words for record in records(drawn(wordless=0.0, strength=0.0)))


def test_lines_are_as_tall_as_asked_and_small_ones_are_not_legible():
    asked = {"wordless": 0.0, "strength": 0.0, "scene_height": 200, "scene_width": 300, "max_length": 4}
    sides = []
    for record in records(drawn(**asked, min_word_height=0.1, max_word_height=0.2)):
        sides += [geometry.sides(word.polygon)[1] + 1 for word in record.words]
    assert 20 < np.median(sides) < 42
    assert max(sides) < 44
    words = [
        word
        for record in records(drawn(min_word_height=0.02, max_word_height=0.025))
        for word in record.words
    ]
    assert words
    assert not any(word.legible for word in words)


def test_words_that_no_room_is_left_for_are_a_reject():
    source = drawn(wordless=0.0, min_words=5, min_word_height=0.7, max_word_height=0.8, strength=0.0)
    with pytest.raises(Reject, match="no_room"):
        source.read(0)


@pytest.mark.parametrize("text", ["Apply", "jogs", "man", "TILE"])
@pytest.mark.parametrize("strength", [0.0, 0.7, 1.5])
def test_a_quad_is_tight_around_the_ink_of_its_word(text, strength):
    """Every inked pixel lies in the quad, and inked pixels touch each of its sides, within about a pixel."""
    rng = np.random.default_rng(len(text))
    for face in drawn().faces[::3]:
        canvas = Canvas(np.full((300, 400, 3), 200.0, np.float32))
        made = block([[text]], [float(rng.uniform(12, 60))], face.path, 280, rng)
        quad = np.add(tilted(made.ink.size, (400, 300), rng, strength), (200, 150))
        scenes._lay(made, quad, canvas, strength, rng)
        down, across = np.nonzero(scenes._warped(made, quad, (300, 400)) > 0.33)
        corners = np.array(canvas.words[0].polygon)
        for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            side = (other - one) / np.hypot(*(other - one))
            inward = side[0] * (down - one[1]) - side[1] * (across - one[0])  # pixels from this side
            assert -1.2 < inward.min() < 1.2, (face.name, inward.min())


def test_what_stands_before_more_than_half_of_a_word_takes_its_legibility():
    canvas = Canvas(np.full((60, 100, 3), 200.0, np.float32))
    face = drawn().faces[0]
    made = block([["Hello"]], [20], face.path, 90, np.random.default_rng(0))
    width, height = made.ink.size
    quad = np.array([(4, 5), (width + 4, 5), (width + 4, height + 5), (4, height + 5)], float)
    scenes._lay(made, quad, canvas, 0.0, np.random.default_rng(0))
    grey = canvas.pixels.mean(axis=2).astype(np.uint8)
    assert [word.legible for word in canvas.told(grey)] == [True]
    left, _, right, _ = geometry.box(canvas.words[0].polygon)
    for share, legible in ((0.3, [True]), (0.7, [False]), (1.1, [])):
        canvas.hidden[:] = 0
        canvas.hidden[:, : int(left + share * (right - left))] = 1
        assert [word.legible for word in canvas.told(grey)] == legible
    canvas.hidden[:] = 0
    faint = (grey // 40 + 90).astype(np.uint8)  # the same picture with a fortieth of its contrast
    noise = np.random.default_rng(1).integers(0, 255, grey.shape, np.uint8)
    for other in (faint, noise, np.full_like(grey, 90)):
        assert [word.legible for word in canvas.told(other)] == [False]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"level": "lines"}, "words, scenes"),
        ({"level": "words"}, "scene_width=160 is for level=scenes"),
        ({"scene_width": 8}, "scene_width"),
        ({"min_words": 6}, "max_words"),
        ({"min_words": 0}, "min_words"),
        ({"wordless": 1.5}, "wordless"),
        ({"min_word_height": 0.5}, "min_word_height"),
    ],
)
def test_settings_of_scenes_that_cannot_be_are_named(changes, says):
    with pytest.raises(BadSettings, match=says):
        drawn(**changes)
