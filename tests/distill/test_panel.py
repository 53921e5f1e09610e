"""Teachers of all kinds around one student: a cache, a live model, a file of another project."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from distill import record
from distill.cache import Cache
from distill.panel import accuracy, of_cache, of_live, seat
from distill.reconcile import Reconciled
from distill.teachers import Cached, Live
from shards.augment import Augment, Settings
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from train import checkpoint
from train.charset import Charset
from train.tasks import recognise

IMAGE = ["image.height=16", "image.width=48", "image.channels=bgr", "image.fit=keep"]


@pytest.fixture
def foreign(tiny_onnx, tmp_path):
    """A model folder made of a tiny ONNX file with 40 classes."""
    tiny_onnx(tmp_path / "rec.onnx", classes=40, metadata="\n".join(Charset.named("36").characters + "甲乙"))
    out = tmp_path / "foreign"
    checkpoint.main([
        "format=onnx", f"weights={tmp_path / 'rec.onnx'}", f"out={out}", "space=true", *IMAGE
    ])  # fmt: skip
    return out


def batches(words, task, size=16):
    shards = Shards([words], "train")
    plan = Plan(shards.uids, size, shuffle=False)
    return Loader(shards, plan, task.image, task.encode, Augment(AUGMENT), 2, "plain", 1).batches(0)


AUGMENT = Settings()


def student(charset="36"):
    return recognise.Task(recognise.Settings(charset), ImageSpec())


def test_a_foreign_file_fills_a_cache_like_any_teacher(foreign, words, tmp_path, recipe):
    record.main(recipe(foreign, words, tmp_path / "cache", "views=1", "codec=dense"))
    cache = Cache(tmp_path / "cache")
    assert (cache.card.frames, cache.card.classes) == (12, 40)
    live, task = Live(foreign), recognise.Task(recognise.Settings("own", "0123456789a"), ImageSpec())
    own = live.loaded.task
    batch = next(batches(words, own))
    got = Cached(cache)(batch).log_probs
    assert torch.allclose(got.exp(), live(batch).log_probs.exp(), atol=2e-3)
    teach, changed = seat([of_cache("cache", Cached(cache))], task, 24)
    assert list(changed) == ["cache=cache"]
    assert teach(batch).log_probs.shape == (16, 24, 12)


def test_one_teacher_that_fits_is_left_alone(teacher):
    live = Live(teacher)
    teach, changed = seat([of_live(live)], live.loaded.task, live.loaded.model.frames)
    assert teach is live
    assert changed == {}


def test_teachers_of_all_kinds_answer_one_student(foreign, teacher, make_teacher, words, tmp_path):
    task = student()
    members = [
        of_live(Live(path)) for path in (teacher, foreign, make_teacher(tmp_path / "94", 3, charset="94"))
    ]
    batch = next(batches(words, task))
    for mode in ("mean", "best", "per_sample"):
        teach, changed = seat(members, task, 24, mode, [0.1, 0.3, 0.2])
        lesson = teach(batch)
        assert lesson.log_probs.shape == (16, 24, 37)
        assert torch.equal(lesson.batch.images, batch.images)
        assert lesson.trust.dtype == torch.bool
        assert list(changed) == [f"teacher={foreign}", f"teacher={tmp_path / '94'}"]
        assert all(isinstance(one, Reconciled) for one in changed.values())


def test_a_stranger_is_refused_by_name(foreign):
    task = recognise.Task(recognise.Settings("own", "αβγδ"), ImageSpec())
    with pytest.raises(BadSettings, match=r"foreign: charset: the teacher knows 0 of the student's 4"):
        seat([of_live(Live(foreign))], task, 24)


def test_a_score_is_the_share_of_words_read_right(words):
    task = student()
    known = list(batches(words, task))

    def perfect(batch):
        labels = [task.charset.encode(recognise.truth(r)) for r in batch.records]
        paths = np.zeros((len(labels), 60), np.int64)
        for row, label in enumerate(labels):
            paths[row, : 2 * len(label) : 2] = label
        log_probs = torch.nn.functional.one_hot(torch.from_numpy(paths), 37).float() * 30
        return SimpleNamespace(log_probs=log_probs, batch=batch)

    assert accuracy(perfect, known, task.charset) == 1
    assert accuracy(perfect, [], task.charset) == 0
