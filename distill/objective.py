"""The objective: (1 - sum of weights) x task loss + weight x loss of each method, as a Step for `fit`.

Where methods ask for `peers`, other students learn beside the first, each with methods, and so adapters, of
its own, by the same weights; the loss is the sum over all of them, what is told of one stands under peer1/.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from distill import closeness
from distill.lesson import Lesson
from distill.methods import NEEDS, PEERS, STRINGS, Shapes, Sides
from shards import lookup
from shards.errors import BadSettings, GateFailed
from shards.lookup import unknown
from train.models import Output
from train.steps import PULL, TaskStep, mean

SLACK = 1e-9  # weights like .7 + .3 do not add up to 1 exactly
STILL = 5  # watched steps in a row in which a term that has weight may pull at nothing


class Objective(TaskStep):
    """A student's step. methods: name -> settings of that member of distill.methods; none = the control.

    peers: objectives of the students that learn beside this one, by the same settings.
    """

    def __init__(
        self, model: nn.Module, task: Any, methods: dict[str, Any], student: Shapes, teacher: Shapes,
        changes: nn.ModuleDict | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, task, changes)
        sides = Sides(task, student, teacher)
        self.settings, self.still = methods, dict.fromkeys(methods, 0)
        self.methods = nn.ModuleDict(
            {n: lookup.find("distill.methods", n).Method(s, sides) for n, s in methods.items()}
        )
        self.peers = nn.ModuleList()
        for progress in sorted({0.0, *(at for s in methods.values() for at, _ in s.points())}):
            shares = {name: s.share(progress) for name, s in methods.items()}
            if sum(shares.values()) > 1 + SLACK or min(shares.values(), default=0.0) < 0:
                told = ", ".join(f"method.{name}.weight={share:g}" for name, share in shares.items())
                at = f" (at {progress:g} of the run)" if progress else ""
                raise BadSettings(
                    f"{told}{at}: weights are shares of the loss, at least 0 and together at most 1"
                )
        for need in sorted(self.needs - set(NEEDS)):
            raise BadSettings(unknown("methods: needs", need, list(NEEDS)))
        self._check_strings()

    def _check_strings(self) -> None:
        """Refuses methods that compare readings, for a task that reads none."""
        for name, method in self.methods.items():
            if (asked := STRINGS & set(method.needs)) and not hasattr(self.task, "charset"):  # type: ignore[arg-type]
                raise BadSettings(
                    f"method={name}: asks for {', '.join(sorted(asked))}, and this task finds words without "
                    "reading them; method=? says which methods ask for cells or features alone"
                )

    @property
    def needs(self) -> frozenset[str]:
        """What all methods together ask of a teacher."""
        return frozenset(need for method in self.methods.values() for need in method.needs)  # type: ignore[union-attr]

    @property
    def taps(self) -> tuple[str, ...]:
        """The teacher's features that all methods together ask for."""
        found = [tap for method in self.methods.values() for tap in getattr(method, "taps", ())]
        return tuple(dict.fromkeys(found))

    @property
    def formula(self) -> str:
        """What "loss" is, in words; weights of 0 too: such a term teaches nothing."""
        told = {name: f"{s.weight:g}{' (scheduled)' * bool(s.schedule)}" for name, s in self.settings.items()}
        task = f"{max(0.0, 1 - sum(s.weight for s in self.settings.values())):g}"
        terms = " + ".join(f"{weight} {name}" for name, weight in {super().formula: task, **told}.items())
        return f"{terms}, of {1 + len(self.peers)} students each" if self.peers else terms

    def shares(self) -> dict[str, float]:
        """Every term's share of the loss as the run stands."""
        found = {name: s.share(self.progress) for name, s in self.settings.items()}
        return {"task": max(0.0, 1 - sum(found.values())), **found}

    def forward(self, lesson: Lesson) -> dict[str, Tensor]:
        """Raw terms by name, and "loss", their weighted sum: shares of the mean over the global batch.

        In watched steps also what each weighted term pulls at the student's answers, and how close these are
        to the teacher's.
        """
        shares, students = self.shares(), [self, *self.peers]
        outputs = [student.answer(lesson.batch) for student in students]
        lessons = [_beside(lesson, mine, outputs) for mine in outputs]
        found = [student._terms(*told) for student, *told in zip(students, outputs, lessons, strict=True)]
        each = [shares[name] * term for terms, _ in found for name, term in terms.items()]
        out = {"loss": sum(each, torch.zeros(())), **found[0][0], **found[0][1]}
        for place, (terms, watched) in enumerate(found[1:], 1):
            out |= {f"peer{place}/{name}": value for name, value in {**terms, **watched}.items()}
        if self.watched and self.methods:
            out |= self._pulls(outputs[0], lessons[0], shares)
            out |= {name: mean(v, lesson.batch) for name, v in closeness.of(outputs[0], lesson).items()}
        return out

    def _terms(self, output: Output, lesson: Lesson) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The terms of the loss, and what the task has watched beside them."""
        batch = lesson.batch
        watched = {name: mean(values, batch) for name, values in self.told_by_task(output, batch).items()}
        terms = {"task": watched.pop("task")}
        for name, method in self.methods.items():
            values = method(output, lesson)
            doubted = lesson.trust is not None and method.needs != PEERS  # trust is in the teacher
            told = torch.where(lesson.trust, values, 0.0) if doubted else values  # type: ignore[arg-type]
            terms[name] = mean(told, batch)
            dropped: Any = getattr(method, "dropped", None)
            if dropped is not None:  # hypotheses that the student's steps cannot spell, to a sample
                watched[f"{name}/dropped"] = dropped.float() / batch.denominator
        if lesson.trust is not None:
            watched["trusted"] = mean(lesson.trust.float(), batch)
        return terms, watched

    def _pulls(self, output: Output, lesson: Lesson, shares: dict[str, float]) -> dict[str, Tensor]:
        """Squared norm of the gradient of each weighted term at the student's answers."""
        features = {name: value.detach().requires_grad_() for name, value in output.features.items()}
        leaves = Output(output.logits.detach().requires_grad_(), output.grids, features)
        out = {}
        with torch.enable_grad():
            terms, _ = self._terms(leaves, lesson)
            for name, term in terms.items():
                share, found = shares[name], ()
                if term.requires_grad:
                    inputs = [leaves.logits, *features.values()]
                    found = torch.autograd.grad(share * term, inputs, retain_graph=True, allow_unused=True)
                elif share > 0:
                    raise GateFailed(f"method.{name} has weight {share:g} but no gradient at all")
                pulls = [g.float().square().sum() for g in found if g is not None]
                out[PULL + name] = torch.stack(pulls).sum() if pulls else torch.zeros_like(term)
        return out

    def told(self, terms: dict[str, float]) -> None:
        """Stops a run in which a term has weight but pulls at nothing, step after step."""
        for name, share in self.shares().items():
            if name == "task" or PULL + name not in terms:
                continue
            self.still[name] = self.still[name] + 1 if share > 0 and terms[PULL + name] == 0 else 0
            if self.still[name] >= STILL:
                raise GateFailed(
                    f"method.{name} has weight {share:g} but no gradient in {STILL} watched steps: it "
                    f"teaches nothing; leave it out, or see what the teacher answers"
                )


def _beside(lesson: Lesson, mine: Output, outputs: list[Output]) -> Lesson:
    """The lesson of a student with what the others answer, which it does not pull at."""
    others = tuple(other.logits.detach() for other in outputs if other is not mine)
    return replace(lesson.beside(mine), peers=others)
