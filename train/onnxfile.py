"""ONNX recognisers of other projects: what stands in such a file, and which class of it means what.

A file needs its characters (a file with one per line, or the `character` entry of its own metadata, which
PaddleOCR's exports carry) and its image spec; everything else is found by asking it.
Letters: N samples, T time steps of the file, O classes of the file, H W pixels.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.models import onnx
from train.tasks import recognise

PLACES = 0xF0000  # private use: stands for what no label can hold
NEAR = 1e-3  # of a sum of probabilities to 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file does not say."""

    weights: str = ""  # the file
    out: str = ""  # the model folder to write
    image: ImageSpec = field(default_factory=ImageSpec)  # onnx: what the model sees
    characters: str = ""  # onnx: a file, one character per line in class order; empty: from its metadata
    blank: Literal["first", "last"] = "first"  # onnx: the class of the CTC blank
    space: bool = False  # onnx: a class for the space follows the characters, as in PaddleOCR's models
    output: str = ""  # onnx: the output to read, where there are several
    answers: Literal["auto", "probabilities", "logits"] = "auto"  # onnx: auto looks whether they sum to 1
    threads: int = 0  # onnx: of onnxruntime, 0 = as many as torch has


@dataclass(frozen=True, slots=True)
class Classes:
    """Our characters, the class of ours for each class of the file [O], and what had to be said of them."""

    characters: str
    classes: list[int]
    notes: list[str]


def read(settings: Settings) -> tuple[onnx.Model, recognise.Task, list[str]]:
    """Model, task and what there is to say about the characters; BadData says why a file is refused."""
    path = Path(settings.weights)
    try:
        data = path.read_bytes()
        session = onnx.open_session(data, settings.threads or torch.get_num_threads())
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}") from None
    except BadData as error:
        raise BadData(f"{path}: {error}") from None
    output = _output(path, session, settings.output)
    _check_input(path, session, settings.image)
    answer = _asked(path, session, settings.image, output)
    found = order(listed(settings, session), settings.blank, settings.space)
    _check_count(path, answer.shape[2], found, settings)
    answers = settings.answers if settings.answers != "auto" else _kind(answer)
    told = onnx.Settings(len(data), answer.shape[2], answer.shape[1], output, answers, settings.threads)
    task = recognise.Task(recognise.Settings("own", found.characters), settings.image)
    model = onnx.Model(told, task.image, task.channels)
    model.load_state_dict({
        "file": torch.frombuffer(bytearray(data), dtype=torch.uint8),
        "classes": torch.tensor(found.classes, dtype=torch.int64),
    })  # fmt: skip
    return model.eval(), task, found.notes


