"""A loaded checkpoint that answers pictures: what a recogniser reads, where a detector finds words.

    >>> from train.predict import Reader
    >>> reader = Reader()  # or Reader("models/crnn_small"), or Reader("model.onnx")
    >>> words = reader.read(["crop.png"])

A picture is the path of a file on this machine, its bytes, a PIL image, or an array uint8 [h,w] or [h,w,3]
of RGB. An address, such as http://host/a.png, is never fetched.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from shards import config, cutting
from shards.engines.plain import decode
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.pictures import limited, ordinary, plain, published
from shards.placing import returned
from shards.sample import Point, Word
from train import decoders, details, modelfolder
from train.inputs import local
from train.tasks import Alternative, Detail, Read

PHOTO = ImageSpec(channels="rgb")  # how photographs are decoded that words are cut from
PRETRAINED = Path(__file__).resolve().parent / "pretrained" / "words"  # reads when no model is given
AT_ONCE = 64  # pictures that `Reader.read` looks at together
FAILURES = (BadData, ValueError, OSError)  # of a file that is no picture
Given = bytes | str | Path | Image.Image | np.ndarray | Exception  # an exception says why there is none
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

    @classmethod
    def of(cls, image: str, word: Read) -> "Reading":
        """What was read in an image; of a detector, what was found."""
        found = word.score if word.found is None and word.text is None else word.found
        return cls(
            image, word.text or "", float(word.score or 0.0), "", word.characters, word.certified,
            word.polygon, found,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Detailed(Reading):
    """A word of an image with what stands behind it: see `train.tasks.Detail`."""

    raw: str = ""
    spans: tuple[tuple[float, float], ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @classmethod
    def of(cls, image: str, word: Read) -> Reading:
        """The same, and what stands behind it; nothing does where no crop could be cut out."""
        detail = word.detail or Detail()
        plain = super(Detailed, cls).of(image, word)
        return replace(plain, raw=detail.raw, spans=detail.spans, alternatives=detail.alternatives)


class Reader:
    """A model folder, or a file of train.export, that reads pictures; without one, the packaged recogniser.

    decoder: instead of the model's own, which a loaded model has already; raw: `Detailed.raw` and `spans` are
    told; topk: so many `alternatives` of each word, by the beam decoder where the model's own knows one text
    alone. A BadSettings where the model or the decoder cannot tell these.
    """

    def __init__(
        self,
        model: str | Path | modelfolder.Loaded = PRETRAINED,
        device: str = "cpu",
        decoder: config.Choice | None = None,
        raw: bool = False,
        topk: int = 0,
    ) -> None:
        self.loaded, self.device = _loaded(model, device, decoder, topk), device
        self.kind = Detailed if raw or topk else Reading
        task = self.loaded.task
        self._decode = task.detailed(raw, topk) if raw or topk else task.decode

    def read(self, images: Sequence[Given], names: Sequence[str] | None = None) -> list[Reading]:
        """A Reading for each word of each image, in order, and one for each that cannot be read, which says
        why. names: of the images; else their paths, and the places of those that have none. One image that
        is in no list is a TypeError.
        """
        if isinstance(images, str | bytes | Path):
            raise TypeError("Reader.read takes a list of pictures: read([picture])")
        names = names or [str(one if isinstance(one, str | Path) else i) for i, one in enumerate(images)]
        parts = (images[at : at + AT_ONCE] for at in range(0, len(images), AT_ONCE))
        return readings(names, [answer for part in parts for answer in self.answers(part)], self.kind)

    def answers(self, images: Sequence[Given]) -> list[Answer]:
        """The words of each image, or why there is none."""
        return self.seen([opened(data, self.loaded.task.image) for data in images])

    def seen(self, pictures: Sequence[Image.Image | Exception]) -> list[Answer]:
        """The words of each picture as sure as the task tells them; an exception stays in its place."""
        spec = self.loaded.task.image
        there = [picture for picture in pictures if isinstance(picture, Image.Image)]
        if not there:
            return [picture for picture in pictures if isinstance(picture, Exception)]
        canvases = np.stack([spec.canvas(picture) for picture in there])
        normal = (canvases.astype(np.float32) / 255 - spec.mean) / spec.std
        spans = [spec.placement(*picture.size)[2] for picture in there]
        images = torch.from_numpy(normal).to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            output = self.loaded.model(images, torch.tensor(spans) if spec.buckets else None)
        found = iter(self._decode(output))
        return [self._told(picture, found) for picture in pictures]

    def _told(self, picture: Image.Image | Exception, found) -> Answer:
        if isinstance(picture, Exception):
            return picture
        task = self.loaded.task
        words = [word for word in next(found) if (word.score or 0.0) >= task.least]
        affine = task.image.affine(*picture.size)
        return tuple(details.placed(word, affine, picture.width) for word in returned(words, affine))

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


def _loaded(
    model: str | Path | modelfolder.Loaded, device: str, decoder: config.Choice | None, topk: int
) -> modelfolder.Loaded:
    """See Reader."""
    if isinstance(model, modelfolder.Loaded):
        if decoder:
            raise BadSettings(f"decoder={decoder.name}: a loaded model has its own; load it with this one")
        model.model.to(device)
        return model
    loaded = modelfolder.load(model, device, decoder)
    own = decoders.stored(loaded.config.get("decoder"))
    if decoder or not topk or own.name in decoders.know_several():
        return loaded
    return modelfolder.load(model, device, decoders.stored("beam"))


def together(finder: Reader, reader: Reader, images: Sequence[Given]) -> list[Answer]:
    """The words that one finds in each image, with what the other reads in them; see Reader."""
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


def opened(given: Given, spec: ImageSpec) -> Image.Image | Exception:
    """The picture as shards would hold it, decoded once where it is an ordinary one; or why there is none."""
    if isinstance(given, Exception):
        return given
    try:
        if isinstance(given, Image.Image):
            return _upright(given)
        if isinstance(given, np.ndarray):
            return _pixels(given)
        data = _encoded(given)
        if ordinary(data):
            with suppress(BadData):  # `published` says it better
                return decode(data, spec)
        return decode(published(data).image, spec)
    except FAILURES as error:
        return error


def _encoded(given: object) -> bytes:
    if isinstance(given, str | Path):
        return local(given)
    if isinstance(given, bytes):
        return given
    raise BadData(f"{type(given).__name__} is no picture: give a path, bytes, a PIL image or an array")


def _upright(given: Image.Image) -> Image.Image:
    limited(*given.size)
    try:
        return plain(given)
    except MemoryError:  # says nothing of the image
        raise
    except Exception as error:  # a file is decoded only now, and decoders raise anything
        raise BadData(f"{type(error).__name__}: {error}") from None


def _pixels(given: np.ndarray) -> Image.Image:
    if given.dtype != np.uint8 or len(given.shape) < 2 or given.shape[2:] not in ((), (3,)) or not given.size:
        said = f"an array {given.dtype} {list(given.shape)}"
        raise BadData(f"{said}: a picture is uint8 [h,w], or [h,w,3] of RGB; convert it")
    limited(given.shape[1], given.shape[0])
    return Image.fromarray(np.ascontiguousarray(given))


def readings(names: Sequence[str], answers: Sequence[Answer], kind: type[Reading] = Reading) -> list[Reading]:
    """A row of the kind for each word, and for each image that has no answer."""
    rows = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Exception):
            rows.append(kind(name, "", 0.0, str(answer)))
            continue
        rows += [kind.of(name, word) for word in answer]
    return rows
