"""Of the lessons of several teachers one, with the answer of one of them to each sample.

Letters: K teachers, N samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from distill.lesson import Hypotheses, Lesson


def picked(lessons: Sequence[Lesson], teacher: Tensor) -> Lesson:
    """A lesson with the answers of one teacher for each sample, int64 [N]."""

    def pick(values: Sequence[Tensor]) -> Tensor:
        rows = torch.arange(len(teacher), device=values[0].device)
        return torch.stack(list(values))[teacher.to(rows.device), rows]

    def of_all(name: str) -> Tensor | None:
        given = [getattr(lesson, name) for lesson in lessons]
        return None if any(one is None for one in given) else pick(given)

    first = lessons[0]
    common = [
        name
        for name, value in first.features.items()
        if all(name in one.features and one.features[name].shape == value.shape for one in lessons)
    ]
    return replace(
        first,
        log_probs=pick([one.log_probs for one in lessons]) if first.log_probs.numel() else first.log_probs,
        features={name: pick([lesson.features[name] for lesson in lessons]) for name in common},
        nbest=_picked_hypotheses([lesson.nbest for lesson in lessons], pick),
        occupancy=of_all("occupancy"),
        cells=of_all("cells"),
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
