"""The DALI engine: the same bytes, chosen by the plan, decoded and resized by an NVIDIA DALI pipeline.

On a CPU its decoders are bit-equal to the reference's, and within 1 level where a coloured PNG becomes grey.
Bilinear canvases are within 1 level more, save for the outermost pixels of a shrunk picture: there DALI
repeats the last pixel and Pillow weighs those that are there (measured: up to 32 levels, in words 12; mean
below 1). Bicubic ones differ by up to 30 where the filter overshoots: Pillow clips that twice (mean below 4).
Nearest breaks ties in another way and is refused. On a GPU (never run yet) it decodes scenes.

An image that DALI refuses loses the whole pipeline: it is found, settled by the reference (its canvas or its
damage), and the pipeline built anew. What ingest lets through, both engines read.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import PIL
import simplejpeg
import torch

from shards.engines import ASKED, Canvases, plain, threads_of
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.read import Shards

RUN = 128  # samples that the pipeline takes at a time
RUN_PIXELS = (
    16 << 20
)  # decoded pixels that it takes at a time, unless one picture has more: memory stays bounded
SCENE = 256 * 256  # canvases of at least so many pixels are decoded on the GPU where there is one
INSTALL = "pip install 'ocr-distillery[dali]', or data.engine=plain"


@dataclass(frozen=True, slots=True)
class _Job:
    """One image to decode. row: in the batch; size: (width, height); place: see ImageSpec.placement."""

    row: int
    data: bytes
    size: tuple[int, int]
    place: tuple[int, int, int, int]


class Engine:
    """Reads positions of `shards` as canvases of `image`."""

    why = ASKED

    def __init__(self, shards: Shards, image: ImageSpec, threads: int = 0, device: Any = "cpu") -> None:
        if image.resample == "nearest":
            raise BadSettings(
                "data.engine=dali: image.resample=nearest breaks ties in another way than the reference; "
                "data.engine=plain reads it"
            )
        if image.polarity != "as_is" or image.min_height:
            raise BadSettings(
                f"data.engine=dali: image.polarity={image.polarity} and image.min_height={image.min_height} "
                "are the reference's alone; data.engine=plain reads them"
            )
        self.shards, self.image, self.threads = shards, image, threads_of(threads)
        self.gpu = gpu_of(device, image)
        self._lock = threading.Lock()  # a pipeline answers one caller at a time
        versions = f"{_versions()}+pillow-{PIL.__version__}"  # Pillow settles what DALI refuses
        self._pipeline = self._build()
        self._prove()
        where = "cpu" if self.gpu is None else f"mixed on {torch.cuda.get_device_name(self.gpu)}"
        self.triple = f"dali/{where}/{versions}"

    def read(self, positions: Sequence[int] | np.ndarray) -> Canvases:
        """Canvases of the positions, in their order."""
        n, spec = len(positions), self.image
        pixels = np.full((n, spec.depth, spec.height, spec.width), spec.pad, np.uint8)
        affines = np.tile(np.eye(2, 3), (n, 1, 1))
        damage: dict[int, str] = {}
        jobs = []
        for row, position in enumerate(positions):
            try:
                data = self.shards.image(int(position))
                size = plain.size_of(data)
            except (BadData, OSError) as error:
                damage[row] = str(error)
                continue
            affines[row] = spec.affine(*size)
            jobs.append(_Job(row, data, size, spec.placement(*size)))
        with self._lock:
            for run in _runs(jobs):
                self._fill(run, pixels, damage)
        for row in damage:
            affines[row] = np.eye(2, 3)
        return Canvases(pixels, affines, dict(sorted(damage.items())))

    def _fill(self, jobs: list[_Job], pixels: np.ndarray, damage: dict[int, str]) -> None:
        """Canvases of one run. One image that DALI refuses fails all: halves are tried until it is found."""
        try:
            pixels[[job.row for job in jobs]] = self._run(jobs)
        except RuntimeError:
            self._pipeline = self._build()  # one that has failed may go on to answer wrongly
            if len(jobs) == 1:
                self._settle(jobs[0], pixels, damage)
                return
            half = len(jobs) // 2
            self._fill(jobs[:half], pixels, damage)
            self._fill(jobs[half:], pixels, damage)

    def _prove(self) -> None:
        """Reads one small picture, or a broken installation would look like a set of broken images."""
        data = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
        try:
            self._run([_Job(0, data, (8, 8), self.image.placement(8, 8))])
        except RuntimeError as error:
            raise BadSettings(_broken(error)) from None

    def _settle(self, job: _Job, pixels: np.ndarray, damage: dict[int, str]) -> None:
        """The reference decides about an image that DALI refuses: there are PNGs that only Pillow reads."""
        try:
            pixels[job.row] = self.image.canvas(plain.decode(job.data, self.image))
        except BadData as error:
            damage[job.row] = str(error)

    def _run(self, jobs: list[_Job]) -> np.ndarray:
        """uint8 [n,C,H,W]; a RuntimeError if DALI refuses any of the images."""
        left, top, width, height = np.array([job.place for job in jobs], np.int32).T
        self._pipeline.feed_input("encoded", [np.frombuffer(job.data, np.uint8) for job in jobs])
        self._pipeline.feed_input("size", np.stack([height, width], 1).astype(np.float32))
        self._pipeline.feed_input("corner", np.stack([-top, -left], 1))
        (canvases,) = self._pipeline.run()
        return canvases.as_cpu().as_array()  # of the pipeline's memory: to be copied before the next run

    def _build(self) -> Any:
        """A pipeline, ready to run; a BadSettings if it does not start."""
        from nvidia.dali import Pipeline

        pipeline = Pipeline(
            batch_size=RUN, num_threads=self.threads, device_id=self.gpu,
            prefetch_queue_depth=1, exec_async=False, exec_pipelined=False,
        )  # fmt: skip
        with pipeline:
            pipeline.set_outputs(self._canvases())
        try:
            with _quiet():
                pipeline.build()
        except RuntimeError as error:
            raise BadSettings(_broken(error)) from None
        return pipeline

    def _canvases(self) -> Any:
        """The graph: encoded bytes, size on the canvas and the canvas's corner to canvases [C,H,W]."""
        from nvidia import dali

        fn, types, spec = cast(Any, dali.fn), cast(Any, dali.types), self.image
        decoded = fn.decoders.image(
            fn.external_source(name="encoded", dtype=types.UINT8, ndim=1),
            device="cpu" if self.gpu is None else "mixed",
            output_type={"grey": types.GRAY, "rgb": types.RGB, "bgr": types.BGR}[spec.channels],
            adjust_orientation=False,
            jpeg_fancy_upsampling=True,
        )
        resized = fn.resize(
            decoded,
            size=fn.external_source(name="size", dtype=types.FLOAT, ndim=1),
            interp_type={"bilinear": types.INTERP_LINEAR, "bicubic": types.INTERP_CUBIC}[spec.resample],
            antialias=True,  # as Pillow does
        )
        corner = fn.external_source(name="corner", dtype=types.INT32, ndim=1)
        size = (spec.height, spec.width)
        pad = {"out_of_bounds_policy": "pad", "fill_values": spec.pad}
        return fn.transpose(fn.slice(resized, corner, size, axes=(0, 1), **pad), perm=[2, 0, 1])


