"""What the CRNN alone keeps; see test_models.py."""

import pytest
import torch

from shards.errors import BadSettings
from shards.image import ImageSpec
from tests.train.test_models import CLASSES, SMALL, build
from train.models import crnn


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
    "changed",
    [{"channels": [8, 8]}, {"channels": [0] * 7}, {"norms": [7]}, {"map_to_seq": -1}, {"rnn_hidden": 0}],
)
def test_crnn_refuses_impossible_sizes(changed):
    with pytest.raises(BadSettings, match=f"model.{next(iter(changed))}"):
        crnn.Settings(**changed)
