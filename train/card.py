"""The model card: the README.md of a model folder, written from its config.json and weights alone.

The Hugging Face Hub reads its front matter (`train.frontmatter`); people read the rest. No clock, host or
path stands in it, so the same model has the same card on every day.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shards.page import spelled
from train.cardtext import code, inline, table
from train.evaluated import Evaluated, read
from train.frontmatter import finds, frontmatter, learnt_from, licences, purpose
from train.protocols import MEANINGS
from train.verdicts import NOT_JUDGED, told

LONGEST = 1000  # characters of a value that the card shows; a charset may have thousands
OWN = ("format", "task", "model", "image")
TOLD = (
    "data",
    "start",
    "metrics",
    "measured",
    "real",
    "evaluated",
    "method",
    "teacher",
    "control",
    "calibration",
)
EVALUATE = "python -m train.evaluation checkpoint=FOLDER data.root=SHARDS card=true"
CHOSEN = "- the weights were chosen by figures of validation samples: expect a little less of others"
NOTHING = "∅"  # no character


@dataclass(frozen=True, slots=True)
class Failing:
    """How failures are told: a group's name, n, how many are right and their share in percent."""

    figure: str
    group: str
    by: str
    worst: str
    legend: tuple[str, ...] = ()


WORDS = Failing(
    "right", "{0}: {2} of {1}", "length,source", "groups and characters that it reads",
    (f"- {NOTHING}: no character, one left out or one too many",),
)  # fmt: skip
PLACES = Failing(
    "H-mean, %,", "{0}: {3:.2f} of {1} truths and detections", "source", "groups in which it finds words"
)


def card(config: dict[str, Any], parameters: int, hashes: dict[str, str]) -> str:
    """The front matter and Markdown. hashes: what it is of -> sha256, of the files that hold the weights."""
    found = read(config)
    sections = [
        ("Use", _use()),
        ("What it sees", _sees(config)),
        ("Data and licences", _data(config)),
        ("Results", _results(config, found)),
        ("Teacher and method", _taught(config)),
        ("Control", _control(config, found)),
        ("Known failures", _failures(found, PLACES if finds(config) else WORDS)),
        ("Calibration", _rows(config.get("calibration", "none: confidences are as the model gives them"))),
        *((name.capitalize(), _rows(config[name])) for name in sorted(set(config) - {*OWN, *TOLD})),
        ("Hashes", [f"- {inline(name)}: sha256 {code(value)}" for name, value in sorted(hashes.items())]),
    ]
    lines = [f"# {inline(config['model']['name'])}: {purpose(config).lower()}", "",
             f"{parameters:,} parameters, by OCR Distillery."]  # fmt: skip
    for title, text in sections:
        lines += ["", f"## {inline(title)}", "", *text]
    return f"{frontmatter(config)}\n" + "\n".join(lines) + "\n"


def _use() -> list[str]:
    return [
        "This folder is all that is needed; `hf download NAME --local-dir FOLDER` brings it from the Hub.",
        "", "```", "python -m train.predict FOLDER PICTURES",
        "python -m train.evaluation checkpoint=FOLDER data.root=SHARDS",
        "python -m train.export checkpoint=FOLDER data.root=SHARDS to=onnx", "```",
    ]  # fmt: skip


def _sees(config: dict[str, Any]) -> list[str]:
    task, model, image = config["task"], config["model"], config["image"]
    seen = (
        f"{image['channels']} {image['height']}x{image['width']} (height x width, pixels),"
        f" fit {image['fit']}, resampling {image['resample']} with antialiasing,"
        f" (x / 255 - {image['mean']}) / {image['std']}"
    )
    return [
        f"- Image: {inline(seen)}",
        f"- Task: {inline(task['name'])}, {code(_text(task['settings']))}",
        f"- Model: {inline(model['name'])}, {code(_text(model['settings']))}",
    ]


def _data(config: dict[str, Any]) -> list[str]:
    by, rows = licences(config), []
    for key, facts in learnt_from(config).items():
        licence = by[key]
        told = (key, facts.get("split", ""), facts.get("samples", ""), licence, facts.get("digest", ""))
        rows.append([*map(inline, told)])
    if not rows:
        return ["What the weights were learnt from is not known, so neither is under what they may be used."]
    return [
        *table(["data set", "split", "samples", "licence", "digest"], rows),
        "",
        "The program is Apache-2.0; that says nothing of the weights. They may be used as far as the "
        "licences of all this data allow; where one is not stated, ask whoever publishes that data.",
    ]  # fmt: skip


