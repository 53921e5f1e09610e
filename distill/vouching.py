"""Before a student's first step: whether its teacher is as good as its card says, on the data the card names.

A teacher whose weights, preprocessing or charset were mixed up still answers, and teaches nonsense.
"""

from pathlib import Path
from typing import Any

from shards.errors import GateFailed
from train import headings, measured, modelfolder
from train.judging import judge, still_loader
from train.workbench import Bench

APART = 0.005  # how far a share of what is right may be off its card


def vouch(folder: str | Path, bench: Bench) -> dict[str, float]:
    """{figure: its value here} where the card was measured on this run's validation samples, else {}.

    A figure more than APART from the card's is a GateFailed that tells both.
    """
    loaded, watched, settings = (
        modelfolder.load(folder, bench.accelerator.device),
        bench.val_loader,
        bench.settings,
    )
    card: dict[str, Any] = loaded.config.get("measured", {})
    if card.get("digest") != measured.digest_of(watched.shards, watched.positions):
        return {}
    source = still_loader(
        watched.shards, loaded.task, settings.fit.batch, watched.positions, settings.data.engine,
        settings.data.threads, bench.accelerator.device, watched.rank, watched.world,
    )  # fmt: skip
    measured_here = judge(loaded.model, loaded.task, source, bench.accelerator).compute()
    name = headings.main(measured_here).name
    here, told = measured_here[name], loaded.config["metrics"][name]
    if abs(here - told) > APART:
        raise GateFailed(
            f"teacher={folder}: {name} is {here:.4f} on the validation samples, its card says {told:.4f} "
            "of the same data; its weights, image spec or charset are not those that were measured"
        )
    return {name: here}