def _versions() -> str:
    """Of what decodes; where it is not installed a BadSettings that names the extra."""
    try:
        with _quiet():
            from nvidia import dali, nvimgcodec
    except ImportError as error:
        raise BadSettings(f"data.engine=dali: DALI is not installed ({error}): {INSTALL}") from None
    return f"dali-{dali.__version__}+nvimgcodec-{nvimgcodec.__version__}"


def _broken(error: RuntimeError) -> str:
    cause = str(error).partition("encountered:")[2].strip() or str(error)  # before it stands a traceback
    return f"data.engine=dali: DALI does not start ({cause.splitlines()[0]}): {INSTALL}"


def gpu_of(device: Any, image: ImageSpec) -> int | None:
    """The number of the GPU that decodes; None: the CPU does."""
    wanted = torch.device(device)
    if wanted.type != "cuda" or image.height * image.width < SCENE:
        return None
    return wanted.index or 0


def _runs(jobs: list[_Job]) -> Iterator[list[_Job]]:
    """The jobs cut into runs of at most RUN samples and, but for single pictures, RUN_PIXELS pixels."""
    run: list[_Job] = []
    pixels = 0
    for job in jobs:
        size = job.size[0] * job.size[1]
        if run and (len(run) == RUN or pixels + size > RUN_PIXELS):
            yield run
            run, pixels = [], 0
        run.append(job)
        pixels += size
    if run:
        yield run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what libraries write to the process's stderr: DALI complains of codecs that no engine needs."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
