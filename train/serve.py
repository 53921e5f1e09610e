"""Serves a model over HTTP: reads photographs and crops that clients send, and has a page to try it on.

    python -m train.serve
    python -m train.serve runs/finder/best recogniser=words
    python -m train.serve models/student.onnx beside=models/teacher host=0.0.0.0 port=8000

    curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" http://127.0.0.1:8000/read

What is asked at about the same time is read in one batch, by the function that train.predict reads with. Each
limit answers with an error that names its setting. No file is written, and nothing is fetched from anywhere.
SIGTERM answers what is under way and ends with code 0. /docs tells of every address.
"""

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

from shards import config
from shards.errors import BadSettings
from shards.pictures import PIXEL_LIMIT
from shards.progress import Reporter, run
from shards.typed import check_ranges
from train import predict
from train.answering import Answers

LONGEST = 24 * 3600.0  # seconds


@dataclass
class Settings:
    """What is served, where, and how much of it at a time."""

    model: list[str] = field(
        default_factory=list, metadata={"positional": True}
    )  # a model folder or an exported file; none: the recogniser that comes with the package
    beside: str = ""  # a second model that answers too, such as the teacher of the first
    recogniser: str = ""  # a model folder that reads what a detector found; words: that of the package
    host: str = "127.0.0.1"  # address to listen on; 0.0.0.0: every one that the machine has
    port: int = 8000  # 0 = a free one, which is printed
    batch: int = 16  # images read at once
    wait: float = 5.0  # milliseconds that an image waits for others to be read with
    queue: int = 64  # requests inside at a time
    images: int = 64  # of one request
    body: int = 32 << 20  # bytes of one request
    pixels: int = PIXEL_LIMIT  # of one image
    timeout: float = 30.0  # seconds that a request may take to come, and with its answer
    device: str = "cpu"  # cpu, or cuda:0
    tta: bool = False  # a detector looks at each image at several scales
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # how the answers are read; none = as the model folder says
    json: bool = False  # print the address as JSON too

    def __post_init__(self) -> None:
        least = {name: (1, math.inf) for name in ("batch", "queue", "images", "body")}
        check_ranges(self, "", **least, port=(0, 65535), wait=(0, 1000), pixels=(1, PIXEL_LIMIT))
        check_ranges(self, "", timeout=(0.01, LONGEST))
        if len(self.model) > 1:
            raise BadSettings(f"{' '.join(self.model)}: one model is served, and beside= names a second")

    @property
    def models(self) -> list[str]:
        """The paths of the models that answer, the one asked for first."""
        chosen = [*self.model, *([self.beside] if self.beside else [])]
        return chosen if self.model else [str(predict.PRETRAINED), *chosen]

    def answers(self) -> list[Answers]:
        """What `train.predict` answers with, of each model."""
        reading = predict.Settings(
            recogniser=self.recogniser, device=self.device, tta=self.tta, decoder=self.decoder
        )
        return [predict.answers_of(reading, model) for model in self.models]

    @property
    def names(self) -> list[str]:
        """What the models are called in answers: the ends of their paths, as long as tells them apart."""
        parts = [Path(model).absolute().parts for model in self.models]
        ends = 2 if any(one[-1] in ("best", "last") for one in parts) else 1
        while len({one[-ends:] for one in parts}) < len(set(parts)):
            ends += 1
        return ["/".join(one[-ends:]) for one in parts]


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "serve", argv)
    try:
        from train import servelisten
    except ImportError as error:
        raise BadSettings(f"{error}: pip install 'ocr-distillery[serve]'") from None
    report = Reporter("train.serve", settings.json)
    with servelisten.Server(settings) as server:
        report.header(model=", ".join(settings.names), address=server.address)
        report.done()
        server.run()
    report.say("everything asked was answered")


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
