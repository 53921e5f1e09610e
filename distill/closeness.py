"""How close a student's answers are to its teacher's while it learns: `train.fidelity` of a lesson."""

from torch import Tensor

from distill.lesson import Lesson
from train import fidelity
from train.models import Output


def of(output: Output, lesson: Lesson) -> dict[str, Tensor]:
    """The measures of each sample [N] by the names they are logged under; none where steps of student and
    teacher cannot be compared.
    """
    if output.logits.shape != lesson.log_probs.shape:
        return {}
    found = fidelity.of(output.logits.detach().float().log_softmax(-1), lesson.log_probs)
    return {f"fidelity/{name}": values for name, values in found.items()}
