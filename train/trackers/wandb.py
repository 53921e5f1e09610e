"""Weights & Biases. Without a key the run is kept offline in the run folder; nothing ever asks for one.

wandb sync runs/first/wandb/offline-run-*      uploads an offline run later
python -m train.tracking push runs/first       makes a run anew from metrics.jsonl
"""

import base64
import io
import netrc
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from shards.errors import BadSettings
from train.mistakes import heat_map
from train.trackers import About


@dataclass
class Settings:
    """Where the run goes."""

    project: str = "ocr-distillery"  # of the account
    entity: str = ""  # team or user; empty: the account's own
    group: str = ""  # runs that belong together
    tags: list[str] = field(default_factory=list)  # of the run
    mode: str = ""  # online, offline or disabled; empty: WANDB_MODE, else online where a key is known

    def __post_init__(self) -> None:
        if self.mode not in ("", "online", "offline", "disabled"):
            raise BadSettings(f"tracking.mode: no {self.mode!r} (there are: online, offline, disabled)")


class Tracker:
    """See train.trackers. One run for all restarts: the id is the run folder's."""

    def __init__(self, settings: Settings, about: About) -> None:
        try:
            import wandb
        except ImportError:
            raise BadSettings("tracking=wandb needs wandb: pip install 'ocr-distillery[wandb]'") from None
        self._wandb = wandb
        asked = settings.mode or os.environ.get("WANDB_MODE", "")
        chosen: Any = asked or ("online" if key_known() else "offline")
        if chosen == "online" and not key_known():
            source = "tracking.mode" if settings.mode else "WANDB_MODE"
            raise BadSettings(f"{source}=online needs a key: set WANDB_API_KEY or tracking.mode=offline")
        self.run = wandb.init(
            project=settings.project,
            entity=settings.entity or None,
            group=settings.group or None,
            tags=settings.tags or None,
            name=about.folder.name,
            id=about.id,
            resume="allow" if chosen == "online" else None,
            dir=str(about.folder),
            mode=chosen,
            config=about.config,
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        self.run.define_metric("global_step")
        self.run.define_metric("*", step_metric="global_step")

    def log(self, step: int, values: dict[str, float | None]) -> None:
        """A point of every chart."""
        self.run.log(
            {"global_step": step, **{key: value for key, value in values.items() if value is not None}}
        )

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """A table of the worst readings with pictures, and the confusion heat map."""
        table = self._wandb.Table(columns=["picture", "truth", "prediction", "score", "uid"])
        for row in found["examples"]:
            picture = Image.open(io.BytesIO(base64.b64decode(row["png"])))
            table.add_data(
                self._wandb.Image(picture), row["truth"], row["prediction"], row["score"], row["uid"]
            )
        shown: dict[str, Any] = {"global_step": step, "mistakes": table}
        if found["confusions"]:
            drawn = Image.open(io.BytesIO(heat_map(found["confusions"])))
            shown["confusion"] = self._wandb.Image(drawn)
        self.run.log(shown)

    def close(self) -> None:
        """Ends the run's session; a restart goes on with the same run."""
        self.run.finish()


def key_known() -> bool:
    """Whether wandb would find a key without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False
