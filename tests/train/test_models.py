"""What every model keeps: a new file in train/models is tested the moment it exists.

A model whose default size is too large for a test gets a row in SMALL.
"""

import pytest
import torch

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find, members
from train.ctc import ctc_loss
from train.decode import greedy
from train.models import crnn

SMALL = {"crnn": {"channels": [8, 16, 24, 24, 32, 32, 32], "map_to_seq": 32, "rnn_hidden": 48}}
CLASSES = 11
MODELS = members("train.models")


def build(name, image=None, classes=CLASSES):
    module = find("train.models", name)
    if not getattr(module.Model, "trains", True):
        pytest.skip(f"{name} answers only, from a file: tests/train/test_{name}.py")
    torch.manual_seed(0)
    return module.Model(module.Settings(**SMALL.get(name, {})), image or ImageSpec(), classes)


def size(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("image", [ImageSpec(), ImageSpec(width=64, channels="rgb")], ids=["grey", "rgb"])
def test_logits_and_every_feature_have_their_shapes(name, image):
    model = build(name, image).eval()
    with torch.inference_mode():
        output = model(torch.randn(3, image.depth, image.height, image.width))
    assert output.logits.shape == (3, model.frames, CLASSES)
    assert output.features
    for feature in output.features.values():
        assert len(feature) == 3
        assert feature.isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_finite_gradient(name):
    model = build(name)
    logits = model(torch.randn(4, 1, 32, 100)).logits
    ctc_loss(logits, torch.tensor([1, 2, 3, 3, 4]), torch.tensor([2, 0, 2, 1])).sum().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_eight_samples_by_heart(name):
    model = build(name)
    images = torch.randn(8, 1, 32, 100, generator=torch.Generator().manual_seed(1))
    labels = [(i + 1, 10 - i, i + 1) for i in range(8)]
    symbols, lengths = torch.tensor(labels).flatten(), torch.full((8,), 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    loss, steps = torch.tensor(torch.inf), 0
    while loss > 0.02 and (steps := steps + 1) < 300:
        loss = ctc_loss(model(images).logits, symbols, lengths).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert [reading.symbols for reading in greedy(model(images).logits)] == labels


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_depends_neither_on_the_batch_nor_on_the_memory_format(name):
    model, images = build(name).eval(), torch.randn(5, 1, 32, 100)
    with torch.inference_mode():
        together = model(images).logits
        alone = torch.cat([model(images[i : i + 1]).logits for i in range(5)])
        last = images.to(memory_format=torch.channels_last)
        there = model.to(memory_format=torch.channels_last)(last).logits
    assert torch.allclose(alone, together, atol=1e-4)
    assert torch.allclose(there, together, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_remembers_its_settings_and_image_spec(name):
    model = build(name)
    again = type(model)(model.settings, model.image, CLASSES)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (again, model)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        (crnn.Settings(), 7_839_077),
        (crnn.Settings([16, 32, 64, 64, 128, 128, 128], 32, 128), 922_629),
    ],
    ids=["large", "small"],
)
def test_crnn_has_the_published_sizes(settings, parameters):
    model = crnn.Model(settings, ImageSpec(), 37)
    assert size(model) == parameters
    assert model.frames == 24


def test_crnn_names_its_features_and_runs_at_other_widths():
    model = build("crnn", ImageSpec(height=48)).eval()
    with torch.inference_mode():
        output = model(torch.randn(2, 1, 48, 160))
    shapes = {name: tuple(feature.shape[1:]) for name, feature in output.features.items()}
    assert shapes == {
        "stem": (16, 12, 40),
        "conv3": (24, 6, 40),
        "conv5": (32, 3, 40),
        "conv6": (32, 2, 39),
        "sequence": (39, 32),
        "rnn1": (39, 96),
        "rnn2": (39, 96),
    }


def test_crnn_leaks_only_when_told():
    plain = build("crnn")
    leaky = crnn.Model(crnn.Settings(**SMALL["crnn"], leaky_relu=True), ImageSpec(), CLASSES)
    leaky.load_state_dict(plain.state_dict())
    images = torch.randn(2, 1, 32, 100)
    assert (plain.eval()(images).features["stem"] >= 0).all()
    assert (leaky.eval()(images).features["stem"] < 0).any()


@pytest.mark.parametrize(
    ("height", "width", "field"), [(24, 100, "height"), (40, 100, "height"), (32, 102, "width")]
)
def test_crnn_refuses_canvases_it_would_cut(height, width, field):
    with pytest.raises(BadSettings, match=f"image.{field}"):
        build("crnn", ImageSpec(height=height, width=width))


@pytest.mark.parametrize(
    "changed", [{"channels": [8, 8]}, {"channels": [0] * 7}, {"map_to_seq": 0}, {"rnn_hidden": 0}]
)
def test_crnn_refuses_impossible_sizes(changed):
    with pytest.raises(BadSettings, match=f"model.{next(iter(changed))}"):
        crnn.Settings(**changed)
