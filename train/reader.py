"""A loaded checkpoint that answers pictures: what a recogniser reads, where a detector finds words."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from shards import config, cutting
from shards.engines.plain import decode
from shards.errors import BadData
from shards.image import ImageSpec
from shards.pictures import ordinary, published
from shards.placing import returned
from shards.sample import Point, Word
from train import modelfolder
from train.tasks import Read

PHOTO = ImageSpec(channels="rgb")  # how photographs are decoded that words are cut from
FAILURES = (BadData, ValueError, OSError)  # of a file that is no picture
Given = bytes | Exception
Answer = tuple[Read, ...] | Exception


@dataclass(frozen=True, slots=True)
class Reading:
    """A word of an image; error is empty where the image could be read. characters: how sure each of them
    is; polygon, in pixels of the image, and found, how sure it is that a word stands there: of detectors.
    """

    image: str
    text: str
    score: float
    error: str = ""
    characters: tuple[float, ...] = ()
    certified: bool = False  # the decoder proved it the best reading
    polygon: tuple[Point, ...] | None = None
    found: float | None = None


class Reader:
    """A loaded checkpoint that reads encoded images."""

    def __init__(
        self,
        model: str | Path | modelfolder.Loaded,
        device: str = "cpu",
        decoder: config.Choice | None = None,
    ) -> None:
        given = isinstance(model, modelfolder.Loaded)
        self.loaded = model if given else modelfolder.load(model, device, decoder)
        self.device = device

    def read(self, images: Sequence[Given], names: Sequence[str] | None = None) -> list[Reading]:
        """A Reading for each word of each image, in order, and one for each that cannot be read; an exception
        in an image's place says why.
        """
        return readings(names or [str(i) for i in range(len(images))], self.answers(images))

    def answers(self, images: Sequence[Given]) -> list[Answer]:
        """The words of each encoded image, or why there is none."""
        return self.seen([opened(data, self.loaded.task.image) for data in images])

    def seen(self, pictures: Sequence[Image.Image | Exception]) -> list[Answer]:
        """The words of each picture as sure as the task tells them; an exception stays in its place."""
        spec, task = self.loaded.task.image, self.loaded.task
        there = [picture for picture in pictures if isinstance(picture, Image.Image)]
        if not there:
            return [picture for picture in pictures if isinstance(picture, Exception)]
        canvases = np.stack([spec.canvas(picture) for picture in there])
        normal = (canvases.astype(np.float32) / 255 - spec.mean) / spec.std
        spans = [spec.placement(*picture.size)[2] for picture in there]
        images = torch.from_numpy(normal).to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            output = self.loaded.model(images, torch.tensor(spans) if spec.buckets else None)
        found = iter(task.decode(output))
        return [self._told(picture, found) for picture in pictures]

    def _told(self, picture: Image.Image | Exception, found) -> Answer:
        if isinstance(picture, Exception):
            return picture
        task = self.loaded.task
        words = [word for word in next(found) if (word.score or 0.0) >= task.least]
        return returned(words, task.image.affine(*picture.size))

    def inside(self, photo: Given, words: Sequence[Word]) -> Answer:
        """The words with the texts that stand in their polygons; `score` is how sure the reading is, and
        `found` what it was. A photograph that cannot be read is an exception.
        """
        picture = opened(photo, PHOTO)
        if isinstance(picture, Exception):
            return picture
        pixels = np.asarray(picture.convert("RGB"))
        crops = [_cut(pixels, word) for word in words]
        return tuple(_with_text(*one) for one in zip(words, self.seen(crops), strict=True))


def together(finder: Reader, reader: Reader, images: Sequence[Given]) -> list[Answer]:
    """The words that one finds in each encoded image, with what the other reads in them; see Reader."""
    return [
        found if isinstance(found, Exception) else reader.inside(image, found)
        for image, found in zip(images, finder.answers(images), strict=True)
    ]


def _cut(photo: np.ndarray, word: Word) -> Image.Image | Exception:
    try:
        return cutting.cut(photo, word.polygon or ())
    except FAILURES as error:
        return error


def _with_text(word: Word, answer: Answer) -> Read:
    """A word found, with what was read in it; nothing where it could not be cut out."""
    if isinstance(answer, Exception) or not answer:
        return Read("", word.polygon, score=0.0, found=word.score)
    read = answer[0]
    return replace(read, polygon=word.polygon, found=word.score)


def opened(data: Given, spec: ImageSpec) -> Image.Image | Exception:
    """The picture as shards would hold it, decoded once where it is an ordinary one; or why there is none."""
    if isinstance(data, Exception):
        return data
    try:
        if ordinary(data):
            with suppress(BadData):  # `published` says it better
                return decode(data, spec)
        return decode(published(data).image, spec)
    except FAILURES as error:
        return error


def readings(names: Sequence[str], answers: Sequence[Answer]) -> list[Reading]:
    """A row for each word, and for each image that has no answer."""
    rows = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Exception):
            rows.append(Reading(name, "", 0.0, str(answer)))
            continue
        rows += [
            Reading(
                name, word.text or "", float(word.score or 0.0), "", word.characters, word.certified,
                word.polygon, word.found if word.found is not None or word.text is not None else word.score,
            )
            for word in answer
        ]  # fmt: skip
    return rows
