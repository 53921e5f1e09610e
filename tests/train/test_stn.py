"""The spatial transformer by itself: where its map begins, what it samples, how far it goes."""

import pytest
import torch

from shards.errors import BadSettings
from shards.image import ImageSpec
from train.blocks.initial import initialise
from train.blocks.stn import PACE, REACH, Rectifier
from train.models import crnn

IMAGE = ImageSpec(width=64)


def recogniser():
    settings = crnn.Settings(channels=[4, 4, 4, 4, 8, 8, 8], map_to_seq=12, rnn_hidden=6, stn=True)
    torch.manual_seed(0)
    return crnn.Model(settings, IMAGE, 7).eval()


def test_the_transformer_begins_as_the_identity_at_any_width():
    model = recogniser()
    for width in (64, 100):
        images = torch.randn(2, 1, 32, width)
        assert torch.allclose(model(images).features["rectified"], images, atol=1e-4)


def moved(rectifier, affine):
    share = (torch.tensor(affine) - rectifier.identity) / REACH
    with torch.no_grad():
        rectifier.dense2.weight.zero_()
        rectifier.dense2.bias.copy_(share.atanh() * REACH / PACE)
    return rectifier


def test_the_transformer_samples_along_its_map():
    images = torch.randn(1, 1, 32, 64)
    shifted = moved(Rectifier(IMAGE), [1.0, 0.0, 2 * 3 / 64, 0.0, 1.0, 0.0])(images)  # three pixels
    assert torch.allclose(shifted[..., :-3], images[..., 3:], atol=1e-4)
    assert torch.allclose(shifted[..., -3:], images[..., -1:].expand(-1, -1, -1, 3), atol=1e-4)
    low = moved(Rectifier(IMAGE), [1.0, 0.0, 0.0, 0.0, 1.0, 2 * 4 / 32])(images)  # four
    assert torch.allclose(low[:, :, :-4], images[:, :, 4:], atol=1e-4)


def test_the_transformer_never_leaves_the_picture():
    rows = torch.linspace(-1, 1, 32)[:, None].expand(32, 64)
    columns = torch.linspace(-1, 1, 64).expand(32, 64)
    for raw in (-1e6, 1e6):
        rectifier = Rectifier(IMAGE)
        rectifier.rest()
        with torch.no_grad():
            rectifier.dense2.bias.fill_(raw)
        for ramp in (rows, columns):  # it tells where each pixel came from
            seen = rectifier(ramp[None, None])
            assert (seen.abs() < 1).float().mean() > 0.3
            assert seen.std() > 0.2


def test_the_transformer_keeps_its_coordinates_under_autocast():
    model, images = recogniser(), torch.randn(1, 1, 32, 64)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert torch.allclose(model(images).features["rectified"], images, atol=1e-4)


def test_the_transformer_learns_where_to_look():
    torch.manual_seed(0)
    smooth = torch.linspace(-1, 1, 64).expand(1, 1, 32, 64)
    rectifier = Rectifier(IMAGE)
    rectifier.apply(initialise)
    rectifier.rest()
    optimiser = torch.optim.Adam(rectifier.parameters(), lr=1e-2)
    for _ in range(60):
        loss = (rectifier(smooth) - 0.7 * smooth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.001 < (0.3 * smooth).square().mean()


def test_the_map_does_not_feel_how_far_the_layer_before_it_was_moved():
    """Adam moves that layer fast, wide as it is; the map stood at its bounds before anything was read."""
    rectifier, images = recogniser().stn, torch.randn(3, 1, 32, 64)
    with torch.no_grad():
        rectifier.dense2.weight.normal_()
        before = rectifier(images)
        rectifier.dense1.weight *= 100
        rectifier.dense1.bias += 500
        after = rectifier(images)
    assert (before - images).abs().mean() > 0.01
    assert torch.allclose(before, after, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(27, 100), (32, 27)])
def test_a_canvas_too_small_for_the_transformer_is_refused(height, width):
    with pytest.raises(BadSettings, match="stn=true needs at least 28"):
        Rectifier(ImageSpec(height=height, width=width))
    Rectifier(ImageSpec(height=28, width=28))
