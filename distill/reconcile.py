"""A teacher that counts, spells or sees differently than its student: brought onto the student's side.

- Image: the teacher sees a canvas made out of the student's (`distill.sight`).
- Charset: a class of the teacher adds its probability to the class of the student's character that its own
  becomes under the student's NFC and fold; what becomes none is dropped, and the row renormalised.
- Time: steps go onto the student's without changing the reading (`distill.alignment`).
An answer teaches (`trust`) only if it reads the same before and after, and if its label holds no character
that the teacher lacks. Where nothing differs, nothing is done. A teacher that knows less than half of the
student's characters is refused.
Letters: N samples, T L the steps of teacher and student, C classes, B hypotheses, S their longest.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from distill.alignment import respace, take
from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes
from distill.sight import Sight
from distill.teachers import Wanted
from shards.errors import BadSettings
from shards.loader import Batch
from train.charset import Charset
from train.decode import greedy
from train.wordscore import truth

FLOOR = 1e-9  # probability of a character that the teacher lacks
SHARE = 0.5  # of the student's characters that a teacher must know

Teach = Callable[[Batch], Lesson]


class Reconciled:
    """A teacher as its student needs it: same batch in, answers in the student's classes and steps out.

    theirs, mine: the charsets; frames: the student's L, 0 = as many as the teacher has; sight: makes the
    teacher's canvases, None where it sees the student's. `counts`: valid answers so far, and those that were
    not trusted, by reason: "characters" (the reading holds what the student has no class for, or letters that
    became neighbours when they became equal), "steps" (it needs more than L), "label" (it holds what the
    teacher lacks).
    """

    def __init__(
        self, teacher: Teach, theirs: Charset, mine: Charset, frames: int = 0, sight: Sight | None = None
    ) -> None:
        self.teacher: Any = teacher
        self.theirs, self.mine = theirs, mine
        self.frames, self.sight, self.counts = frames, sight, Counter()
        self.mapping = class_map(theirs, mine)
        known = {mine.characters[i - 1] for i in self.mapping.tolist() if i > 0}
        self.lacked = frozenset(mine.characters) - known
        if 1 - len(self.lacked) / len(mine.characters) < SHARE:
            raise BadSettings(
                f"charset: the teacher knows {len(mine.characters) - len(self.lacked)} of the student's "
                f"{len(mine.characters)} characters; it must know half of them"
            )

    @property
    def shapes(self) -> Shapes:
        """What it answers, as the student needs it."""
        own = self.teacher.shapes
        return Shapes(self.frames or own.frames, self.mine.size, own.features)

    def want(self, wanted: Wanted) -> None:
        """See distill.teachers; what is read tells whether an answer can be trusted, so steps always are."""
        self.teacher.want(replace(wanted, kinds=wanted.kinds | {"frames"}))

    def story(self) -> dict[str, Any]:
        """See distill.teachers."""
        return {
            **self.teacher.story(),
            "reconciled": {"charset": self.mine.to_dict(), "frames": self.shapes.frames},
        }

    def __call__(self, batch: Batch) -> Lesson:
        seen = batch if self.sight is None else replace(batch, images=self.sight(batch))
        lesson = self.teacher(seen)
        before = [self.mine.normalise(text) for text in readings(lesson.log_probs, self.theirs)]
        lesson = folded_lesson(lesson, self.mapping, self.mine.size)
        lesson, fits = self._respaced(lesson, batch)
        same = [a == b for a, b in zip(before, readings(lesson.log_probs, self.mine), strict=True)]
        trust = self._trust(lesson, torch.tensor(same), fits.cpu())
        batch = replace(
            lesson.batch, images=batch.images
        )  # the teacher may have masked what it cannot answer
        return replace(lesson, batch=batch, trust=trust.to(batch.valid.device))

    def _respaced(self, lesson: Lesson, batch: Batch) -> tuple[Lesson, Tensor]:
        """The lesson on the student's steps, and whether each reading fits into them."""
        log_probs = lesson.log_probs
        n, t = log_probs.shape[:2]
        frames = self.frames or t
        if frames == t and self.sight is None:
            return lesson, torch.ones(n, dtype=torch.bool)
        centres = (torch.arange(t, device=log_probs.device) + 0.5) / t
        if self.sight is not None:
            centres = self.sight.centres(batch, t).to(log_probs.device)
        index, fits = respace(log_probs, centres, frames)
        occupancy = None if lesson.occupancy is None else take(lesson.occupancy, index)
        return replace(lesson, log_probs=take(log_probs, index), occupancy=occupancy), fits

    def _trust(self, lesson: Lesson, same: Tensor, fits: Tensor) -> Tensor:
        labels = [truth(record) or "" for record in lesson.batch.records]
        known = torch.tensor([not self.lacked & set(self.mine.normalise(label)) for label in labels])
        valid = lesson.batch.valid.cpu()
        self.counts["answers"] += int(valid.sum())
        for reason, wrong in (
            ("steps", ~fits), ("characters", fits & ~same), ("label", fits & same & ~known),
        ):  # fmt: skip
            self.counts[reason] += int((valid & wrong).sum())
        already = torch.ones_like(valid) if lesson.trust is None else lesson.trust.cpu()
        return already & same & known


