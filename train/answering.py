"""What answers images with their names, and the images that it answers, a batch at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from shards.errors import Stop
from train.inputs import Encoded
from train.reader import Answer, Given, Reader
from train.tasks import Read

Answers = Callable[[Sequence[str], Sequence[Given]], list[Answer]]  # of a batch of images with their names


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers images with their names, and whether the words it tells stand in places."""

    answers: Answers
    places: bool

    def __call__(self, names: Sequence[str], given: Sequence[Given]) -> list[Answer]:
        """The answer to each image."""
        return self.answers(names, given)


def inside(
    reader: Reader, known: Mapping[str, Sequence[Read]], names: Sequence[str], given: Sequence[Given]
) -> list[Answer]:
    """What is read in the places known of each image, by its path or its name alone."""
    places = [known.get(name, known.get(Path(name).name, ())) for name in names]
    return [reader.inside(image, own) for image, own in zip(given, places, strict=True)]


def answered(
    answers: Answers, encoded: Iterator[Encoded], batch: int
) -> Iterator[tuple[list[str], list[Given], list[Answer]]]:
    """Images with their names and answers, a batch at a time."""
    while some := list(islice(encoded, batch)):
        names, given = [name for name, _ in some], [_got(get) for _, get in some]
        yield names, given, answers(names, given)


def _got(get: Callable[[], bytes]) -> Given:
    try:
        return get()
    except (Stop, OSError, ValueError) as error:
        return error
