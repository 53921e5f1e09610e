"""Features of a teacher as a cache keeps them: fp16; int8, a scale for each channel of a sample; pca:D, the D
strongest directions of a calibration in fp16.

A tap is asked for as name or name:fp16, name:int8, name:pca:D.
Letters: N samples, D channels (the last axis of a sequence [L,D], the first of a map [D,h,w]), R directions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.codecs import Array
from distill.lesson import Lesson
from shards.errors import BadSettings
from shards.lookup import unknown

KINDS = ("fp16", "int8", "pca")
PREFIX = "feature."  # of the arrays
HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Tap:
    """shape: of one sample as the teacher gives it; kind; rank: of pca; basis: sha256 of its directions."""

    shape: list[int]
    kind: str = "fp16"
    rank: int = 0
    basis: str = ""


def asked(text: str) -> tuple[str, str, int]:
    """(feature, kind, rank) of what a recording was asked for."""
    name, _, kind = text.partition(":")
    kind, _, rank = (kind or "fp16").partition(":")
    if kind not in KINDS:
        raise BadSettings(unknown("taps", kind, list(KINDS)))
    if (kind == "pca") != bool(rank) or (rank and not (rank.isdigit() and int(rank) > 0)):
        example = f"{name}:pca:32" if kind == "pca" else f"{name}:{kind}"
        raise BadSettings(f"taps: {text!r}; {kind} is asked for as {example}")
    return name, kind, int(rank or 0)


def channels_last(values: Tensor) -> Tensor:
    """Maps [N,D,h,w] as [N,h*w,D]; sequences [N,L,D] as they are."""
    return values.flatten(2).transpose(1, 2) if values.dim() == 4 else values


def directions(values: Tensor, rank: int) -> np.ndarray:
    """[1 + rank, D] float32: the mean of features [N,L,D] or [N,D,h,w], then its strongest directions.

    Signs are fixed by each direction's largest entry, so that equal features give equal bytes.
    """
    rows = channels_last(values).flatten(0, 1).double()
    if rank > rows.shape[1]:
        raise BadSettings(f"taps: pca:{rank}, the feature has {rows.shape[1]} channels")
    mean = rows.mean(0)
    _, found = torch.linalg.eigh((rows - mean).T @ (rows - mean))
    strongest = found.flip(1)[:, :rank].T
    largest = strongest.gather(1, strongest.abs().argmax(1, keepdim=True))
    return torch.cat([mean[None], strongest * largest.sign()]).float().numpy()


class Feature:
    """A feature in the way its tap says; see distill.kinds.Kind. basis: as `directions` made it, for pca."""

    optional = False

    def __init__(self, name: str, tap: Tap, basis: np.ndarray | None = None) -> None:
        self.name, self.tap, self.basis = PREFIX + name, tap, basis
        self._feature = name
        last = channels_last(torch.empty(1, *tap.shape, device="meta")).shape[1:]
        if tap.kind == "int8":
            self.arrays = (
                Array(f"{self.name}.scales", "<f2", (last[-1],), float("nan")),
                Array(self.name, "|i1", tuple(last), 0),
            )
        else:
            shape = (*last[:-1], tap.rank) if tap.kind == "pca" else tuple(tap.shape)
            self.arrays = (Array(self.name, "<f2", tuple(shape), float("nan")),)

    def encode(self, lesson: Lesson, valid: Tensor) -> tuple[dict[str, np.ndarray], None]:
        """{array: [N, ...]} of the samples that are valid."""
        values = lesson.features[self._feature].cpu().float()[valid]
        if self.tap.kind == "fp16":
            return {self.name: values.clamp(-HALF, HALF).numpy().astype(np.float16)}, None
        rows = channels_last(values)
        if self.tap.kind == "pca":
            mean, basis = self._basis()
            return {self.name: ((rows - mean) @ basis.T).clamp(-HALF, HALF).numpy().astype(np.float16)}, None
        scales = (rows.abs().amax(1) / 127).clamp(1e-7, HALF).numpy().astype(np.float16)
        units = (rows.numpy() / scales.astype(np.float32)[:, None]).round().clip(-127, 127)
        return {f"{self.name}.scales": scales, self.name: units.astype(np.int8)}, None

    def decode(self, arrays: dict[str, np.ndarray]) -> Tensor:
        """The feature, float32 [N, ...]."""
        values = torch.from_numpy(arrays[self.name].astype(np.float32))
        if self.tap.kind == "int8":
            values = values * torch.from_numpy(arrays[f"{self.name}.scales"].astype(np.float32))[:, None]
        if self.tap.kind == "pca":
            mean, basis = self._basis()
            values = values @ basis + mean
        if self.tap.kind != "fp16" and len(self.tap.shape) == 3:
            values = values.transpose(1, 2)
        return values.reshape(-1, *self.tap.shape)

    def _basis(self) -> tuple[Tensor, Tensor]:
        whole = torch.from_numpy(np.asarray(self.basis))
        return whole[0], whole[1:]
