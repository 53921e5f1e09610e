"""Randomness as a value: uniform numbers that are a pure function of integer keys, equal on every machine.

splitmix64's finaliser (Steele, Lea, Flood, OOPSLA 2014) over 64-bit integers; no generator state anywhere.
"""

import hashlib
from typing import Any

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)


def mix(x: Any) -> np.ndarray:
    """A bijective scramble of uint64 values, elementwise."""
    x = np.asarray(x).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _MUL1
        x = (x ^ (x >> np.uint64(27))) * _MUL2
    return x ^ (x >> np.uint64(31))


def hashed(*keys: np.ndarray | int) -> np.ndarray:
    """A uint64 hash of the keys (arrays broadcast); the order of the keys matters."""
    state = np.uint64(0)
    with np.errstate(over="ignore"):
        for key in keys:
            state = mix((state + _STEP) ^ np.asarray(key).astype(np.uint64)) + _STEP
    return mix(state)


def word(name: str) -> int:
    """A 63-bit key for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


def uniform(*keys: np.ndarray | int) -> np.ndarray:
    """float64 in [0, 1), exact multiples of 2^-53, from the hash of the keys."""
    return (hashed(*keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53
