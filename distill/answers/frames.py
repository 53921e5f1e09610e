"""Classes step by step, of what reads strings."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from distill import sizing
from distill.codecs import Kept, sequence
from distill.ensemble import Ensemble
from distill.fingerprint import Card
from distill.frames import kl, rows
from distill.lesson import Lesson
from distill.reconcile import for_task, reconciled
from distill.teachers import Derived
from distill.trust import Sure
from shards.loader import Batch
from train.charset import Charset

if TYPE_CHECKING:
    from distill.recording import Settings

KINDS = ("frames", "nbest", "occupancy")


def lesson(batch: Batch, logits: Tensor, features: dict[str, Tensor]) -> Lesson:
    """Log-probabilities of logits [N,T,C]."""
    return Lesson(batch, logits.log_softmax(-1), features)


def divergence(told: Tensor, said: Tensor) -> Tensor:
    """Of the classes, at each step."""
    return kl(rows(told), rows(said))


def text(logits: Tensor) -> Tensor:
    """That a step is no blank."""
    return 1 - logits.float().softmax(-1)[..., Charset.BLANK]


def identity(task: Any) -> dict[str, Any]:
    """Which class means what."""
    return {**task.charset.to_dict(), "blank": task.charset.BLANK}


def live(teacher: Any, task: Any, frames: int = 0) -> Any:
    """Brought onto other classes, steps and canvases where these differ."""
    return for_task(teacher, task, frames)


def recorded(teacher: Any, card: Card, task: Any, frames: int = 0) -> Any:
    """Brought onto other classes and steps where these differ."""
    theirs = Charset(*(card.charset[name] for name in ("characters", "fold")))
    return reconciled(teacher, theirs, task.charset, frames)


def derived(teacher: Any) -> Derived:
    """Readings and occupancies worked out of the classes."""
    return Derived(teacher)


def together(teachers: list[Any], ensemble: str, known: list[float], task: Any) -> Any:
    """See distill.ensemble."""
    return Ensemble(teachers, ensemble, known)


def sure(teacher: Any, least: float) -> Sure:
    """By the probability of its reading."""
    return Sure(teacher, least)


def kept(settings: "Settings", answers: Tensor) -> Kept:
    """The codec asked for, as small as kl_limit allows where no size is given."""
    if settings.codec in ("topk", "dense"):
        return Kept(settings.codec, k=settings.k if settings.codec == "topk" else 0)
    if not settings.bytes:
        return sizing.kept(answers, settings.kl_limit, settings.codec)
    return Kept("sequence", bytes=settings.bytes, prior=sequence.prior(answers))
