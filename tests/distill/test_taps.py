import numpy as np
import pytest
import torch

from distill.lesson import Lesson
from distill.taps import Feature, Tap, asked, directions
from shards.errors import BadSettings

SHAPES = [[24, 16], [8, 4, 6]]  # a sequence [L,D]; a map [D,h,w]


def values(shape, n=5, scale=1.0):
    return scale * torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def there_and_back(feature, given, valid=None):
    valid = torch.ones(len(given), dtype=torch.bool) if valid is None else valid
    arrays, lost = feature.encode(Lesson(None, torch.empty(0), {"f": given}), valid)
    assert lost is None
    for array in feature.arrays:
        assert (arrays[array.name].dtype, arrays[array.name].shape[1:]) == (
            np.dtype(array.dtype),
            array.shape,
        )
    first = feature.arrays[0]
    assert not first.absent(arrays[first.name]).any()
    return feature.decode(arrays)


@pytest.mark.parametrize("shape", SHAPES)
def test_fp16_keeps_three_digits_and_clips_what_it_cannot_hold(shape):
    given = values(shape)
    given[0] = 1e6
    back = there_and_back(Feature("f", Tap(shape)), given)
    assert torch.allclose(back[1:], given[1:], rtol=1e-3, atol=1e-6)
    assert (back[0] == 65504).all()
    assert Feature("f", Tap(shape)).arrays[0].bytes == 2 * np.prod(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_int8_is_within_a_step_of_the_scale_of_its_channel(shape, scale):
    given = values(shape, scale=scale)
    by_channel = torch.arange(1, (shape[0] if len(shape) == 3 else shape[-1]) + 1.0)
    given = given * (by_channel[:, None, None] if len(shape) == 3 else by_channel)
    feature = Feature("f", Tap(shape, "int8"))
    back = there_and_back(feature, given)
    over = (2, 3) if len(shape) == 3 else (1,)
    steps = given.abs().amax(over, keepdim=True) / 127
    assert ((back - given).abs() <= 0.52 * steps * 1.01 + 0.02 * steps).all()
    channels = len(by_channel)
    assert sum(a.bytes for a in feature.arrays) == np.prod(shape) + 2 * channels
    assert (there_and_back(feature, torch.zeros(2, *shape)) == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_pca_of_all_directions_gives_the_feature_back_and_fewer_lose_the_weakest(shape):
    given = values(shape, 40)
    channels = shape[0] if len(shape) == 3 else shape[-1]
    errors = []
    for rank in (1, 2, channels):
        basis = directions(given, rank)
        assert basis.shape == (1 + rank, channels)
        assert basis[1:] @ basis[1:].T == pytest.approx(np.eye(rank), abs=1e-5)
        back = there_and_back(Feature("f", Tap(shape, "pca", rank), basis), given)
        errors.append(float((back - given).square().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5


def test_equal_features_give_equal_directions_whatever_their_signs():
    given = values([24, 16], 10)
    assert (directions(given, 4) == directions(given.clone(), 4)).all()
    mirrored = 2 * given.mean((0, 1)) - given
    assert directions(mirrored, 4)[1:] == pytest.approx(directions(given, 4)[1:], abs=1e-4)


def test_rows_that_are_not_valid_are_left_out():
    given, valid = values([24, 16]), torch.tensor([True, False, True, False, False])
    for tap in (Tap([24, 16]), Tap([24, 16], "int8"), Tap([24, 16], "pca", 16)):
        feature = Feature("f", tap, directions(given, 16))
        assert torch.allclose(there_and_back(feature, given, valid), given[valid], atol=0.02)
        assert there_and_back(feature, given, torch.zeros(5, dtype=torch.bool)).shape == (0, 24, 16)


@pytest.mark.parametrize(
    ("text", "found"),
    [("rnn2", ("rnn2", "fp16", 0)), ("a:fp16", ("a", "fp16", 0)), ("a:int8", ("a", "int8", 0)),
     ("a:pca:32", ("a", "pca", 32))],
)  # fmt: skip
def test_a_tap_is_asked_for_by_name_and_kind(text, found):
    assert asked(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [("a:int4", r"int4.*there are: fp16, int8, pca"), ("a:pca", r"asked for as a:pca:32"),
     ("a:pca:0", r"a:pca:32"), ("a:pca:x", r"a:pca:32"), ("a:int8:4", r"asked for as a:int8"),
     ("a:pca:-1", r"a:pca:32")],
)  # fmt: skip
def test_a_kind_that_cannot_be_is_refused_with_an_example(text, message):
    with pytest.raises(BadSettings, match=message):
        asked(text)


def test_more_directions_than_channels_are_refused():
    with pytest.raises(BadSettings, match=r"pca:17, the feature has 16 channels"):
        directions(values([24, 16]), 17)
