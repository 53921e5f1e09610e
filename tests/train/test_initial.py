"""How layers begin, and how often a canvas is halved."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv1d

from shards.errors import BadSettings
from train.blocks.convolution import halved, halvings
from train.blocks.heads import HEADS
from train.blocks.initial import initialise


@given(size=st.integers(8, 400), count=st.integers(1, 4), power=st.integers(0, 4))
@settings(max_examples=50, deadline=None)
def test_halvings_leave_as_many_columns_as_they_say(size, count, power):
    if power > count:
        with pytest.raises(BadSettings, match=r"model\.column"):
            halvings(count, 2**power)
        return
    left = size
    for _, step in halvings(count, 2**power):
        left = conv1d(torch.zeros(1, 1, left), torch.ones(1, 1, 3), stride=step, padding=1).shape[2]
    assert left == halved(size, 2**power)


def test_recurrences_begin_orthogonal_with_open_forget_gates_where_there_are_any():
    for name, gates in (("lstm", 4), ("gru", 3)):
        layer = HEADS[name](5, 6, "joined")[0]["rnn1"]
        initialise(layer)
        for gate in layer.weight_hh_l0.data.chunk(gates):
            assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)
        assert layer.bias_ih_l0.sum() == (6 if name == "lstm" else 0)
