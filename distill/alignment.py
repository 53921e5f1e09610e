"""From one row of time steps onto another without changing what is read: which step goes where.

A choice is monotone, and it passes over no step group that the reading needs: no letter, and no blank between
two equal letters. Such a choice exists exactly where the reading fits into the new steps; of all of them the
cheapest is taken, by dynamic programming over the new steps.
Letters: N samples, L new time steps, T old ones, C classes; class 0 is the blank.
"""

import torch
from torch import Tensor

from train.charset import Charset

SKIPPED = 1e4  # the cost of passing over what the reading needs: more than any whole path without
BLANK = 0.5  # a blank in the place of a letter, or a letter where no step falls
STRAY = 1.0  # a step outside of its cell; more than a blank, so that equal grids map one to one
PULL = 0.01  # of the squared distance in cells: decides among equals


def respace(log_probs: Tensor, centres: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Old steps for L new ones that are uniform over 0..1: indices [N,L]; and bool [N], does the reading fit.

    log_probs [N,T,C]; centres [N,T] or [T]: where the old steps stand, ascending. A new step takes, of the
    old ones that fall in its cell, the one that is least blank: spikes stay. A cell in which none falls takes
    a near one, rather a blank: letters are not drawn out. Equal grids give every step its own.
    """
    n, t = log_probs.shape[:2]
    at = centres.expand(n, t).float() * frames  # in cells
    cells = torch.arange(frames, device=at.device)
    distance = (at[:, None, :] - (cells + 0.5)[None, :, None]).abs()  # [N,L,T]
    inside = at.floor()[:, None, :] == cells[None, :, None]
    blank = log_probs[..., Charset.BLANK].float().exp()[:, None, :]
    away = STRAY + 100 * (distance - 0.5).clamp(min=0) ** 2
    full = BLANK * blank + PULL * distance**2 + torch.where(inside, 0.0, away)
    empty = BLANK * (1 - blank) + 0.1 * distance
    cost = torch.where(inside.any(-1, keepdim=True), full, empty)
    return choose(cost, log_probs.argmax(-1))


def align(reference: Tensor, log_probs: Tensor) -> Tensor:
    """For each step of the reference [N,L,C] the one of log_probs [N,T,C] that says the same: [N,L]."""
    alike = (reference / 2).exp() @ (log_probs / 2).exp().transpose(1, 2)  # 1 where they are equal
    steps = [torch.linspace(0, 1, x.shape[1], device=x.device) for x in (reference, log_probs)]
    apart = (steps[0][:, None] - steps[1][None, :]).abs()
    return choose(1 - alike + PULL * apart, log_probs.argmax(-1))[0]


def take(values: Tensor, index: Tensor) -> Tensor:
    """Steps of values [N,T,...] by index [N,L]: [N,L,...]."""
    rows = torch.arange(len(values), device=values.device)[:, None]
    return values[rows, index]


def choose(cost: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest choice that keeps the reading: indices [N,L], and whether there is one, bool [N].

    cost [N,L,T]; best [N,T]: the best class of each old step. Where the reading needs more than L steps, the
    choice passes over as little as it can.
    """
    begun, ended = needed(best)
    steps = torch.arange(best.shape[1], device=best.device)
    skipping = (ended[:, None, :] - begun[:, :, None]).clamp(min=0) * SKIPPED  # [N, from, to]
    moving = torch.where(steps[:, None] <= steps[None, :], skipping, torch.inf)
    score, came = cost[:, 0] + ended * SKIPPED, []
    for frame in range(1, cost.shape[1]):
        least, source = (score[:, :, None] + moving).min(1)
        score = least + cost[:, frame]
        came.append(source)
    total = begun[:, -1]
    at = (score + (total[:, None] - begun) * SKIPPED).argmin(1, keepdim=True)
    path = [at]
    for source in reversed(came):
        path.append(source.gather(1, path[-1]))
    return torch.cat(path[::-1], 1), total <= cost.shape[1]


def needed(best: Tensor) -> tuple[Tensor, Tensor]:
    """Of the step groups that the reading of best [N,T] needs: how many have begun at each step, and how many
    ended before it, float [N,T].
    """
    fresh = torch.ones_like(best, dtype=torch.bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    group = fresh.cumsum(1)  # 1, 2, ... with a place free on either side
    classes = best.new_full((len(best), best.shape[1] + 2), -1).scatter_(1, group, best)
    letter, between = classes > 0, torch.zeros_like(classes, dtype=torch.bool)
    between[:, 1:-1] = (classes[:, :-2] == classes[:, 2:]) & (classes[:, 2:] > 0) & (classes[:, 1:-1] == 0)
    wanted = (letter | between).gather(1, group)
    last = torch.ones_like(fresh)
    last[:, :-1] = fresh[:, 1:]
    closed = (wanted & last).cumsum(1)
    return (wanted & fresh).cumsum(1).float(), (closed - (wanted & last).long()).float()
