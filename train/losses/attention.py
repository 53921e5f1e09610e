"""Guidance by attention: a second head reads the same features letter by letter, while training alone."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.lookup import unknown
from shards.typed import check_ranges
from train.blocks.heads import inside
from train.ctc import fits
from train.models import Output

PAPER = "Hu et al. 2020, GTC (arXiv 2002.01276); Li et al. 2022, PP-OCRv3 (arXiv 2206.03001)"
FORMULA = "CTC + weight x mean over the letters of -log q(letter | the letters before it, features)"
END = 0  # the blank's class begins and ends what this head spells


@dataclass
class Settings:
    """The head: one decoder layer of a transformer over a sequence of features."""

    weight: float = 1.0  # of the term, which is added to the loss
    tap: str = ""  # the feature [L,D] that it reads; empty = the last of that kind
    width: int = 384  # of the head
    heads: int = 8  # into which it is divided
    longest: int = 64  # letters of a label that it can spell; longer labels take no part

    def __post_init__(self) -> None:
        check_ranges(self, "loss.attention.", weight=(0.0, math.inf), width=(1, 8192), heads=(1, 64))
        check_ranges(self, "loss.attention.", longest=(1, 10_000))
        if self.width % self.heads:
            raise BadSettings(f"loss.attention.heads: {self.heads} does not divide width {self.width}")


class Loss(nn.Module):
    """The head stands here and not in the model: what is exported never has it."""

    def __init__(self, settings: Settings, task: Any, features: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        sequences = [name for name, shape in features.items() if len(shape) == 2]
        self.tap = settings.tap or (sequences[-1] if sequences else "")
        if self.tap not in sequences:
            raise BadSettings(unknown("loss.attention.tap", self.tap, sequences))
        self.settings, width = settings, settings.width
        self.memory = nn.Linear(features[self.tap][-1], width)
        self.embedding = nn.Embedding(task.channels, width)
        self.places = nn.Parameter(torch.zeros(settings.longest + 1, width))
        self.layer = nn.TransformerDecoderLayer(
            width, settings.heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm, self.dense = nn.LayerNorm(width), nn.Linear(width, task.channels)

    def forward(self, loss: Tensor, output: Output, targets: Any) -> dict[str, Tensor]:
        """The loss with the term added [N]; `attention` is the term."""
        each, known = self.letters(output, targets)
        able = targets.usable & fits(output, targets.symbols, targets.lengths)
        able &= targets.lengths <= self.settings.longest
        term = torch.where(able, each.sum(1) / known.sum(1), 0.0)
        return {"task": loss + self.settings.weight * term, "attention": term}

    def letters(self, output: Output, targets: Any) -> tuple[Tensor, Tensor]:
        """What each letter and the end costs in nats, 0 behind the end, [N,U]; which places count [N,U]."""
        spelled, known = self._spelled(targets)
        before = functional.pad(spelled[:, :-1], (1, 0), value=END)
        queries = self.embedding(before) + self.places[: before.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(before.shape[1], device=queries.device)
        memory = self.memory(output.features[self.tap].to(queries.dtype))
        beyond = ~inside(output.own_steps, memory.shape[1])  # a picture's padding is not looked at
        told = self.layer(queries, memory, tgt_mask=mask, memory_key_padding_mask=beyond, tgt_is_causal=True)
        found = self.dense(self.norm(told))
        each = functional.cross_entropy(found.float().flatten(0, 1), spelled.flatten(), reduction="none")
        return each.view_as(spelled) * known, known

    def _spelled(self, targets: Any) -> tuple[Tensor, Tensor]:
        """Labels and their end as classes [N,U], and which of these count, [N,U]."""
        lengths = targets.lengths.clamp(max=self.settings.longest)
        places = torch.arange(int(lengths.max()) + 1, device=lengths.device)
        starts = functional.pad(targets.lengths.cumsum(0)[:-1], (1, 0))
        index = (starts[:, None] + places).clamp(max=max(0, len(targets.symbols) - 1))
        letters = targets.symbols[index] if len(targets.symbols) else torch.zeros_like(index)
        inside = places < lengths[:, None]
        return torch.where(inside, letters, END), (places <= lengths[:, None]).float()
