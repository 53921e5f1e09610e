"""What has to be measured before a recording: the prior of the classes, the directions of features."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from distill import canvases, chunks, fingerprint, layout, taps
from distill.codecs import Kept
from shards.errors import BadData
from shards.loader import Loader
from shards.plan import part_of

if TYPE_CHECKING:
    from distill.recording import Settings

CALIBRATION = 1024  # samples from which it is measured


def measured(
    settings: "Settings", teacher: Any, loader: Loader, kept: Callable[..., Kept]
) -> tuple[Kept, dict[str, taps.Tap], dict[str, np.ndarray]]:
    """How answers and features are kept, and the directions of those kept by pca.

    kept: (settings, answers) -> the codec and its numbers, of distill.answers.
    What is measured, the prior and the directions, is taken from the cache that stands in out=, where there
    is one that is kept alike: a device may not measure the same bits twice.
    """
    asked = {name: (kind, rank) for name, kind, rank in map(taps.asked, settings.taps)}
    if (Path(settings.out) / fingerprint.NAME).exists():
        card = fingerprint.load(Path(settings.out) / fingerprint.NAME)
        ways = {name: (tap.kind, tap.rank) for name, tap in card.taps.items()}
        if ways == asked and _alike(settings, card.codec):
            with suppress(BadData):  # damaged directions are measured again
                return card.codec, card.taps, layout.bases_of(Path(settings.out), card)
    answers, features = _calibration(settings, teacher, loader)
    tapped, bases = {}, {}
    for name, (kind, rank) in asked.items():
        basis = ""
        if kind == "pca":
            bases[name] = taps.directions(features[name], rank)
            basis = chunks.digest(bases[name])
        tapped[name] = taps.Tap(list(teacher.shapes.features[name]), kind, rank, basis)
    return kept(settings, answers), tapped, bases


def _alike(settings: "Settings", kept: Kept) -> bool:
    """Whether a standing cache keeps answers in the way that is asked for."""
    if kept.name == "topk":
        return settings.codec == "topk" and settings.k == kept.k
    if kept.name == "cells":
        return settings.codec == "dense" or settings.cells == kept.k
    return settings.codec in ("auto", kept.name) and settings.bytes in (0, kept.bytes)


def _calibration(settings: "Settings", teacher: Any, loader: Loader) -> tuple[Tensor, dict[str, Tensor]]:
    """The teacher's answers to some samples, evenly spaced, each in one of the views, and features."""
    answers, features = [], {name: [] for name in teacher.wanted.taps}
    positions = np.unique(canvases.sample(loader.shards, CALIBRATION))
    pieces = max(-(-len(positions) // settings.batch), min(settings.views, len(positions)))
    for place in range(pieces):
        part = part_of(positions[place::pieces], settings.batch)
        lesson = teacher.plain(loader.batch(part, place % settings.views))
        valid = lesson.batch.valid.cpu()
        answers.append(lesson.answers.cpu()[valid])
        for name, values in lesson.features.items():
            features[name].append(values.cpu()[valid])
    if not any(map(len, answers)):
        raise BadData(f"{settings.data.root[0]}: none of {len(positions)} samples can be read")
    return torch.cat(answers), {name: torch.cat(values) for name, values in features.items()}