def _results(config: dict[str, Any], found: Sequence[Evaluated]) -> list[str]:
    if not found:
        return [f"None were recorded. `{EVALUATE}` measures, and writes them here."]
    rows = [
        [inline(one.set), inline(one.n or ""), inline(one.protocol), figure.heading.title, figure.shown]
        for one in found
        for figure in one.figures
    ]
    meant = [f"- protocol {inline(name)}: {MEANINGS[name]}"
             for name in dict.fromkeys(one.protocol for one in found) if name in MEANINGS]  # fmt: skip
    readers = [f"- {inline(one.set)}: read by {code(one.recogniser['name'])}, its weights' sha256"
               f" {code(one.recogniser['weights'])}" for one in found if one.recogniser]  # fmt: skip
    others = [one for one in found if "difference" in one.verdict and not _by_control(config, one)]
    return [
        *table(["set", "n", "protocol", "figure", "value [95 %]"], rows), "", *meant, *readers,
        "- n: labelled words, or pictures; each was read once, and a damaged one counts as missed",
        *([CHOSEN] if config.get("metrics") and config.get("data") else []),
        *map(_verdict, others),
    ]  # fmt: skip


def _taught(config: dict[str, Any]) -> list[str]:
    method, teacher = config.get("method") or {}, config.get("teacher")
    begun = [f"- Begun with the weights {code(config['start']['weights'])}"] if config.get("start") else []
    if not method and not teacher:
        return [*begun, "No teacher: the weights were learnt from labels alone." if config.get("data")
                else "Nothing is recorded of how the weights were learnt."]  # fmt: skip
    named = [f"- Method {inline(name)}: {code(_text(settings))}" for name, settings in sorted(method.items())]
    return [
        *begun,
        *named,
        "- Teacher, by its weights:" if teacher else "- Teacher: none",
        *_rows(teacher, "  "),
    ]


def _control(config: dict[str, Any], found: Sequence[Evaluated]) -> list[str]:
    if name := config.get("control"):
        rows = [_verdict(one) for one in found if _by_control(config, one)]
        return [f"{code(name)}, the same training without the teacher.", "", *(rows or [f"- {NOT_JUDGED}"])]
    if config.get("teacher") or config.get("method"):
        return ["None is recorded: what distillation changed is not known."]
    return ["None: no teacher is recorded."]


def _by_control(config: dict[str, Any], one: Evaluated) -> bool:
    """Whether a verdict is that against the control, which stands beside the run; others are of baselines."""
    return bool(config.get("control")) and one.verdict.get("against") == f"{config['control']}/best"


def _verdict(one: Evaluated) -> str:
    if "field" in one.verdict:
        said = f"{NOT_JUDGED}: {one.verdict['field']} differs in the control"
    else:
        said = told(one.verdict)
    if unlike := one.verdict.get("unlike"):
        said += f"; not judged alike: {unlike:,} of the {one.n:,} labels are folded otherwise"
    return f"- {inline(one.set)}: {inline(said)}"


def _failures(found: Sequence[Evaluated], kind: Failing) -> list[str]:
    lines = []
    for one in found:
        for way, groups in sorted(one.weak.items()):
            worst = "; ".join(kind.group.format(*group, 100 * group[2] / group[1]) for group in groups)
            lines.append(f"- {inline(one.set)}, {kind.figure} by {inline(way)}, the worst: {inline(worst)}")
        if one.confusions:
            pairs = [f"{spelled(truth) or NOTHING} as {spelled(text) or NOTHING} ({n})"
                     for truth, text, n in one.confusions]  # fmt: skip
            lines.append(f"- {inline(one.set)}, characters confused: {inline(', '.join(pairs))}")
    if lines:
        return [*lines, *kind.legend]
    return [
        f"None were recorded. `{EVALUATE} by={kind.by}` finds the {kind.worst} worst, and writes them here; "
        "`python -m train.report RUN` shows them as pictures."
    ]


def _rows(value: Any, indent: str = "") -> list[str]:
    """One bullet per entry; anything but a dict stands alone."""
    if not isinstance(value, dict):
        return [] if value is None else [_value(value)]
    return [f"{indent}- {inline(key)}: {_value(item)}" for key, item in sorted(value.items())] or [
        f"{indent}none"
    ]


def _value(value: Any) -> str:
    return (code if isinstance(value, dict | list) else inline)(_text(value))


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... (whole in config.json)"
