"""TensorBoard: event files in the run folder's logs/tensorboard.

tensorboard --logdir runs
"""

import base64
import io
import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from shards.errors import BadSettings
from train.mistakes import heat_map
from train.trackers import About


@dataclass
class Settings:
    """What is shown."""

    pictures: int = 16  # worst readings shown as pictures at each evaluation


class Tracker:
    """See train.trackers."""

    def __init__(self, settings: Settings, about: About) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BadSettings(
                "tracking=tensorboard needs tensorboard: pip install 'ocr-distillery[tensorboard]'"
            ) from None
        self.settings = settings
        folder = about.folder / "logs" / "tensorboard"
        if about.anew:
            shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder))

    def log(self, step: int, values: dict[str, float | None]) -> None:
        """Scalars under their own keys."""
        for key, value in values.items():
            if value is not None:
                self.writer.add_scalar(key, value, step)
        self.writer.flush()

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """The worst readings as pictures with their texts, and the confusion heat map."""
        for place, row in enumerate(found["examples"][: self.settings.pictures]):
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(row["png"]))).convert("RGB"))
            self.writer.add_image(f"mistakes/{place}", picture, step, dataformats="HWC")
            text = f"truth `{row['truth']}`, read `{row['prediction']}`, score {row['score']:.3f}"
            self.writer.add_text(f"mistakes/{place}", text, step)
        if found["confusions"]:
            drawn = np.asarray(Image.open(io.BytesIO(heat_map(found["confusions"]))).convert("RGB"))
            self.writer.add_image("confusion", drawn, step, dataformats="HWC")

    def close(self) -> None:
        """Ends the event file."""
        self.writer.close()
