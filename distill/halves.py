"""Log-probabilities and features in fp16, within its range."""

import numpy as np

LOWEST = np.float16(-65504.0)  # the most negative finite fp16: a class the teacher excludes


def half(values: np.ndarray) -> np.ndarray:
    """Log-probabilities as fp16."""
    return np.clip(values, float(LOWEST), 0.0).astype(np.float16)


def next_below(values: np.ndarray) -> np.ndarray:
    """The next smaller finite fp16."""
    return np.maximum(np.nextafter(values, np.float16(-np.inf)), LOWEST)
