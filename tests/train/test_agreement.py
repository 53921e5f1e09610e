"""How alike a checkpoint and its export answer: strings, and what int8 loses of labelled words."""

from dataclasses import replace

import pytest

from shards.errors import BadData
from shards.read import Shards
from train import agreement, modelfolder, narrowing, writing
from train.predict import PRETRAINED
from train.reader import Reader


def test_what_int8_loses_is_counted_in_points_of_labelled_words(words, tmp_path):
    path, shards = tmp_path / "model.onnx", Shards([str(words)], "train")
    loaded = modelfolder.load(PRETRAINED)
    loaded.config["image"] |= {"mean": 4.0}
    writing.write(loaded, "onnx", path, narrowing.FULL)
    found = agreement.compare(str(PRETRAINED), path, shards, 256, scored=True)
    lost = 100 * (read_right(PRETRAINED, shards) - read_right(path, shards))
    assert lost > 1
    assert found.lost == pytest.approx(lost)
    assert not found.holds(lost - 1)
    assert found.holds(lost + 1)
    with pytest.raises(BadData, match="no labels"):
        agreement.compare(str(PRETRAINED), path, Hidden(shards), 256, scored=True)


def read_right(model, shards):
    """The share of words that a model reads right."""
    reader = Reader(model)
    read = reader.read([shards.image(place) for place in range(len(shards))])
    charset = reader.loaded.task.charset
    truths = [charset.normalise(shards.text(place)) for place in range(len(shards))]
    return sum(one.text == truth for one, truth in zip(read, truths, strict=True)) / len(shards)


class Hidden:
    """Shards without labels."""

    def __init__(self, shards):
        self.shards = shards

    def __getattr__(self, name):
        return getattr(self.shards, name)

    def __len__(self):
        return len(self.shards)

    def record(self, position):
        found = self.shards.record(position)
        return replace(found, words=tuple(replace(word, text=None) for word in found.words))
