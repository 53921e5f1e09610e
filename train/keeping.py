"""Where an evaluation is kept: in the run folder of its model, and on the model's card if asked for."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from shards.errors import BadSettings
from shards.written import write_json
from train import evaluated, modelfolder
from train.verdicts import Judged

DAMAGE_KEPT = 50  # damaged samples that a run's file names; all are counted


def in_runs(judged: Sequence[Judged], result: dict[str, dict[str, Any]]) -> list[str]:
    """Writes each result into its model's run folder, if it stands in one; returns those folders."""
    runs = []
    for one in judged:
        path = Path(one.path).resolve()
        if not (path.parent / "status.json").exists():
            continue
        (path.parent / "eval").mkdir(exist_ok=True)
        found = result[one.path]
        content = {"format": 1, **found, "checkpoint": one.path, "model": path.name, **one.mistakes}
        content["damage"] = {f"{uid:016x}": one.damage[uid] for uid in sorted(one.damage)[:DAMAGE_KEPT]}
        write_json(path.parent / "eval" / f"{found['set']}-{path.name}.json", content)
        runs.append(str(Path(one.path).parent))
    return list(dict.fromkeys(runs))


def check_folders(paths: Sequence[str]) -> None:
    """Refuses models that have no card to write on."""
    for path in paths:
        if Path(path).is_file():
            raise BadSettings(f"card=true: {path} is a file; the model folder that it was made of has a card")


def on_cards(
    paths: Sequence[str],
    judged: Sequence[Judged],
    result: dict[str, dict[str, Any]],
    split: str,
    protocol: str,
) -> list[str]:
    """Writes the results of the models at paths into their config.json and card; returns whose."""
    asked = {Path(path).resolve() for path in paths}
    written = [one for one in judged if Path(one.path).resolve() in asked]
    for one in written:
        found = result[one.path]
        told = evaluated.kept(found, one.mistakes, split, protocol)
        modelfolder.amend(one.path, partial(_beside, found["set"], told))
    return [one.path for one in written]


def _beside(name: str, told: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """One evaluation beside those that stand in a config.json."""
    return {"evaluated": {**config.get("evaluated", {}), name: told}}
