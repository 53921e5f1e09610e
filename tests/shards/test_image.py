"""The canvas of a picture: polarity and small words; sizes and places are held in test_engines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shards.errors import BadSettings
from shards.image import ImageSpec


def word(ink: int, paper: int, width: int = 60, height: int = 20, mode: str = "L") -> Image.Image:
    """A few strokes of ink on paper."""
    pixels = np.full((height, width), paper, np.uint8)
    pixels[height // 4 : -height // 4, width // 6 :: width // 6] = ink
    return Image.fromarray(pixels).convert(mode)


@given(st.integers(0, 255), st.integers(0, 255), st.sampled_from(["grey", "rgb", "bgr"]))
def test_ink_and_paper_are_brought_to_one_polarity_whichever_way_they_came(ink, paper, channels):
    if ink == paper:
        return
    asked, kept = ImageSpec(polarity="dark_on_light", channels=channels), ImageSpec(channels=channels)
    canvas, plain = (spec.canvas(word(ink, paper, mode="RGB")) for spec in (asked, kept))
    assert np.array_equal(canvas, plain if ink < paper else 255 - plain)
    light = ImageSpec(polarity="light_on_dark", channels=channels).canvas(word(ink, paper, mode="RGB"))
    assert np.array_equal(light, 255 - canvas)


@pytest.mark.parametrize("channels", ["grey", "rgb", "bgr"])
def test_colours_are_judged_by_their_grey_values(channels):
    """Dark ink on a red plate: no channel alone says so."""
    pixels = np.full((20, 60, 3), (200, 30, 30), np.uint8)
    pixels[5:-5, 10::10] = (10, 5, 5)
    picture, plain = Image.fromarray(pixels), ImageSpec(channels=channels)
    assert np.array_equal(
        ImageSpec(channels=channels, polarity="dark_on_light").canvas(picture), plain.canvas(picture)
    )
    turned = ImageSpec(channels=channels, polarity="light_on_dark").canvas(picture)
    assert np.array_equal(turned, 255 - plain.canvas(picture))


def test_padding_is_never_inverted():
    spec = ImageSpec(polarity="dark_on_light", fit="keep", pad=200)
    canvas = spec.canvas(word(250, 10, width=20))
    assert (canvas[..., 32:] == 200).all()
    assert canvas[0, 0, 0] == 245


def test_small_words_are_enlarged_smoothly_and_large_ones_are_left_alone():
    small, large = word(0, 255, 24, 8), word(0, 255, 120, 40)
    plain, enlarged = ImageSpec(), ImageSpec(min_height=32)
    assert np.array_equal(plain.canvas(large), enlarged.canvas(large))
    wanted = small.resize((96, 32), Image.Resampling.BICUBIC).resize((100, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(enlarged.canvas(small)[0], np.asarray(wanted))
    assert not np.array_equal(plain.canvas(small), enlarged.canvas(small))
    assert np.array_equal(plain.affine(24, 8), enlarged.affine(24, 8))  # places do not change


def test_a_line_of_one_pixel_is_not_blown_up():
    line = Image.fromarray(np.zeros((1, 5000), np.uint8))
    assert ImageSpec(min_height=1000).canvas(line).shape == (1, 32, 100)


@pytest.mark.parametrize("bad", [{"polarity": "dark"}, {"min_height": -1}, {"min_height": 5000}])
def test_settings_that_cannot_be_are_refused(bad):
    with pytest.raises(BadSettings, match=rf"image\.{next(iter(bad))}"):
        ImageSpec(**bad)


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 90)), min_size=1, max_size=20))
def test_spans_are_the_placements_and_each_fits_on_the_narrowest_edge(sizes):
    spec = ImageSpec(width=160, fit="keep", buckets=[32, 64, 160])
    spans = spec.spans(*np.array(sizes, np.uint32).T)
    assert spans.tolist() == [spec.placement(*size)[2] for size in sizes]
    edges = spec.edge(spans)
    for span, edge in zip(spans.tolist(), edges.tolist(), strict=True):
        assert edge == min(e for e in spec.edges if e >= span)


@pytest.mark.parametrize(
    ("fit", "buckets", "named"),
    [
        ("stretch", [50, 100], "only image.fit=keep leaves widths to choose, not stretch"),
        ("keep", [50, 60], r"\[50, 60\], must be rising widths that end in image.width=100"),
        ("keep", [60, 50, 100], "rising"),
        ("keep", [50, 50, 100], "rising"),
        ("keep", [0, 100], "rising"),
    ],
)
def test_impossible_buckets_are_refused(fit, buckets, named):
    with pytest.raises(BadSettings, match=named):
        ImageSpec(fit=fit, buckets=buckets)
