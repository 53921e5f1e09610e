"""Verdicts: a model against a baseline or its control, on the same words; a control must be one indeed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards import config
from shards.errors import BadSettings
from shards.written import read_json
from train import runfolder

NOT_JUDGED = "NOT JUDGED"
OWN = (
    "method",
    "teacher",
    "cache",
    "identity",
    "control",
    "run",
    "ensemble",
    "peer",
    "confidence",
    "limit",
)  # settings that a control has its own way


@dataclass
class Judged:
    """One checkpoint's answers (a score, see train.wordscore) and figures."""

    path: str
    config: dict[str, Any]
    score: Any
    figures: dict[str, Any]
    mistakes: dict[str, Any]
    damage: dict[int, str]


def control_of(path: str, config: dict[str, Any]) -> Path | None:
    """Where the control of a model stands: config.json names the run, which lies beside the model's own."""
    name = config.get("control", "")
    return Path(path).resolve().parent.parent / name / "best" if name else None


def verdicts(judged: list[Judged], baseline: str, seed: int) -> dict[str, dict[str, Any]]:
    """Path -> comparison with the baseline, or with the model's own control where that was evaluated too."""
    by_place = {Path(j.path).resolve(): j for j in judged}
    out = {}
    for one in judged:
        against = Path(baseline).resolve() if baseline else control_of(one.path, one.config)
        other = by_place.get(against) if against else None
        if other is one:
            out[one.path] = {"verdict": "BASELINE", "against": one.path}
        elif other is None:
            out[one.path] = {"verdict": NOT_JUDGED, "against": str(against or "")}
        else:
            found = {} if baseline else difference(one.path, other.path)
            out[one.path] = {"against": other.path, **(found or _compare(one, other, seed))}
    return out


def _compare(one: Judged, other: Judged, seed: int) -> dict[str, Any]:
    if type(one.score) is not type(other.score):
        raise BadSettings(f"{one.path} and {other.path} do different tasks: they cannot be compared")
    found, unlike = config.plain(one.score.against(other.score, seed)), one.score.unlike(other.score)
    return {**found, "unlike": unlike} if unlike else found


def difference(mine: str, theirs: str) -> dict[str, Any]:
    """The first way in which a control is not the model's run without its teacher; {} if there is none.

    Compared are all settings but OWN and those that runfolder.free names, the data digests, and the steps
    that were made.
    Models outside of run folders tell nothing of this.
    """
    one, other = (_facts(Path(path).resolve().parent) for path in (mine, theirs))
    if not one or not other:
        return {}
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            return {"verdict": NOT_JUDGED, "field": key, "values": [one.get(key), other.get(key)]}
    return {}


def _facts(run: Path) -> dict[str, Any]:
    """What a run did, flat; {} if this is no run folder."""
    if not (run / "config.yaml").exists() or not (run / "status.json").exists():
        return {}
    settings = runfolder.read_config(run)
    kept = {k: v for k, v in settings.items() if not runfolder.free(k) and k.split(".")[0] not in OWN}
    return {**kept, "global_step": read_json(run / "status.json").get("global_step")}


def words_of(path: str, verdict: dict[str, Any]) -> str:
    """Why a model is not judged, or not alike, in a sentence; empty if it is, or if it names no control."""
    against = verdict["against"]
    if unlike := verdict.get("unlike"):
        return (
            f"{path} and {against} are not judged alike: each folds labels its own way, and {unlike} of them "
            "differ; protocol=36, 62 or 94 compares both by one rule"
        )
    if verdict["verdict"] != NOT_JUDGED or not against:
        return ""
    if "field" not in verdict:
        return f"{path} is not judged: there is no control {against}; train it with method=none"
    mine, theirs = verdict["values"]
    return (
        f"{path} is not judged: {verdict['field']} is {mine}, in its control {against} it is {theirs}; "
        f"train the control again, or say baseline={against} to compare them as they are"
    )


def told(verdict: dict[str, Any]) -> str:
    """A verdict as a table shows it; `words_of` says more of one that is none."""
    if "field" in verdict:
        return "{verdict}: {field} is {values[0]}, in the control {values[1]}".format(**verdict)
    if "difference" not in verdict:
        return verdict["verdict"]
    points = "{difference:+.2%} [{low:+.2%}, {high:+.2%}]".format(**verdict).replace("%", "")
    than = "from" if verdict["verdict"] == "NO DIFFERENCE" else "than"
    return f"{verdict['verdict']} {than} {short(verdict['against'])}: {points}"


def short(path: str) -> str:
    """The run and the model in it: a whole path would not fit into a table."""
    return "/".join(Path(path).resolve().parts[-2:])
