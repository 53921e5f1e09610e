"""Which characters, not when (PP-OCRv4): KL between the classes' means over the steps, the blank left out.

Works for any L of either side. It sees neither times nor order, so it goes together with CTC. The original
turns the sign of the blank's logit; here the blank is zeroed and the rest renormalised, so that mean and sum
over the steps are the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from train.charset import Charset
from train.models import Output

PAPER = "PaddleOCR 2023 (PP-OCRv4, DistillCTCLogits)"
FORMULA = "KL(u_t, u_s), u = mean_t softmax(z/tau) without the blank, renormalised"


@dataclass
class Settings(Weighted):
    """The temperature."""

    temperature: float = 0.5  # below 1, sure steps weigh more

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise BadSettings(f"method.marginal.temperature: {self.temperature}, must be above 0")


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"answers"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau = settings.temperature

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """KL(teacher, student) of the characters in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            teacher, student = self._marginal(lesson.log_probs), self._marginal(output.logits)
            return (teacher.exp() * (teacher - student)).sum(-1)

    def _marginal(self, scores: Tensor) -> Tensor:
        """Log of the renormalised mean, [N,C-1]: summed in logarithms, as peaky outputs leave next to 0."""
        log_probs = (scores.float() / self.tau).log_softmax(-1)
        return log_probs[..., Charset.BLANK + 1 :].logsumexp(1).log_softmax(-1)
