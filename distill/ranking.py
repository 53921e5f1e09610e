"""The best classes of a step in one order: of equal ones the lower first, as argmax has it.

Letters: C classes, K of them, G to a group.
"""

import numpy as np
import torch

GROUP = 32  # G: of many classes only the groups that hold the K largest maxima are looked at
MANY = 1024


def ranked(values: np.ndarray, k: int) -> np.ndarray:
    """The k best of float32 [..., C], best first: int64 [..., k]."""
    classes = values.shape[-1]
    if classes <= MANY or not values.size:
        return _sorted(values, np.arange(classes), k)
    whole = classes // GROUP
    grouped = torch.from_numpy(values[..., : whole * GROUP]).unflatten(-1, (whole, GROUP))
    groups = ranked(grouped.amax(-1).numpy(), min(k, whole))
    inside = (groups[..., None] * GROUP + np.arange(GROUP)).reshape(*groups.shape[:-1], -1)
    tail = np.broadcast_to(np.arange(whole * GROUP, classes), (*inside.shape[:-1], classes % GROUP))
    places = np.concatenate([inside, tail], -1)
    return _sorted(np.take_along_axis(values, places, -1), places, k)


def _sorted(values: np.ndarray, places: np.ndarray, k: int) -> np.ndarray:
    """The same of values whose classes are `places`."""
    bits = (values + np.float32(0)).view(np.int32)  # no negative zero
    bits ^= (bits >> 31) & 0x7FFFFFFF  # integers in the order of the floats
    keys = bits.astype(np.int64)
    keys <<= 32
    keys -= places
    keys.sort(-1)
    return -keys[..., : -k - 1 : -1] & 0xFFFFFFFF
