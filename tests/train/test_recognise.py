"""The task `recognise`: which samples count, what they cost, and how readings are scored."""

import pickle
from itertools import repeat

import pytest
import torch

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.tasks import Read
from train.tasks.recognise import Settings, Task

SCENE = (Word("a"), Word("b"))


def record(*words):
    return Record(words, (10, 10), "here")


def crop(text, legible=True):
    return record(Word(text, legible=legible))


@pytest.fixture
def task():
    return Task(Settings(), ImageSpec())


def test_the_named_charset_is_spelled_out_in_the_settings(task):
    assert task.channels == 37
    assert task.settings == Settings("36", "0123456789abcdefghijklmnopqrstuvwxyz", "lower")
    assert Task(task.settings, task.image).charset == task.charset


@pytest.mark.parametrize(
    ("settings", "characters", "fold"),
    [
        (Settings(characters="xyz"), "xyz", "none"),
        (Settings(characters="XYZ", fold="upper"), "XYZ", "upper"),
        (Settings("62"), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "none"),
    ],
)
def test_settings_choose_the_charset(settings, characters, fold):
    charset = Task(settings, ImageSpec()).charset
    assert (charset.characters, charset.fold) == (characters, fold)


def test_an_unknown_charset_is_a_bad_setting():
    with pytest.raises(BadSettings, match="no '37'"):
        Task(Settings("37"), ImageSpec())


def test_only_single_legible_spellable_words_are_targets(task):
    records = [crop("Ab"), crop(None), crop("don't"), record(), record(*SCENE)]
    records += [crop("x", legible=False), crop("")]
    targets = task.encode(records).to("cpu")
    assert targets.usable.tolist() == [True, False, False, False, False, False, True]
    assert targets.lengths.tolist() == [2, 0, 0, 0, 0, 0, 0]
    assert targets.symbols.tolist() == [11, 12]
    assert targets.symbols.dtype == targets.lengths.dtype == torch.int64


def test_the_census_agrees_with_what_encoding_and_loss_leave_out(task):
    texts = ["ab", None, "don't", "aaa", "", "A"]
    assert task.census(texts, repeat(4)) == {"unlabelled": 1, "unencodable": 1, "infeasible": 1}
    assert task.census(texts, repeat(1)) == {"unlabelled": 1, "unencodable": 1, "infeasible": 2}


def test_a_batch_without_any_label_still_encodes(task):
    targets = task.encode([crop(None)])
    assert targets.symbols.shape == (0,)
    assert task.loss(Output(torch.randn(1, 4, 37)), targets)["task"].tolist() == [0.0]


def test_unusable_and_infeasible_samples_have_neither_loss_nor_gradient(task):
    logits = torch.randn(4, 5, 37, requires_grad=True)
    loss = task.loss(Output(logits), task.encode([crop("ab"), crop("aaaa"), crop(None), crop("don't")]))
    loss["task"].sum().backward()
    assert loss["task"].dtype == torch.float32
    assert (loss["task"] > 0).tolist() == [True, False, False, False]
    assert logits.grad.abs().sum((1, 2)).gt(0).tolist() == [True, False, False, False]


def test_decoding_gives_one_word_per_sample_with_its_confidence(task):
    logits = torch.full((2, 4, 37), -20.0)
    for step, (first, second) in enumerate([(11, 0), (11, 0), (0, 0), (11, 0)]):
        logits[0, step, first] = logits[1, step, second] = 20.0
    (aa,), (empty,) = task.decode(Output(logits))
    assert (aa.text, aa.polygon, empty.text) == ("aa", None, "")
    assert aa.score == pytest.approx(1)
    assert empty.score == pytest.approx(1)


def filled(task, rows):
    """A meter that saw rows (uid, raw label, prediction)."""
    meter = task.meter()
    uids, labels, texts = zip(*rows, strict=True)
    meter.update(uids, [(Read(text, score=0.5),) for text in texts], [crop(label) for label in labels])
    return meter


ROWS = [(7, "ABC", "abc"), (3, "don't", "dont"), (5, None, "x"), (1, "abcd", "abxd"), (9, "", "")]


def test_readings_are_compared_with_normalised_labels(task):
    found = filled(task, ROWS).compute()
    assert (found["n"], found["unlabelled"], found["unencodable"]) == (4, 1, 1)
    assert found["word_acc"] == 2 / 4  # ABC and the empty label; don't cannot be spelled
    assert found["word_acc_ics"] == 3 / 4
    assert found["cer"] == pytest.approx(2 / 12)
    assert found["edit_distance_mean"] == 2 / 4
    assert found["edit_distance_normalised"] == pytest.approx((1 / 5 + 1 / 4) / 4)
    assert found["one_minus_ned"] == pytest.approx(1 - (1 / 5 + 1 / 4) / 4)
    assert all(isinstance(value, float) for value in found.values())


def test_metrics_do_not_depend_on_order_repetition_or_ranks(task):
    whole = filled(task, ROWS)
    parts = [filled(task, ROWS[:3]), filled(task, ROWS[2:] + ROWS[:1])]
    merged = task.meter()
    for part in reversed(parts):
        merged.absorb(pickle.loads(pickle.dumps(part.entries())))
    assert merged.compute() == whole.compute()
    assert merged.detail() == whole.detail()


def test_the_detail_lists_raw_labels_by_uid(task):
    rows = filled(task, ROWS).detail()
    assert [uid for uid, *_ in rows] == [1, 3, 5, 7, 9]
    assert rows[1] == (3, "don't", "dont", 0.5)
    assert rows[2] == (5, None, "x", 0.5)


def test_a_meter_that_saw_nothing_computes_zeros(task):
    assert set(task.meter().compute().values()) == {0.0}
