import pytest
import torch

from distill.codecs import Kept, sequence
from distill.sizing import MARGIN, SIZES, kept


def answers(scale: float, steps: int = 24, classes: int = 37) -> torch.Tensor:
    logits = scale * torch.randn(64, steps, classes, generator=torch.Generator().manual_seed(0))
    logits[..., 0] += scale
    return logits.log_softmax(-1)


def test_a_decided_teacher_needs_the_smallest_record():
    found = kept(answers(40.0), 0.01, "auto")
    assert (found.name, found.bytes) == ("sequence", SIZES[0])


@pytest.mark.parametrize("scale", [2.0, 3.0, 5.0])
def test_a_softer_teacher_gets_the_smallest_record_that_keeps_the_limit(scale):
    frames = answers(scale)
    found = kept(frames, 0.02, "auto")
    if found.name == "sequence":
        smaller = [size for size in SIZES if size < found.bytes]
        assert sequence.Codec(24, 37, found).encode(frames)[1].kl <= MARGIN * 0.02
        for size in smaller[-1:]:
            less = Kept("sequence", bytes=size, prior=found.prior)
            assert sequence.Codec(24, 37, less).encode(frames)[1].kl > MARGIN * 0.02


def test_a_teacher_that_knows_nothing_is_kept_whole():
    assert kept(answers(0.5), 1e-6, "auto") == Kept("dense")


def test_who_asks_for_records_gets_the_largest_where_none_will_do():
    found = kept(answers(0.5), 1e-6, "sequence")
    assert (found.name, found.bytes) == ("sequence", SIZES[-1])


def test_records_are_never_larger_than_keeping_all():
    assert kept(answers(1.0, steps=4, classes=5), 1e-9, "auto").name == "dense"
