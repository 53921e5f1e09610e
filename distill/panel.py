"""The teachers of one student: each, cached or live, reconciled with it; several of them as an ensemble.

Letters: N samples, L time steps.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from distill.ensemble import Ensemble
from distill.lesson import Lesson
from distill.reconcile import Reconciled, readings, reconciled
from distill.sight import Sight
from distill.teachers import Cached, Live
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Batch
from train.charset import Charset
from train.tasks.recognise import truth

Teach = Callable[[Batch], Lesson]


@dataclass(frozen=True, slots=True)
class Member:
    """A teacher and what has to be known of it. image: what it sees, None: the student's canvas."""

    name: str  # as the student's settings call it
    teach: Teach
    charset: Charset
    frames: int
    image: ImageSpec | None = None


def of_live(live: Live) -> Member:
    """A model folder that answers live."""
    task = live.loaded.task
    return Member(f"teacher={live.folder}", live, task.charset, live.loaded.model.frames, task.image)


def of_cache(name: str, cached: Cached) -> Member:
    """A cache; that it was recorded from the student's canvases is its fingerprint's business."""
    card = cached.cache.card
    told = card.charset
    if told.get("blank") != Charset.BLANK:
        raise BadSettings(f"cache={name}: the blank is class {told.get('blank')}, not {Charset.BLANK}")
    return Member(f"cache={name}", cached, Charset(told["characters"], told["fold"]), card.frames)


def seat(
    members: Sequence[Member], task: Any, frames: int = 0, mode: str = "mean", scores: Sequence[float] = ()
) -> tuple[Teach, dict[str, Reconciled]]:
    """One teacher out of all, and by name those that had to be reconciled, whose `counts` say how they do.

    task: the student's (image and charset); frames: its L, 0 = the one teacher's own; mode and scores: those
    of `Ensemble`, read where there are several.
    """
    seated: list[Teach] = []
    for member in members:
        strange = member.image is not None and member.image != task.image
        sight = Sight(member.image, task.image) if strange else None  # type: ignore[arg-type]
        try:
            teach = reconciled(member.teach, member.charset, task.charset, member.frames, frames, sight)
        except BadSettings as error:
            raise BadSettings(f"{member.name}: {error}") from None
        seated.append(teach)
    changed = {m.name: t for m, t in zip(members, seated, strict=True) if isinstance(t, Reconciled)}
    return (seated[0] if len(seated) == 1 else Ensemble(seated, mode, scores)), changed


def accuracy(teach: Teach, batches: Iterable[Batch], charset: Charset) -> float:
    """A score: the share of labelled words that a teacher with answers in this charset reads right."""
    right = count = 0
    for batch in batches:
        lesson = teach(batch)
        texts = readings(lesson.log_probs, charset)
        for text, record, valid in zip(texts, batch.records, lesson.batch.valid.tolist(), strict=True):
            label = truth(record)
            if valid and label is not None:
                right, count = right + (charset.normalise(label) == text), count + 1
    return right / max(1, count)
