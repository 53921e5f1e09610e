"""Lessons and students' answers for the methods made for CTC: N samples, L time steps, C classes."""

import types
from typing import Any

import torch

from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes, Sides
from shards import lookup
from train.beam import prefix_beam
from train.models import Output

N, L, C = 5, 12, 9


def make(name: str, frames: int = L, **settings):
    module = lookup.find("distill.methods", name)
    return module.Method(module.Settings(**settings), Sides(None, Shapes(frames, C), Shapes(L, C)))


def random_logits(seed: int = 0, scale: float = 3.0, steps: int = L) -> torch.Tensor:
    return scale * torch.randn(N, steps, C, generator=torch.Generator().manual_seed(seed))


def hypotheses(readings: list[list[list[int]]], log_probs: torch.Tensor | None = None) -> Hypotheses:
    """From lists: samples, hypotheses, symbols."""
    count, longest = max(map(len, readings)), max(len(r) for rs in readings for r in rs)
    symbols = torch.zeros(len(readings), count, longest, dtype=torch.int64)
    lengths = torch.full((len(readings), count), -1)
    for n, rs in enumerate(readings):
        for b, reading in enumerate(rs):
            symbols[n, b, : len(reading)], lengths[n, b] = torch.tensor(reading), len(reading)
    scores = -torch.arange(count).float().expand(len(readings), count) if log_probs is None else log_probs
    return Hypotheses(symbols, lengths, scores.masked_fill(lengths < 0, -torch.inf))


def lesson(
    logits: torch.Tensor, nbest: Hypotheses | None = None, gamma: torch.Tensor | None = None
) -> Lesson:
    """What a teacher with these logits answers; its hypotheses are those of the beam."""
    log_probs = logits.detach().log_softmax(-1)
    if nbest is None:
        found = prefix_beam(log_probs, n=4)
        nbest = Hypotheses(*map(torch.from_numpy, (found.symbols, found.lengths, found.log_probs)))
    labels = types.SimpleNamespace(symbols=torch.arange(1, N + 1), lengths=torch.ones(N, dtype=torch.int64))
    batch: Any = types.SimpleNamespace(targets=labels)
    return Lesson(batch, log_probs, nbest=nbest, occupancy=log_probs.exp() if gamma is None else gamma)


def spikes(places: dict[int, int], height: float = 9.0) -> torch.Tensor:
    """Logits of N equal samples: blank everywhere but for a class at each of some steps."""
    logits = torch.zeros(N, L, C)
    logits[:, [t for t in range(L) if t not in places], 0] = height
    for step, symbol in places.items():
        logits[:, step, symbol] = height
    return logits


def loss_and_pull(name: str, student: torch.Tensor, told: Lesson, **settings):
    """The loss [N] and its gradient by the student's logits."""
    student = student.detach().clone().requires_grad_()
    loss = make(name, student.shape[1], **settings)(Output(student), told)
    (pull,) = torch.autograd.grad(loss.sum(), student)
    return loss.detach(), pull
