import re

import pytest

from shards.errors import BadSettings
from shards.image import ImageSpec
from train import limit
from train.models import crnn

SMALL = crnn.Settings(channels=[8, 8, 16, 16, 16, 16, 32], map_to_seq=16, rnn_hidden=16)
MODEL = crnn.Model(SMALL, ImageSpec(), 37)
PARAMETERS = sum(p.numel() for p in MODEL.parameters())
VECTORS = sum(p.numel() for p in MODEL.parameters() if p.dim() == 1)
CHANNELS = sum(p.shape[0] for p in MODEL.parameters() if p.dim() > 1)


@pytest.mark.parametrize(
    ("precision", "total"),
    [
        ("fp32", 4 * PARAMETERS),
        ("fp16", 2 * (PARAMETERS - VECTORS) + 4 * VECTORS),
        ("int8", PARAMETERS - VECTORS + 4 * VECTORS + 4 * CHANNELS),
    ],
)
def test_bytes_are_counted_by_precision(precision, total):
    found = limit.size(MODEL, precision)
    assert sum(b for _, b in found.values()) == total
    assert sum(p for p, _ in found.values()) == PARAMETERS
    assert list(found) == ["cnn", "map_to_seq", "rnn1", "rnn2", "dense"]


def test_a_model_within_the_limit_is_explained():
    told = limit.check(MODEL, limit.Settings(mb=1.0, precision="int8"))
    assert told["limit_bytes"] == 1_000_000
    assert told["lines"][0].startswith("cnn: ")
    assert re.search(r"23,437 parameters take [\d,]+ bytes in int8, 1 MB allow 1,000,000", told["lines"][-1])


def test_a_model_above_the_limit_is_refused_with_the_arithmetic_and_a_remedy():
    with pytest.raises(
        BadSettings, match=r"limit.mb=0.02: .* too many \(cnn: .*; widths times 0\.\d\d would"
    ):
        limit.check(MODEL, limit.Settings(mb=0.02, precision="int8"))


def test_without_a_limit_any_model_passes():
    assert limit.check(MODEL, limit.Settings())["limit_bytes"] == 0


def test_a_limit_below_nothing_is_refused():
    with pytest.raises(BadSettings, match=r"limit.mb: -1"):
        limit.Settings(mb=-1)
