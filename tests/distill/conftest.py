"""Fixtures: tiny teachers with decided answers, and a recorded cache."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from distill import record
from shards import augment
from shards.image import ImageSpec
from train import modelfolder
from train.models import crnn
from train.tasks import recognise

RICH = ["kinds=[frames,nbest,occupancy]", "taps=[rnn1:pca:4,rnn2:int8,sequence]", "kl_limit=1", "batch=8"]
AUGMENT = augment.Settings(blur=1.0, noise=0.05, rotation=3.0)


def save_teacher(
    folder: Path, seed: int = 0, image: ImageSpec | None = None, charset: str = "36", **more
) -> Path:
    """A random model whose last layer is scaled up, so that its answers are as peaky as a trained one's."""
    torch.manual_seed(seed)
    task = recognise.Task(recognise.Settings(charset), image or ImageSpec())
    settings = crnn.Settings(channels=[4, 4, 8, 8, 8, 8, 8], map_to_seq=8, rnn_hidden=8, **more)
    model = crnn.Model(settings, task.image, task.channels)
    with torch.no_grad():
        model.dense.weight.mul_(20)
    extra = {"augment": asdict(AUGMENT)}
    modelfolder.save(folder, model, task, model_name="crnn", task_name="recognise", extra=extra)
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory) -> Path:
    """A model folder."""
    return save_teacher(tmp_path_factory.mktemp("models") / "teacher")


@pytest.fixture(scope="session")
def cache(words, teacher, tmp_path_factory) -> Path:
    """Two views of 96 words in shards of 40, dense, with one tap."""
    out = tmp_path_factory.mktemp("caches") / "dense"
    record.main(arguments(teacher, words, out, "codec=dense", "taps=[rnn2]"))
    return out


@pytest.fixture(scope="session")
def rich(words, teacher, tmp_path_factory) -> Path:
    """Two views of 96 words in shards of 40: every kind of answer, a tap of each kind."""
    out = tmp_path_factory.mktemp("caches") / "rich"
    record.main(arguments(teacher, words, out, *RICH))
    return out


def arguments(teacher: Path, words: Path, out: Path, *more: str) -> list[str]:
    """Arguments of distill/record.py."""
    return [f"checkpoint={teacher}", f"data.root={words}", f"out={out}", "views=2", "batch=16", *more]


@pytest.fixture(scope="session")
def recipe():
    """arguments(teacher, words, out, *more) of distill/record.py: conftest files cannot be imported."""
    return arguments


@pytest.fixture(scope="session")
def full() -> list[str]:
    """Arguments that `rich` was recorded with."""
    return RICH


@pytest.fixture(scope="session")
def make_teacher():
    """save_teacher(folder, seed, image, charset, settings of the model)."""
    return save_teacher


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Arguments that make a student as small as the teacher."""
    return ["model.channels=[4,4,8,8,8,8,8]", "model.map_to_seq=8", "model.rnn_hidden=8"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def files():
    """contents(folder) -> {path: bytes}."""
    return contents
