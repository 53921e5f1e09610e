"""A recogniser that is only an ONNX file, run by onnxruntime (extra `onnx`): it answers and never trains.

`python -m train.checkpoint format=onnx` makes such a folder. The file's bytes are its one large tensor, so
that digest, seal and loading are those of any model; there is no parameter, no gradient, no feature.
Letters: N samples, L time steps, C classes of ours, O classes of the file, H W pixels.
"""

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.models import Output

# onnxruntime looks at it when it is imported, and else keeps an identifier in HOME and reports to its maker
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
LEAST = torch.finfo(torch.float32).tiny  # stands for a probability of 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the import found in the file; nothing here is chosen for a run."""

    bytes: int = 0  # size of the ONNX file
    outputs: int = 0  # classes that the file answers
    frames: int = 0  # time steps that the file answers to its canvas
    output: str = ""  # which output of the file is read
    answers: Literal["probabilities", "logits"] = "probabilities"  # whether softmax was taken in the file
    threads: int = 0  # of onnxruntime, 0 = as many as torch has


class Model(nn.Module):
    """Images [N,C,H,W] to `Output` with log-probabilities [N,L,C], the blank at class 0.

    Buffers: file uint8 [bytes]; classes int64 [O]: the class of ours to which each class of the file adds.
    """

    trains = False

    def __init__(self, settings: Settings, image: ImageSpec, channels: int) -> None:
        super().__init__()
        if min(settings.bytes, settings.outputs, settings.frames) < 1:
            raise BadSettings(
                "model=onnx: such a model is imported, not built: "
                "python -m train.checkpoint format=onnx weights=FILE.onnx out=models/NAME"
            )
        if image.buckets:
            raise BadSettings("image.buckets: the file of a model=onnx was imported at one width")
        self.settings, self.image, self.channels = settings, image, channels
        self.frames = settings.frames
        self.register_buffer("file", torch.zeros(settings.bytes, dtype=torch.uint8))
        self.register_buffer("classes", torch.zeros(settings.outputs, dtype=torch.int64))
        self._session: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session is opened anew wherever the model is copied to

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Output:
        """Log-probabilities, on the device of the images; computed on the CPU."""
        pixels = images.detach().float().cpu().contiguous().numpy()
        answer = torch.from_numpy(run(self.session(), pixels, self.settings.output))
        return Output(self._ordered(answer).to(images.device))

    def session(self) -> Any:
        """An onnxruntime session with as many threads as are due now."""
        threads = self.settings.threads or torch.get_num_threads()
        if self._session is None or self._session[0] != threads:
            self._session = threads, open_session(self.file.cpu().numpy().tobytes(), threads)  # type: ignore[operator]
        return self._session[1]

    def _ordered(self, answer: Tensor) -> Tensor:
        """[N,L,O] as the file says it to log-probabilities [N,L,C] in our order."""
        if self.settings.answers == "logits":
            log_probs = answer.log_softmax(-1)
        else:
            log_probs = answer.clamp_(min=LEAST).log_()
        first, more = columns(self.classes.cpu().numpy(), self.channels)  # type: ignore[union-attr]
        out = log_probs
        if not np.array_equal(first, np.arange(answer.shape[-1])):
            out = log_probs.index_select(-1, torch.from_numpy(first))
        for column in more.tolist():
            own = int(self.classes[column])  # type: ignore[index]
            out[..., own] = torch.logaddexp(out[..., own], log_probs[..., column])
        return out


def columns(classes: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(the file's first class of each of ours [C], the file's other classes), ascending."""
    found, first = np.unique(classes, return_index=True)
    if not np.array_equal(found, np.arange(channels)):
        raise BadData(f"model.safetensors: classes {len(found)} of {channels} of the charset have an answer")
    return first, np.setdiff1d(np.arange(len(classes)), first)


def open_session(data: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU; BadData says why the bytes are no ONNX model."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise BadSettings("onnxruntime is not installed: pip install 'ocr-distillery[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class but this
        raise BadData(f"not an ONNX model that onnxruntime runs: {str(error).splitlines()[0]}") from None


def run(session: Any, pixels: np.ndarray, output: str) -> np.ndarray:
    """One output for images [N,C,H,W]; a file with a fixed batch size gets as many at a time, padded."""
    told = session.get_inputs()[0]
    fixed = told.shape[0] if isinstance(told.shape[0], int) else len(pixels)
    answers = []
    for start in range(0, len(pixels), fixed):
        some = pixels[start : start + fixed]
        padded = np.concatenate([some, np.repeat(some[-1:], fixed - len(some), axis=0)])
        answer = session.run([output], {told.name: padded})[0]
        answers.append(answer[: len(some)] if len(answer) == len(padded) else answer)
    return np.concatenate(answers) if len(answers) > 1 else answers[0]
