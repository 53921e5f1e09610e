"""Differentiable binarisation (Liao et al. 2020): a map of yes and no that can be learnt, and its loss.

Letters: N samples, L cells.
"""

from torch import Tensor

STEEP = 50.0  # of the binary map, from the paper


def binary(text: Tensor, border: Tensor) -> Tensor:
    """How far kernels stand above borders, as all but yes or no, 0..1; both probabilities, in one shape."""
    return (STEEP * (text - border)).sigmoid()


def dice(found: Tensor, aim: Tensor) -> Tensor:
    """1 - Dice's coefficient of maps [N,L] in 0..1, smoothed by 1, so that two empty ones are alike: [N]."""
    return 1 - (2 * (found * aim).sum(1) + 1) / (found.sum(1) + aim.sum(1) + 1)