def reconciled(
    teacher: Any, theirs: Charset, mine: Charset, frames: int = 0, sight: Sight | None = None
) -> Any:
    """The teacher itself where nothing differs, else `Reconciled`."""
    if theirs == mine and frames in (0, teacher.shapes.frames) and sight is None:
        return teacher
    return Reconciled(teacher, theirs, mine, frames, sight)


def for_task(live: Any, task: Any, frames: int = 0) -> Any:
    """A `Live` teacher for a student of this task (charset and image) and of `frames` steps."""
    theirs = live.loaded.task
    sight = Sight(theirs.image, task.image) if theirs.image != task.image else None
    return reconciled(live, theirs.charset, task.charset, frames, sight)


def class_map(theirs: Charset, mine: Charset) -> Tensor:
    """The student's class of each class of the teacher, int64 [C]; -1: there is none."""
    own = {character: i for i, character in enumerate(mine.characters, start=1)}
    classes = [own.get(mine.normalise(character), -1) for character in theirs.characters]
    return torch.tensor([Charset.BLANK, *classes])


def fold(log_probs: Tensor, mapping: Tensor, size: int) -> Tensor:
    """Log-probabilities [N,T,C] of the teacher's classes as those of `size` classes of the student's."""
    if len(mapping) == size and torch.equal(mapping, torch.arange(size)):
        return log_probs
    kept = (mapping >= 0).nonzero().flatten().to(log_probs.device)
    shares = log_probs.index_select(-1, kept).exp()
    out = shares.new_zeros(*shares.shape[:-1], size)
    out.index_add_(-1, mapping.to(kept.device)[kept], shares)
    out.clamp_(min=FLOOR)
    out[..., Charset.BLANK].clamp_(min=2 * FLOOR)  # a row that held nothing but dropped classes reads nothing
    return out.log_().log_softmax(-1)


def folded_lesson(lesson: Lesson, mapping: Tensor, size: int) -> Lesson:
    """All that speaks of classes, in the student's."""
    occupancy, nbest = lesson.occupancy, lesson.nbest
    if occupancy is not None:
        there = occupancy.sum(-1, keepdim=True) > 0  # labels without an alignment stay without
        occupancy = torch.where(there, fold(occupancy.clamp(min=FLOOR).log(), mapping, size).exp(), 0.0)
    if nbest is not None:
        nbest = fold_hypotheses(nbest, mapping)
    log_probs = fold(lesson.log_probs, mapping, size)
    return replace(lesson, log_probs=log_probs, occupancy=occupancy, nbest=nbest)


def fold_hypotheses(nbest: Hypotheses, mapping: Tensor) -> Hypotheses:
    """Hypotheses in the student's classes: those with a dropped character go, those that become equal are one
    with the probability of both; best first.
    """
    symbols, lengths = mapping[nbest.symbols.cpu()], nbest.lengths.cpu()
    out = Hypotheses(
        torch.zeros_like(symbols), torch.full_like(lengths, -1), torch.zeros_like(nbest.log_probs.cpu())
    )
    for row, (strings, sizes, scores) in enumerate(
        zip(symbols.tolist(), lengths.tolist(), nbest.log_probs.cpu(), strict=True)
    ):
        found: dict[tuple[int, ...], Tensor] = {}
        for string, size, score in zip(strings, sizes, scores, strict=True):
            text = tuple(string[: max(size, 0)])
            if size >= 0 and -1 not in text:
                found[text] = torch.logaddexp(found[text], score) if text in found else score
        for place, (text, score) in enumerate(sorted(found.items(), key=lambda item: -float(item[1]))):
            out.symbols[row, place, : len(text)] = torch.tensor(text, dtype=torch.int64)
            out.lengths[row, place], out.log_probs[row, place] = len(text), score
    return out.to(nbest.symbols.device)


def readings(log_probs: Tensor, charset: Charset) -> list[str]:
    """What each sample's best path spells."""
    return [charset.decode(reading.symbols) for reading in greedy(log_probs)]
