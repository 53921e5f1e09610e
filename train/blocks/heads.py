"""Heads: what stands between a column vector and the classifier: layers of sequences [N,L,D], by name.

lstm and gru: two bidirectional layers (Shi, Bai, Yao 2015; Cho et al. 2014); mixer: two residual blocks that
mix over time, then over channels, with no recurrence; linear: nothing, each column is read on its own.
Steps [N], where given, say how many of L belong to each sample: no layer lets the others speak to them.
Letters: N samples, L time steps, D numbers per step.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

REACH = 7  # time steps that one mixer block looks over, its own in the middle

Layers = tuple[dict[str, nn.Module], int]  # layers by name, and the width D that leaves the last


def inside(steps: Tensor, frames: int) -> Tensor:
    """bool [N,L], L = frames: the first `steps` [N] of each sample."""
    return torch.arange(frames, device=steps.device) < steps[:, None]


def packed(forward: Callable[[Any], tuple[Any, Any]], values: Tensor, steps: Tensor | None) -> Tensor:
    """What a recurrent layer answers to values [N,L,D], reading each sample's own steps; 0 at the others."""
    if steps is None:
        return forward(values)[0]
    states, _ = forward(pack_padded_sequence(values, steps.cpu(), batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(states, batch_first=True, total_length=values.shape[1])[0]


class LSTM(nn.LSTM):
    """One bidirectional layer, [N,L,D] to [N,L,2*hidden]: two in one do not export to ONNX at any width."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, bidirectional=True, batch_first=True)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, values: Tensor, steps: Tensor | None = None
    ) -> Tensor:
        """The states of both directions, forwards first."""
        return packed(super().forward, values, steps)


class GRU(nn.GRU):
    """One bidirectional layer, [N,L,D] to [N,L,2*hidden]; a gate has two biases, Keras' has one."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, bidirectional=True, batch_first=True)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, values: Tensor, steps: Tensor | None = None
    ) -> Tensor:
        """The states of both directions, forwards first."""
        return packed(super().forward, values, steps)


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
