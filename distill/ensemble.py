"""Several teachers as one: a Lesson for a Batch, like any other teacher's.

Averaging the posteriors of teachers that were trained apart fails where their spikes disagree (Kurata,
Audhkhasi 2019), so `mean` brings them under each other first, and averages only those that read the same.
All must answer in the same classes and steps: see `distill.reconcile`.
Letters: K teachers, N samples, L time steps, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torch.nn import functional

from distill.alignment import align, take
from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes
from distill.teachers import Wanted
from shards.errors import BadSettings
from shards.loader import Batch
from shards.lookup import unknown
from train.decode import Reading, greedy

MODES = ("mean", "best", "per_sample")
Teach = Callable[[Batch], Lesson]


class Ensemble:
    """mode, with scores (higher is better: word accuracies on one development set; none: the first is best):

    best: the teacher with the best score answers, the others are not asked.
    per_sample: the teacher whose reading has the fewest edits to the label, of equal ones that with the best
    score; without a usable label, the surest.
    mean: teachers that read the same form a group; the group with the greatest sum of scores answers with the
    mean of its posteriors, each brought onto the steps of the first. Where the mean reads otherwise, and
    where a group is one teacher, its best one answers alone.
    What a teacher does not know (not valid, not trusted) it has no say in; trusted is what anybody knows.
    Features, hypotheses and, but for mean, occupancies are those of the answering teacher; with mean, those
    of the best of the group.
    """

    def __init__(self, teachers: Sequence[Teach], mode: str, scores: Sequence[float] = ()) -> None:
        if mode not in MODES:
            raise BadSettings(unknown("ensemble", mode, list(MODES)))
        if not teachers or len(scores) not in (0, len(teachers)):
            raise BadSettings(f"ensemble={mode}: {len(teachers)} teachers and {len(scores)} scores")
        self.mode, self.scores = mode, tuple(scores) or (1.0,) * len(teachers)
        self.teachers: tuple[Any, ...] = tuple(teachers)
        if mode == "best":
            best = max(range(len(teachers)), key=lambda k: self.scores[k])
            self.teachers, self.scores = (teachers[best],), (self.scores[best],)

    @property
    def shapes(self) -> Shapes:
        """What they answer; the features that all of them have alike."""
        first = self.teachers[0].shapes
        alike = {
            name: shape
            for name, shape in first.features.items()
            if all(one.shapes.features.get(name) == shape for one in self.teachers)
        }
        return Shapes(first.frames, first.classes, alike, first.grids)

    def want(self, wanted: Wanted) -> None:
        """See distill.teachers; readings are compared, so steps are always wanted."""
        for teacher in self.teachers:
            teacher.want(replace(wanted, kinds=wanted.kinds | {"frames"}))

    def story(self) -> dict[str, Any]:
        """See distill.teachers; digests of several are joined by +."""
        told = [teacher.story() for teacher in self.teachers]
        joined = {
            key: "+".join(one[key] for one in told)
            for key in ("weights", "cache")
            if all(key in one for one in told)
        }
        return {**joined, "ensemble": self.mode, "scores": list(self.scores), "teachers": told}

    def __call__(self, batch: Batch) -> Lesson:
        lessons = [teacher(batch) for teacher in self.teachers]
        if len(lessons) == 1:
            return lessons[0]
        shapes = {tuple(lesson.log_probs.shape[1:]) for lesson in lessons}
        if len(shapes) > 1:
            told = ", ".join(f"L = {steps}, C = {classes}" for steps, classes in sorted(shapes))
            raise BadSettings(
                f"ensemble={self.mode}: the teachers answer {told}; they must be reconciled first"
            )
        known = torch.stack([_known(lesson) for lesson in lessons])  # [K,N]
        read = [greedy(lesson.log_probs) for lesson in lessons]
        if self.mode == "per_sample":
            chosen = picked(lessons, torch.tensor(self._fewest_errors(batch, read, known)))
        else:
            chosen = self._mean(lessons, read, known)
        valid = torch.stack([lesson.batch.valid for lesson in lessons]).any(0)
        trust = known.any(0).to(batch.valid.device)
        return replace(chosen, batch=replace(batch, valid=valid), trust=trust)

    def _fewest_errors(self, batch: Batch, read: list[list[Reading]], known: Tensor) -> list[int]:
        """The teacher of each sample."""
        labels = _labels(batch)

        def order(k: int, n: int) -> tuple:
            label, reading = labels[n], read[k][n]
            wrong = -reading.confidence if label is None else Levenshtein.distance(label, reading.symbols)
            return not bool(known[k, n]), wrong, -self.scores[k], k

        teachers = range(len(read))
        return [min(teachers, key=lambda k, n=n: order(k, n)) for n in range(len(labels))]

    def _mean(self, lessons: list[Lesson], read: list[list[Reading]], known: Tensor) -> Lesson:
        members, best = self._groups(read, known)  # [K,N], [N]
        first = members.int().argmax(0)
        reference = picked(lessons, first).log_probs
        answer = picked(lessons, best)
        device, count = reference.device, members.sum(0).to(reference.device)[:, None, None]
        total, occupancy = torch.full_like(reference, -torch.inf), torch.zeros_like(reference)
        told = all(lesson.occupancy is not None for lesson in lessons)
        own = torch.arange(reference.shape[1], device=device)
        for k, lesson in enumerate(lessons):
            index = torch.where((first == k).to(device)[:, None], own, align(reference, lesson.log_probs))
            inside = members[k].to(device)[:, None, None]
            same = take(lesson.log_probs, index)
            total = torch.where(inside, torch.logaddexp(total, same), total)
            if told:
                occupancy = occupancy + torch.where(inside, take(lesson.occupancy, index), 0.0)  # type: ignore[arg-type]
        mean = total - count.log()
        wanted, got = greedy(reference), greedy(mean)
        agreed = torch.tensor(
            [a.symbols == b.symbols for a, b in zip(wanted, got, strict=True)], device=device
        )
        agreed = (agreed & (count.flatten() > 1))[:, None, None]
        log_probs = torch.where(agreed, mean, answer.log_probs)
        if answer.occupancy is not None:
            answer = replace(answer, occupancy=torch.where(agreed, occupancy / count, answer.occupancy))
        return replace(answer, log_probs=log_probs)

    def _groups(self, read: list[list[Reading]], known: Tensor) -> tuple[Tensor, Tensor]:
        """Who answers each sample, bool [K,N], and the best of them, int64 [N]."""
        members, best = torch.zeros_like(known), []
        for n in range(known.shape[1]):
            asked = [k for k in range(len(read)) if known[k, n]] or list(range(len(read)))
            groups: dict[tuple[int, ...], list[int]] = {}
            for k in asked:
                groups.setdefault(read[k][n].symbols, []).append(k)
            scores = self.scores
            group = max(groups.values(), key=lambda g: (sum(scores[k] for k in g), max(scores[k] for k in g)))
            members[group, n] = True
            best.append(max(group, key=lambda k: scores[k]))
        return members, torch.tensor(best)


def picked(lessons: Sequence[Lesson], teacher: Tensor) -> Lesson:
    """A lesson with the answers of one teacher for each sample, int64 [N]."""

    def pick(values: Sequence[Tensor]) -> Tensor:
        rows = torch.arange(len(teacher), device=values[0].device)
        return torch.stack(list(values))[teacher.to(rows.device), rows]

    first = lessons[0]
    told = all(lesson.occupancy is not None for lesson in lessons)
    common = [
        name
        for name, value in first.features.items()
        if all(name in one.features and one.features[name].shape == value.shape for one in lessons)
    ]
    return replace(
        first,
        log_probs=pick([lesson.log_probs for lesson in lessons]),
        features={name: pick([lesson.features[name] for lesson in lessons]) for name in common},
        nbest=_picked_hypotheses([lesson.nbest for lesson in lessons], pick),
        occupancy=pick([lesson.occupancy for lesson in lessons]) if told else None,  # type: ignore[misc]
    )


def _picked_hypotheses(
    all_of: Sequence[Hypotheses | None], pick: Callable[[Sequence[Tensor]], Tensor]
) -> Hypotheses | None:
    """Hypotheses of one teacher for each sample; None unless all have some."""
    given = [one for one in all_of if one is not None]
    if len(given) < len(all_of):
        return None
    most, longest = (max(one.symbols.shape[axis] for one in given) for axis in (1, 2))

    def filled(values: Tensor, *room: int, fill: float = 0.0) -> Tensor:
        return functional.pad(values, room, value=fill)

    symbols = [
        filled(o.symbols, 0, longest - o.symbols.shape[2], 0, most - o.symbols.shape[1]) for o in given
    ]
    lengths = [filled(o.lengths, 0, most - o.lengths.shape[1], fill=-1) for o in given]
    scores = [filled(o.log_probs, 0, most - o.log_probs.shape[1]) for o in given]
    return Hypotheses(pick(symbols), pick(lengths), pick(scores))


def _known(lesson: Lesson) -> Tensor:
    """Which answers a teacher stands for, bool [N], on the CPU."""
    valid = lesson.batch.valid.cpu()
    return valid if lesson.trust is None else valid & lesson.trust.cpu()


def _labels(batch: Batch) -> list[tuple[int, ...] | None]:
    """The classes of each label; None where there is no usable one."""
    targets = batch.targets.to("cpu")
    parts = targets.symbols.split(targets.lengths.tolist())
    return [
        tuple(part.tolist()) if usable else None
        for part, usable in zip(parts, targets.usable.tolist(), strict=True)
    ]
