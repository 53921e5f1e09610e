"""Weights of float16: stored so, computed wide, and those that stay wide do."""

import numpy as np
import onnx
import pytest

from tests.train.test_quantised import Case
from train import halved
from train.formats import Graph
from train.formats import onnx as form


@pytest.fixture(scope="module")
def crnn():
    return Case("crnn")


def stored(made):
    return {one.name: onnx.numpy_helper.to_array(one) for one in made.graph.initializer}


def test_half_the_bytes_and_every_layer_narrow(crnn):
    made = crnn.halver.narrow(crnn.made)
    assert len(made.SerializeToString()) < 0.75 * len(crnn.made.SerializeToString())
    narrow = {name.removesuffix("_fp16") for name, one in stored(made).items() if one.dtype == np.float16}
    assert narrow == set(crnn.halver.layers)


def test_a_layer_that_stays_wide_keeps_its_values_and_all_wide_is_the_model_itself(crnn):
    one = crnn.halver.layers[2]
    kept = stored(crnn.halver.precision([one]).own(crnn.made))
    assert np.array_equal(kept[one], stored(crnn.made)[one])
    assert f"{crnn.halver.layers[3]}_fp16" in kept
    whole = crnn.halver.narrow(crnn.made, crnn.halver.layers)
    assert np.array_equal(crnn.logits(whole), crnn.logits(crnn.made))


def test_more_and_more_layers_stay_wide_those_first_that_change_most(crnn):
    order = crnn.halver.by_effect()
    tried = [one.wide for one in crnn.halver.precisions()]
    assert tried[0] == ()
    assert tried[1:4] == [tuple(order[:1]), tuple(order[:2]), tuple(order[:4])]
    alone = [crnn.far(crnn.halver.narrow(crnn.made, set(order) - {name})) for name in order]
    assert alone == sorted(alone, reverse=True)
    assert alone[0] > 0


def test_what_float16_cannot_hold_becomes_its_largest(crnn):
    big = form.traced(Graph(crnn.model), crnn.example)
    weight = next(one for one in big.graph.initializer if len(one.dims) == 4)
    weight.CopyFrom(onnx.numpy_helper.from_array(np.full(weight.dims, 1e6, np.float32), weight.name))
    narrow = stored(crnn.halver.narrow(big))[f"{weight.name}_fp16"]
    assert (narrow == np.float16(halved.HIGHEST)).all()
