"""Heads: what stands between a column vector and the classifier: layers of sequences [N,L,D], by name.

lstm and gru: two bidirectional layers (Shi, Bai, Yao 2015; Cho et al. 2014); mixer: two residual blocks that
mix over time, then over channels, with no recurrence; linear: nothing, each column is read on its own.
Steps [N], where given, say how many of L belong to each sample: no layer lets the others speak to them.
Letters: N samples, L time steps, D numbers per step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of one direction, in torch's order
REACH = 7  # time steps that one mixer block looks over, its own in the middle

Layers = tuple[dict[str, nn.Module], int]  # layers by name, and the width D that leaves the last


def inside(steps: Tensor, frames: int) -> Tensor:
    """bool [N,L], L = frames: the first `steps` [N] of each sample."""
    return torch.arange(frames, device=steps.device) < steps[:, None]


class Recurrent(nn.RNNBase, ABC):
    """One bidirectional layer, [N,L,D] to [N,L,2*hidden]."""

    @abstractmethod
    def one_way(self, values: Tensor, weights: list[Tensor]) -> Tensor:
        """The states [N,L,hidden] of one direction."""

    def forward(self, values: Tensor, steps: Tensor | None = None) -> Tensor:
        """The states of both directions, forwards first; with `steps`, 0 beyond them.

        Then the directions run apart, the second over each sample's own steps in reverse: on a CPU a packed
        sequence takes two to five times as long.
        """
        if steps is None:
            return super().forward(values)[0]
        at, own = torch.arange(values.shape[1], device=values.device), inside(steps, values.shape[1])
        turned = torch.where(own, steps[:, None] - 1 - at, at)[..., None]
        forwards = self.one_way(values, self._weights(""))
        backwards = self.one_way(values.gather(1, turned.expand_as(values)), self._weights("_reverse"))
        backwards = backwards.gather(1, turned.expand_as(backwards))
        return torch.cat([forwards, backwards], -1) * own[..., None]

    def _weights(self, suffix: str) -> list[Tensor]:
        return [getattr(self, f"{name}_l0{suffix}") for name in WEIGHTS]

    def _rest(self, values: Tensor) -> Tensor:
        """The state before the first step, [1,N,hidden]; in a trace, len(values) would be a constant."""
        return values.new_zeros(1, values.shape[0], self.hidden_size)


class LSTM(Recurrent, nn.LSTM):
    """Long short-term memory; two layers in one module do not export to ONNX at any width."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, bidirectional=True, batch_first=True)

    def one_way(self, values: Tensor, weights: list[Tensor]) -> Tensor:
        rest = self._rest(values)
        return torch.lstm(values, (rest, rest), weights, True, 1, 0.0, self.training, False, True)[0]


class GRU(Recurrent, nn.GRU):
    """Gated recurrent units; a gate has two biases, Keras' has one."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, bidirectional=True, batch_first=True)

    def one_way(self, values: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.gru(values, self._rest(values), weights, True, 1, 0.0, self.training, False, True)[0]


class Summed(nn.Module):
    """The two directions of a recurrent layer added up: [N,L,2*D] to [N,L,D]."""

    def forward(self, values: Tensor, steps: Tensor | None = None) -> Tensor:
        """The sum."""
        forwards, backwards = values.chunk(2, -1)
        return forwards + backwards


class Dense(nn.Linear):
    """A layer on each step: [N,L,D] to [N,L,hidden]."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, values: Tensor, steps: Tensor | None = None
    ) -> Tensor:
        """The layer's answers."""
        return super().forward(values)


class Mixer(nn.Module):
    """A residual block, [N,L,D] to [N,L,D]: a depthwise convolution over time, then an MLP on each step.

    Tokens and channels in turn as in MLP-Mixer (Tolstikhin et al. 2021), over time by a convolution, so that
    any L runs.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, REACH, padding=REACH // 2, groups=width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, values: Tensor, steps: Tensor | None = None) -> Tensor:
        """The values with what both parts add."""
        near = self.norm1(values)
        if steps is not None:
            near = near * inside(steps, near.shape[1]).to(near)[..., None]
        values = values + self.conv(near.transpose(1, 2)).transpose(1, 2)
        return values + self.mlp(self.norm2(values))


BETWEEN: dict[str, Callable[[int], dict[str, nn.Module]]] = {
    "joined": lambda hidden: {},
    "summed": lambda hidden: {"between": Summed()},
    "dense": lambda hidden: {"between": Dense(2 * hidden, hidden)},
}


def recurrent(layer: Callable[[int, int], nn.Module]) -> Callable[[int, int, str], Layers]:
    """The head of two such layers; between: what the second reads of the first."""

    def build(width: int, hidden: int, between: str) -> Layers:
        inner = BETWEEN[between](hidden)
        second = layer(hidden if inner else 2 * hidden, hidden)
        return {"rnn1": layer(width, hidden), **inner, "rnn2": second}, 2 * hidden

    return build


def mixer(width: int, hidden: int, between: str) -> Layers:
    """Two mixer blocks."""
    return {name: Mixer(width, hidden) for name in ("mixer1", "mixer2")}, width


def linear(width: int, hidden: int, between: str) -> Layers:
    """Nothing: the classifier reads the column vectors."""
    return {}, width


HEADS: dict[str, Callable[[int, int, str], Layers]] = {
    "lstm": recurrent(LSTM), "gru": recurrent(GRU), "linear": linear, "mixer": mixer,
}  # fmt: skip
