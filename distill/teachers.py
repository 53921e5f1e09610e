"""Teachers: what gives a student its Lesson. All are callables from a Batch; none is a part of the Step.

A cached and a live teacher answer alike, up to the codec's error: both see the very canvases of the batch.
Letters: N samples, L time steps, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from distill.cache import Cache
from distill.lesson import Lesson
from shards.errors import BadSettings
from shards.loader import Batch
from shards.lookup import unknown
from train import modelfolder

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


class NoTeacher:
    """The control's: nobody answers."""

    def __call__(self, batch: Batch) -> Lesson:
        return Lesson(batch, torch.empty(0))


class Cached:
    """Answers from a cache. taps: the features that are wanted."""

    def __init__(self, cache: Cache, taps: Sequence[str] = ()) -> None:
        self.cache, self.taps = cache, tuple(taps)
        self.absent = torch.tensor([int(uid, 16) for uid in cache.damaged]) if cache.damaged else None

    def __call__(self, batch: Batch) -> Lesson:
        valid = batch.valid.cpu()
        if self.absent is not None:  # what the teacher could not read teaches nothing
            valid = valid & ~torch.isin(batch.uids, self.absent)
            batch = replace(batch, valid=valid.to(batch.valid.device))
        uids, views = batch.uids[valid].numpy(), batch.view[valid.numpy()]

        def whole(answers: Tensor) -> Tensor:  # a row that is not valid has no answer, and counts nowhere
            out = answers.new_zeros(len(valid), *answers.shape[1:])
            out[valid] = answers
            return out.to(batch.images.device)

        features = {tap: whole(self.cache.features(tap, uids, views)) for tap in self.taps}
        return Lesson(batch, whole(self.cache.rows(uids, views)), features)


class Live:
    """Answers from a model folder: in eval mode, without gradients. precision: fp32 or bf16."""

    def __init__(
        self,
        folder: str | Path,
        device: str | torch.device = "cpu",
        precision: str = "fp32",
        taps: Sequence[str] = (),
    ) -> None:
        if precision not in PRECISIONS:
            raise BadSettings(unknown("precision", precision, list(PRECISIONS)))
        self.folder, self.taps, self.precision = Path(folder), tuple(taps), precision
        self.loaded = modelfolder.load(folder, device)
        self.loaded.model.to(memory_format=torch.channels_last).requires_grad_(False)

    def __call__(self, batch: Batch) -> Lesson:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        lower = PRECISIONS[self.precision]
        with torch.no_grad(), torch.autocast(images.device.type, lower, enabled=lower is not None):
            output = self.loaded.model(images)
        for tap in self.taps:
            if tap not in output.features:
                raise BadSettings(unknown("taps", tap, sorted(output.features)))
        features = {tap: output.features[tap].float() for tap in self.taps}
        return Lesson(batch, output.logits.float().log_softmax(-1), features)
