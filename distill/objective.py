"""The objective: (1 - sum of weights) x task loss + weight x loss of each method, as a Step for `fit`."""

from typing import Any

from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import NEEDS, Shapes, Sides
from shards import lookup
from shards.errors import BadSettings
from shards.lookup import unknown
from train.steps import TaskStep, mean

SLACK = 1e-9  # weights like .7 + .3 do not add up to 1 exactly


class Objective(TaskStep):
    """A student's step. methods: name -> settings of that member of distill.methods; none = the control."""

    def __init__(
        self, model: nn.Module, task: Any, methods: dict[str, Any], student: Shapes, teacher: Shapes
    ) -> None:
        super().__init__(model, task)
        self.weights = {name: float(settings.weight) for name, settings in methods.items()}
        sides = Sides(task, student, teacher)
        self.methods = nn.ModuleDict(
            {n: lookup.find("distill.methods", n).Method(s, sides) for n, s in methods.items()}
        )
        total = sum(self.weights.values())
        if total > 1 + SLACK or min(self.weights.values(), default=0.0) < 0:
            shares = ", ".join(f"method.{name}.weight={weight}" for name, weight in self.weights.items())
            raise BadSettings(f"{shares}: weights are shares of the loss, at least 0 and together at most 1")
        self.task_weight = max(0.0, 1 - total)
        for need in sorted(self.needs - set(NEEDS)):
            raise BadSettings(unknown("methods: needs", need, list(NEEDS)))

    @property
    def needs(self) -> frozenset[str]:
        """What all methods together ask of teacher and student."""
        return frozenset(need for method in self.methods.values() for need in method.needs)  # type: ignore[union-attr]

    @property
    def formula(self) -> str:
        """What "loss" is, in words; weights of 0 too: such a term teaches nothing."""
        return " + ".join(
            f"{weight:g} {name}" for name, weight in {"task": self.task_weight, **self.weights}.items()
        )

    def forward(self, lesson: Lesson) -> dict[str, Tensor]:
        """Raw terms by name, and "loss", their weighted sum: shares of the mean over the global batch."""
        batch = lesson.batch
        output = self.answer(batch)
        out = {name: mean(values, batch) for name, values in self.task.loss(output, batch.targets).items()}
        loss = self.task_weight * out["task"]
        for name, method in self.methods.items():
            out[name] = mean(method(output, lesson), batch)
            loss = loss + self.weights[name] * out[name]
        return {"loss": loss, **out}
