"""Samples whose labels nobody sees: what the student learns from them is what a sure teacher says."""

import types
from typing import Any

import pytest
import torch

from distill import record, student
from distill.cache import Cache
from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes
from distill.teachers import Cached, Derived, Live, Wanted
from distill.trust import Sure
from ingest import shard
from shards.augment import Augment, Settings
from shards.errors import BadSettings
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from train import modelfolder
from train import teacher as teachers
from train.runfolder import read_metrics

SHORT = ["fit.epochs=2", "fit.batch=32", "fit.log_every=1", "optim.lr=1e-3"]


class Says:
    """A teacher that gives one answer; NoTeacher's other members."""

    shapes = Shapes(4, 3)

    def __init__(self, **answer) -> None:
        self.answer = answer

    def want(self, wanted: Wanted) -> None:
        self.wanted = wanted

    def story(self) -> dict[str, Any]:
        return {"weights": "w"}

    def __call__(self, batch) -> Lesson:
        return Lesson(batch, **self.answer)


def batch(*usable: bool) -> Any:
    return types.SimpleNamespace(targets=types.SimpleNamespace(usable=torch.tensor(usable)))


def peaks(*sharpness: float) -> torch.Tensor:
    """Answers [N,4,3] that say class 1 at one step, as surely as told."""
    logits = torch.zeros(len(sharpness), 4, 3)
    logits[:, :, 0] = 20.0
    logits[:, 1] = torch.tensor([[0.0, s, 0.0] for s in sharpness])
    return logits.log_softmax(-1)


def test_only_sure_readings_teach_where_there_is_no_label():
    lesson = Sure(Says(log_probs=peaks(9.0, 0.5, 0.5)), 0.9)(batch(False, False, True))
    assert lesson.trust is not None
    assert lesson.trust.tolist() == [True, False, True]


def test_where_all_is_labelled_nothing_is_asked():
    assert Sure(Says(log_probs=peaks(0.1)), 0.9)(batch(True)).trust is None


def test_what_was_not_trusted_before_stays_so():
    told = Says(log_probs=peaks(9.0, 9.0), trust=torch.tensor([False, True]))
    assert Sure(told, 0.9)(batch(False, True)).trust.tolist() == [False, True]


def test_the_best_of_the_n_best_tells_how_sure_a_teacher_is():
    scores = torch.tensor([[-0.01, -5.0], [-1.0, -1.2]])
    nbest = Hypotheses(torch.ones(2, 2, 1, dtype=torch.int64), torch.ones(2, 2, dtype=torch.int64), scores)
    lesson = Sure(Says(log_probs=torch.empty(0), nbest=nbest), 0.9)(batch(False, False))
    assert lesson.trust.tolist() == [True, False]


def test_a_teacher_that_tells_neither_is_not_believed_without_a_label():
    lesson = Sure(Says(log_probs=torch.empty(0)), 0.9)(batch(False, True))
    assert lesson.trust.tolist() == [False, True]


def test_the_story_says_how_sure_a_reading_had_to_be():
    assert Sure(Says(), 0.8).story() == {"weights": "w", "confidence": 0.8}


@pytest.fixture(scope="module")
def more_words(tmp_path_factory):
    """Other words, as a second data set."""
    root = tmp_path_factory.mktemp("more") / "more"
    shard.main(["source=rendered", "name=more", f"out={root}", "count=64", "seed=9"])
    return root


def test_labels_of_unlabelled_roots_are_not_to_be_seen(words, more_words):
    known, both = Shards([words], "train"), Shards([words], "train", [more_words])
    seen = Shards([more_words], "train")
    assert len(both) == len(known) + len(seen)
    texts = list(both.texts())
    assert texts[: len(known)] == list(known.texts())
    assert set(texts[len(known) :]) == {None}
    place = len(known) + 3
    assert both.text(place) is None
    assert both.record(place).words[0].text is None
    assert seen.record(3).words[0].text is not None
    assert both.image(place) == seen.image(3)
    assert both.uids[place] == seen.uids[3]


@pytest.mark.slow
def test_two_students_learn_from_unlabelled_words_what_the_other_reads(words, more_words, tiny, tmp_path):
    argv = [f"data.root={words}", f"data.unlabelled={more_words}", f"run.root={tmp_path}", "run.name=pair"]
    student.main([*argv, *tiny, *SHORT, "method=mutual"])
    lines = [line for line in read_metrics(tmp_path / "pair") if "train/loss" in line]
    assert len(lines) == 2 * 5  # 96 and 64 words in batches of 32
    assert all(line["train/mutual"] > 0 for line in lines)
    assert min(line["train/trusted"] for line in lines) < 1  # nobody vouches for a word without a label


@pytest.mark.slow
def test_a_student_learns_from_unlabelled_words_what_the_teacher_says(
    words, more_words, teacher, recipe, tiny, tmp_path
):
    record.main(recipe(teacher, words, tmp_path / "c", "codec=dense", f"data.root={words},{more_words}"))
    argv = [f"data.root={words}", f"data.unlabelled={more_words}", f"run.root={tmp_path}", *tiny, *SHORT]
    argv += [f"cache={tmp_path / 'c'}", "method=logits", "method.logits.weight=1"]
    losses = {}
    for name, least in (("all", 0.0), ("none", 1.0)):
        student.main([*argv, f"run.name={name}", f"confidence={least}"])
        lines = [line for line in read_metrics(tmp_path / name) if "train/loss" in line]
        losses[name] = [line["train/logits"] for line in lines]
    assert len(losses["all"]) == 2 * 5  # 96 and 64 words in batches of 32
    assert losses["all"][0] > losses["none"][0] > 0  # the same batch and weights: fewer answers count


@pytest.mark.slow
def test_alignments_of_labels_that_nobody_may_see_are_not_looked_at(
    words, more_words, teacher, recipe, tmp_path
):
    more = ["codec=dense", f"data.root={words},{more_words}", "kinds=[frames,occupancy]"]
    record.main(recipe(teacher, words, tmp_path / "c", *more))
    cached = Cached(Cache(tmp_path / "c"))
    live, wanted = Derived(Live(teacher)), Wanted(frozenset({"frames", "occupancy"}))
    shards, task = Shards([words], "train", [more_words]), modelfolder.load(teacher).task
    loader = Loader(
        shards, Plan(shards.uids, 160, shuffle=False), task.image, task.encode, Augment(Settings()), 1
    )
    batch = next(iter(loader.batches(0)))
    for one in (cached, live):
        one.want(wanted)
        occupancy = one(batch).occupancy
        assert occupancy is not None
        assert not occupancy[96:].any()
        assert occupancy[:96].flatten(1).sum(1).gt(0).sum() > 48


def test_a_teacher_of_features_alone_is_asked_for_readings_too():
    teacher = Says(log_probs=peaks(9.0))
    Sure(teacher, 0.9).want(Wanted(frozenset(), ("rnn2",)))
    assert teacher.wanted.kinds == {"frames"}
    Sure(teacher, 0.9).want(Wanted(frozenset({"nbest"})))
    assert teacher.wanted.kinds == {"nbest"}


def test_a_teacher_cannot_learn_without_labels(words, more_words, tmp_path):
    with pytest.raises(BadSettings, match=r"data.unlabelled: a teacher learns from labels"):
        teachers.main(
            [f"data.root={words}", f"data.unlabelled={more_words}", f"run.root={tmp_path}", "run.name=t"]
        )
