"""What became of a trial: from its run folder, its evaluation and its log, once its processes have ended."""

import signal
import time
from dataclasses import replace
from typing import Any

from shards.errors import BadData
from shards.written import read_json
from train.searching.children import STOPPED, Ending, last_words
from train.searching.trials import DONE, FAILED, PREEMPTED, Folder, Trial


def settle(folder: Folder, trial: Trial, ending: Ending, metric: str, sets: str) -> Trial:
    """The trial with its state, its reason where it is not done, and its figures where it is.

    sets: digest of what it was to be evaluated on; empty where it was not.
    """
    trial = replace(trial, seconds=round(trial.seconds + ending.seconds, 1), code=ending.code)
    if ending.stopped == STOPPED and (ending.code or not evaluated(folder, trial, sets)):
        return replace(trial, state=PREEMPTED, reason=STOPPED)
    if ending.stopped and ending.code:
        return replace(trial, state=FAILED, reason=f"stopped: {ending.stopped}")
    if ending.code:
        return replace(trial, state=FAILED, reason=_reason(folder, trial, ending))
    try:
        found = _figures(folder, trial, metric, sets)
    except BadData as error:
        return replace(trial, state=FAILED, reason=str(error))
    return replace(trial, state=DONE, reason="", **found)


def trained(folder: Folder, trial: Trial) -> bool:
    """Whether the run says that it is done."""
    status = folder.runs / trial.name / "status.json"
    return status.exists() and read_json(status).get("state") == "done"


def evaluated(folder: Folder, trial: Trial, sets: str) -> bool:
    """Whether there is nothing (left) to evaluate."""
    return not sets or trial.evaluation.get("of") == sets or _evaluation(folder, trial).get("data") == sets


def _figures(folder: Folder, trial: Trial, metric: str, sets: str) -> dict[str, Any]:
    """metrics, samples and evaluation of a trial whose processes ended well."""
    path = folder.best(trial) / "config.json"
    best = read_json(path)
    found: dict[str, Any] = {"metrics": best.get("metrics", {}), "samples": best.get("samples")}
    if metric not in found["metrics"]:
        raise BadData(f"{path}: no metric {metric!r} (there are: {', '.join(found['metrics']) or 'none'})")
    if sets and trial.evaluation.get("of") != sets:
        told = _evaluation(folder, trial)
        if told.get("data") != sets:
            raise BadData(f"{folder.of(trial) / 'evaluation.json'}: not of the data that evaluate= names")
        kept = {name: told[name] for name in found["metrics"] if isinstance(told.get(name), dict)}
        found["evaluation"] = {"of": sets, "metrics": kept, "by_source": told.get("by_source", {})}
    return found


def _evaluation(folder: Folder, trial: Trial) -> dict[str, Any]:
    path = folder.of(trial) / "evaluation.json"
    return read_json(path)["models"].get(str(folder.best(trial)), {}) if path.exists() else {}


def _reason(folder: Folder, trial: Trial, ending: Ending) -> str:
    """Why it failed: the signal, what status.json says if it is of now, else the last line it printed."""
    if ending.code < 0:
        return f"killed by {signal.Signals(-ending.code).name}"
    path = folder.runs / trial.name / "status.json"
    status = read_json(path) if path.exists() else {}
    of_now = status.get("heartbeat", 0) >= time.time() - ending.seconds - 1
    told = status.get("reason") if of_now and status.get("code") == ending.code else ""
    return told or last_words(folder.log(trial)) or f"exit code {ending.code}, and not a word"
