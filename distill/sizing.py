"""How large a record has to be: the smallest that keeps a calibration well within the limit.

Letters: N samples, T time steps, C classes.
"""

from dataclasses import replace

from torch import Tensor

from distill.codecs import Kept, dense, sequence
from shards.errors import BadSettings, GateFailed

SIZES = (
    96,
    112,
    128,
    160,
    192,
    256,
    320,
    384,
    512,
    768,
    1024,
    1536,
    2048,
)  # bytes of a record that are tried
MARGIN = 0.7  # of the limit: chunks differ, and none may exceed it


def kept(frames: Tensor, limit: float, codec: str) -> Kept:
    """The codec `sequence` with the smallest of SIZES that loses at most MARGIN of `limit` nats per step on
    answers [N,T,C]; with codec=auto `dense` where that is no larger or none is large enough.
    """
    steps, classes = frames.shape[1:]
    prior, whole = sequence.prior(frames), dense.Codec(steps, classes, Kept("dense"))
    tried = [size for size in SIZES if codec == "sequence" or size < whole.arrays[0].bytes]
    for size in tried:
        found = Kept("sequence", bytes=size, prior=prior)
        try:
            _, lost = sequence.Codec(steps, classes, found).encode(frames)
        except (BadSettings, GateFailed):  # a record too small to hold what must be held
            continue
        if lost.kl <= MARGIN * limit:
            return found
    return Kept("dense") if codec == "auto" else replace(Kept("sequence", bytes=SIZES[-1]), prior=prior)