def listed(settings: Settings, session: Any) -> list[str]:
    """The file's characters in class order, without blank and added space."""
    if not settings.characters:
        text = session.get_modelmeta().custom_metadata_map.get("character")
        if text is None:
            raise BadSettings(
                f"{settings.weights} names no characters itself: characters=FILE, one per line in class order"
            )
    else:
        try:
            text = Path(settings.characters).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise BadData(f"{settings.characters}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise BadData(f"{settings.characters}: not UTF-8: {error}") from None
    lines = [line.rstrip("\r") for line in text.split("\n")]  # a line of U+0085 or U+3000 is a character
    return lines[:-1] if lines[-1] == "" else lines


def order(characters: list[str], blank: str, space: bool) -> Classes:
    """Which class of ours each class of the file is.

    A label is NFC, and a charset holds a character once. So a character that stands twice, also one that NFC
    turns into another of the list, is merged: its probability adds to that one's. What is not one character
    (an empty line, a token, what NFC takes apart) stays a class, under a private-use character that no label
    holds: what the file reads there is wrong, as it should be.
    """
    own: dict[str, int] = {}
    merged, odd, classes = [], [], []
    spare = iter(range(PLACES, 0x10FFFE))
    taken = set(characters)
    for entry in [*characters, *([" "] if space else [])]:
        character = unicodedata.normalize("NFC", entry)
        if len(character) != 1:
            odd.append(entry)
            character = next(c for c in map(chr, spare) if c not in taken)
        if character in own:
            merged.append(entry)
        classes.append(own.setdefault(character, len(own) + 1))
    notes = []
    if merged:
        notes.append(f"merged with the same character elsewhere in the list: {_shown(merged)}")
    if odd:
        notes.append(f"not one character of a label, so never right: {_shown(odd)}")
    classes = [0, *classes] if blank == "first" else [*classes, 0]
    return Classes("".join(own), classes, notes)


def _shown(entries: list[str]) -> str:
    told = ", ".join(f"{e!r} ({' '.join(f'U+{ord(c):04X}' for c in e)})" for e in entries[:10])
    return told + (f" and {len(entries) - 10} more" if len(entries) > 10 else "")


def _output(path: Path, session: Any, wanted: str) -> str:
    names = [o.name for o in session.get_outputs()]
    if wanted in names:
        return wanted
    if wanted or len(names) > 1:
        raise BadSettings(f"{path}: output={wanted or '?'}, which of its outputs: {', '.join(names)}")
    return names[0]


def _check_input(path: Path, session: Any, image: ImageSpec) -> None:
    """Refuses an image spec that contradicts the fixed sizes of the file's input."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
        told = ", ".join(f"{i.name} {i.type}{i.shape}" for i in inputs)
        raise BadData(f"{path}: takes {told}; needed is one input of float images [N,C,H,W]")
    _, depth, height, width = inputs[0].shape
    for key, theirs, mine in (
        ("channels", depth, image.depth), ("height", height, image.height), ("width", width, image.width),
    ):  # fmt: skip
        if isinstance(theirs, int) and theirs != mine:
            hint = {1: "grey", 3: "rgb or bgr"}.get(theirs, theirs) if key == "channels" else theirs
            raise BadSettings(
                f"{path}: takes {key} {theirs}, the image spec gives {mine}: image.{key}={hint}"
            )


def _asked(path: Path, session: Any, image: ImageSpec, output: str) -> np.ndarray:
    """What the file answers to three images of noise, [3,T,O]."""
    noise = np.random.default_rng(0).standard_normal((3, image.depth, image.height, image.width))
    try:
        answer = onnx.run(session, noise.astype(np.float32), output)
    except Exception as error:  # onnxruntime's errors share no base class but this
        reason = str(error).splitlines()[0]
        size = f"{image.channels} {image.height}x{image.width}"
        raise BadData(f"{path}: does not run on {size} images: {reason}") from None
    if answer.ndim != 3 or answer.shape[0] != 3 or answer.dtype != np.float32:
        shape = "x".join(map(str, answer.shape))
        raise BadData(
            f"{path}: output {output} is {answer.dtype} {shape} for 3 images; needed is float32 [N,T,C], "
            "samples first, then time steps, then classes"
        )
    if not np.isfinite(answer).all():
        raise BadData(f"{path}: output {output} is not finite")
    return answer


def _check_count(path: Path, outputs: int, found: Classes, settings: Settings) -> None:
    """Refuses a list of another length than the answer."""
    given = len(found.classes)
    if outputs == given:
        return
    where, space = settings.characters or "its metadata", settings.space
    hint = "; the one more may be the space: space=true" if outputs == given + 1 and not space else ""
    raise BadData(
        f"{path}: answers {outputs} classes; {where} gives {given - 1 - space} characters, "
        f"with the blank{' and the space' if space else ''} {given}{hint}"
    )


def _kind(answer: np.ndarray) -> Literal["probabilities", "logits"]:
    sums = bool((np.abs(answer.sum(-1) - 1) < NEAR).all()) and float(answer.min()) >= 0
    return "probabilities" if sums else "logits"
