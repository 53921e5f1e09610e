"""Narrower numbers: as good as they must be, where they are, and where they are not."""

import numpy as np
import onnx
import pytest
import torch

from tests.train.test_formats import BUCKETS, loaded
from tests.train.test_models import MODELS, build
from train import exported, halved, modelfolder, quantised, writing
from train.formats import INPUTS, OUTPUT, Graph
from train.formats import onnx as form
from train.models.onnx import open_session


class Case:
    """A model, its graph in ONNX, inputs, and what makes int8 of it."""

    def __init__(self, name, *image):
        torch.manual_seed(0)
        self.model = build(name, *image).eval()
        self.example = writing.example(loaded(self.model))
        images = torch.randn(12, *self.example[0].shape[1:])
        self.inputs = [images.numpy(), *(one[:1].repeat(12).numpy() for one in self.example[1:])]
        self.made = form.traced(Graph(self.model), self.example)
        self.halver = halved.Halver(self.made, lambda: iter([self.inputs]))
        self.quantiser = quantised.Quantiser(self.made, lambda: iter([self.inputs]))

    def logits(self, made):
        session = open_session(made.SerializeToString(), 1)
        return session.run([OUTPUT], dict(zip(INPUTS, self.inputs, strict=False)))[0]

    def far(self, made):
        """How far the logits are off, in their own standard deviations."""
        expected = self.logits(self.made)
        return float(np.abs(self.logits(made) - expected).mean() / (expected.std() + 0.01))


@pytest.fixture(scope="module")
def crnn():
    return Case("crnn")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_narrowed(name):
    case = Case(name)
    everything = case.quantiser.precision(())
    for precision in (everything, case.halver.precision(())):
        assert case.far(precision.own(case.made)) < 0.3
        assert case.far(precision.standard(case.made)) < 0.3
    assert case.quantiser.layers


def test_images_of_several_widths_are_narrowed_too():
    case = Case("crnn", BUCKETS)
    assert case.far(case.quantiser.precision(()).own(case.made)) < 0.3


def test_int8_takes_a_quarter_of_the_weights_and_standard_files_keep_their_lstms(crnn):
    own = crnn.quantiser.narrow(crnn.made, (), own=True)
    kinds = [node.op_type for node in own.graph.node]
    assert kinds.count("DynamicQuantizeLSTM") == 2
    assert "LSTM" not in kinds
    matrices = [w for w in own.graph.initializer if len(w.dims) > 1]
    floats = {len(w.dims) for w in matrices if w.data_type == onnx.TensorProto.FLOAT}
    assert [w.name for w in matrices if len(w.dims) == 4 and w.data_type == onnx.TensorProto.FLOAT] == [
        "model.cnn.conv0.weight"
    ]
    assert floats <= {2, 4}  # biases and scales, and the convolution that looks at the image
    standard = crnn.quantiser.narrow(crnn.made, (), own=False)
    assert [node.op_type for node in standard.graph.node].count("LSTM") == 2
    assert not any(node.domain == "com.microsoft" for node in standard.graph.node)


def test_a_layer_that_stays_wide_keeps_its_weights_and_all_wide_is_the_model_itself(crnn):
    quantiser = crnn.quantiser
    assert quantiser.thin == ("/cnn/conv0/Conv",)
    one = next(name for name in quantiser.layers if name.endswith("conv3/Conv"))
    found = quantiser.precision((one,))
    assert found.wide == (*quantiser.thin, one)
    node = next(node for node in found.own(crnn.made).graph.node if node.name == one)
    floats = {w.name for w in found.own(crnn.made).graph.initializer if w.data_type == onnx.TensorProto.FLOAT}
    assert node.input[1] in floats
    np.testing.assert_allclose(
        crnn.logits(quantiser.narrow(crnn.made, quantiser.layers, own=True)),
        crnn.logits(crnn.made),
        atol=1e-5,
    )


def test_pooling_after_the_activation_changes_nothing(crnn):
    names = [node.name for node in crnn.made.graph.node if node.op_type == "Conv"]
    turned = quantised._pool_last(quantised._prepared(crnn.made), names)
    chain = [node.op_type for node in turned.graph.node if node.op_type in ("Conv", "Relu", "MaxPool")]
    assert "MaxPool Relu" not in " ".join(chain)
    assert chain.count("MaxPool") == 4
    np.testing.assert_allclose(crnn.logits(turned), crnn.logits(crnn.made), atol=1e-5)


def test_layers_are_named_by_what_they_alone_change(crnn):
    quantiser = crnn.quantiser
    order = quantiser.by_effect()
    assert sorted(order) == sorted(quantiser.layers)
    alone = [crnn.far(quantiser.narrow(crnn.made, set(order) - {name}, own=True)) for name in order]
    assert alone == sorted(alone, reverse=True)
    assert alone[0] > 0


def test_where_lstms_are_int8_an_answer_depends_on_no_other_image(crnn, tmp_path):
    path = tmp_path / "model.int8.onnx"
    precision = crnn.quantiser.precision(())
    assert precision.alone
    assert not crnn.quantiser.precision(crnn.quantiser.layers).alone
    writing.write(loaded(crnn.model), "onnx", path, precision)
    text, run = exported.opened(path)
    told = modelfolder._config(text.encode(), path)
    assert told["precision"]["alone"]
    model = exported.Model(run, exported.answers_of(told, path), crnn.model.image, True)
    images = torch.from_numpy(crnn.inputs[0]) * torch.linspace(0.1, 3, 12)[:, None, None, None]
    together = model(images).logits
    for i in range(len(images)):
        assert torch.equal(model(images[i : i + 1]).logits[0], together[i])
    several = torch.from_numpy(run([images.numpy()]))
    assert not torch.equal(several, together)  # which the runtime alone would not keep
