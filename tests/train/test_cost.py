"""What a model is said to cost, against sums made by hand."""

from torch import nn

from shards.image import ImageSpec
from train.cost import cost


class Columns(nn.Module):
    """A double: an LSTM in both directions over the columns of a picture."""

    frames = 100

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(32, 6, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout()

    def forward(self, images):
        return self.drop(self.rnn(images[:, 0].transpose(1, 2))[0])


def test_the_steps_of_a_recurrence_count():
    model = Columns()
    found = cost(model, ImageSpec(height=32, width=100))
    # directions, steps, multiply and add, gates, inputs
    assert found["flops"] == 2 * 100 * 2 * (4 * 6) * (32 + 6)
    assert found["parameters"] == 2 * (4 * 6) * (32 + 6 + 2)
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}
