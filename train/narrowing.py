"""How a model's numbers are narrowed in an ONNX file, and which layers stay wide because they cost most."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from train.formats import INPUTS, OUTPUT
from train.models.onnx import open_session

TRIED = 64  # samples by which layers are compared

Samples = Callable[[], Iterator[list[np.ndarray]]]  # inputs of the graph, a few samples at a time


def same(made: Any) -> Any:
    """An ONNX model as it is."""
    return made


@dataclass(frozen=True, slots=True)
class Precision:
    """How an ONNX model of float32 is narrowed: `own`, with operators that ONNX Runtime alone has, or
    `standard`; wide: its layers that stay as they were; alone: an answer depends on the images beside it, so
    that each must be given alone.
    """

    name: str = "fp32"
    own: Callable[[Any], Any] = same
    standard: Callable[[Any], Any] = same
    wide: tuple[str, ...] = ()
    alone: bool = False


FULL = Precision()


class Narrower(ABC):
    """Makes one ONNX model narrower; samples: by which layers are compared.

    A member says its `name`, whether it is `lossy` (answers may change), its `layers`, and how to `narrow`;
    `thin` are layers that it never touches.
    """

    name, lossy = "", False
    thin: tuple[str, ...] = ()

    def __init__(self, made: Any, samples: Samples) -> None:
        self.made, self.samples = made, samples
        self.layers: tuple[str, ...] = ()
        self._effects: dict[str, float] = {}

    @abstractmethod
    def narrow(self, made: Any, wide: Collection[str], own: bool) -> Any:
        """The model with all layers but the wide ones narrower; own: with operators of ONNX Runtime alone."""

    def precisions(self) -> Iterator[Precision]:
        """What to try in turn: everything narrow, then ever more of the layers that cost most wide."""
        yield self.precision(())
        worst, count = self.by_effect(), 1
        while count < len(worst):
            yield self.precision(worst[:count])
            count *= 2

    def precision(self, wide: Sequence[str]) -> Precision:
        """Everything narrow but these layers."""
        own, standard = (partial(self.narrow, wide=tuple(wide), own=own) for own in (True, False))
        return Precision(self.name, own, standard, (*self.thin, *wide), self.alone(wide))

    def alone(self, wide: Collection[str]) -> bool:
        """Whether an answer depends on the images beside it; see Precision."""
        return False

    def by_effect(self) -> list[str]:
        """The layers, those first that change the logits most when they alone are narrow; measured once."""
        self._effects = self._effects or self._measured()
        return sorted(self.layers, key=lambda name: -self._effects[name])

    def _measured(self) -> dict[str, float]:
        tried, count = [], 0
        for inputs in self.samples():
            tried.append(inputs)
            count += len(inputs[0])
            if count >= TRIED:
                break
        expected, layers = _logits(self.made, tried), set(self.layers)
        return {
            name: float(
                np.abs(_logits(self.narrow(self.made, layers - {name}, True), tried) - expected).mean()
            )
            for name in self.layers
        }


def _logits(made: Any, inputs: list[list[np.ndarray]]) -> np.ndarray:
    session = open_session(made.SerializeToString(), 1)
    answers = [session.run([OUTPUT], dict(zip(INPUTS, some, strict=False)))[0] for some in inputs]
    return np.concatenate([answer.ravel() for answer in answers])
