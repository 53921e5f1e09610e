"""Teachers that read, as one: whose reading is followed, and the mean of those that read the same.

Averaging the posteriors of teachers that were trained apart fails where their spikes disagree (Kurata,
Audhkhasi 2019), so `mean` brings them under each other first, and averages only those that read the same.
All must answer in the same classes and steps: see `distill.reconcile`.
Letters: K teachers, N samples, L time steps, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from distill.alignment import align, take
from distill.lesson import Lesson
from distill.picking import picked
from shards.loader import Batch
from train.decode import Reading, greedy


class Readings:
    """See distill.ensemble.

    per_sample: the teacher whose reading has the fewest edits to the label, of equal ones that with the best
    score; without a usable label, the surest.
    mean: teachers that read the same form a group; the group with the greatest sum of scores answers with the
    mean of its posteriors, each brought onto the steps of the first. Where the mean reads otherwise, and
    where a group is one teacher, its best one answers alone. Features, hypotheses and, but for mean,
    occupancies are those of the answering teacher; with mean, those of the best of the group.
    """

    kinds = frozenset({"frames"})

    def per_sample(
        self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]
    ) -> Lesson:
        """The answers of one teacher for each sample."""
        labels, read = _labels(batch), [greedy(lesson.log_probs) for lesson in lessons]

        def order(k: int, n: int) -> tuple:
            label, reading = labels[n], read[k][n]
            wrong = -reading.confidence if label is None else Levenshtein.distance(label, reading.symbols)
            return not bool(known[k, n]), wrong, -scores[k], k

        teachers = range(len(read))
        chosen = [min(teachers, key=lambda k, n=n: order(k, n)) for n in range(len(labels))]
        return picked(lessons, torch.tensor(chosen))

    def mean(self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]) -> Lesson:
        """The mean of the best group of each sample, or its best one's answer."""
        members, best = _groups([greedy(lesson.log_probs) for lesson in lessons], known, scores)  # [K,N], [N]
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


def _groups(read: list[list[Reading]], known: Tensor, scores: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Who answers each sample, bool [K,N], and the best of them, int64 [N]."""
    members, best = torch.zeros_like(known), []
    for n in range(known.shape[1]):
        asked = [k for k in range(len(read)) if known[k, n]] or list(range(len(read)))
        groups: dict[tuple[int, ...], list[int]] = {}
        for k in asked:
            groups.setdefault(read[k][n].symbols, []).append(k)
        group = max(groups.values(), key=lambda g: (sum(scores[k] for k in g), max(scores[k] for k in g)))
        members[group, n] = True
        best.append(max(group, key=lambda k: scores[k]))
    return members, torch.tensor(best)


def _labels(batch: Batch) -> list[tuple[int, ...] | None]:
    """The classes of each label; None where there is no usable one."""
    targets = batch.targets.to("cpu")
    parts = targets.symbols.split(targets.lengths.tolist())
    return [
        tuple(part.tolist()) if usable else None
        for part, usable in zip(parts, targets.usable.tolist(), strict=True)
    ]
