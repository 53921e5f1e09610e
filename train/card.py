"""The model card: the README.md of a model folder, written from its config.json and weights alone.

The Hugging Face Hub reads its front matter (`train.frontmatter`); people read the rest. No clock, host or
path stands in it, so the same model has the same card on every day.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from train.evaluated import Evaluated, read
from train.frontmatter import frontmatter, licences
from train.verdicts import NOT_JUDGED, told

LONGEST = 1000  # characters of a value that the card shows; a charset may have thousands
OWN = ("format", "task", "model", "image")
TOLD = ("data", "metrics", "measured", "real", "evaluated", "method", "teacher", "control", "calibration")
PROTOCOLS = {
    "native": "what the model's charset can tell apart; of places: ICDAR2015's rules",
    "ocrdistill": "upright boxes, as OCRdistill compares them",
    "icdar2015": "ICDAR2015's rules of places",
    "36": "small letters and digits, whatever the case was; nothing else is compared",
    "62": "letters and digits; nothing else is compared",
    "94": "the printable ASCII characters; nothing else is compared",
}
EVALUATE = "python -m train.evaluation checkpoint=FOLDER data.root=SHARDS card=true"
CHOSEN = "- the weights were chosen by figures of validation samples: expect a little less of others"
NOTHING = "∅"  # no character


def card(config: dict[str, Any], parameters: int, hashes: dict[str, str]) -> str:
    """The front matter and Markdown. hashes: what it is of -> sha256, of the files that hold the weights."""
    found = read(config)
    sections = {
        "Use": _use(),
        "What it sees": _sees(config),
        "Data and licences": _data(config),
        "Results": _results(config, found),
        "Teacher and method": _taught(config),
        "Control": _control(config, found),
        "Known failures": _failures(found),
        "Calibration": _rows(config.get("calibration", "none: confidences are as the model gives them")),
        **{name.capitalize(): _rows(config[name]) for name in sorted(set(config) - {*OWN, *TOLD})},
        "Hashes": [f"- {name}: sha256 `{value}`" for name, value in sorted(hashes.items())],
    }
    lines = [f"# {config['model']['name']} for {config['task']['name']}", "",
             f"{parameters:,} parameters, by OCR Distillery."]  # fmt: skip
    for title, text in sections.items():
        lines += ["", f"## {title}", "", *text]
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
    return [
        f"- Image: {image['channels']} {image['height']}x{image['width']} (height x width, pixels),"
        f" fit {image['fit']}, resampling {image['resample']} with antialiasing,"
        f" (x / 255 - {image['mean']}) / {image['std']}",
        f"- Task: {task['name']}, `{_text(task['settings'])}`",
        f"- Model: {model['name']}, `{_text(model['settings'])}`",
    ]


def _data(config: dict[str, Any]) -> list[str]:
    by, rows = licences(config), []
    for key, licence in by.items():
        facts = config["data"][key] if isinstance(config["data"][key], dict) else {}
        rows.append(
            [key, *(facts.get(name, "") for name in ("split", "samples")), licence, facts.get("digest", "")]
        )
    if not rows:
        return ["What the weights were learnt from is not known, so neither is under what they may be used."]
    return [
        *_table(["data set", "split", "samples", "licence", "digest"], rows),
        "",
        "The program is Apache-2.0; that says nothing of the weights. They may be used as far as the "
        "licences of all this data allow; where one is not stated, ask whoever publishes that data.",
    ]  # fmt: skip


def _results(config: dict[str, Any], found: Sequence[Evaluated]) -> list[str]:
    if not found:
        return [f"None were recorded. `{EVALUATE}` measures, and writes them here."]
    rows = [
        [one.set, one.n or "", one.protocol, figure.heading.title, figure.shown]
        for one in found
        for figure in one.figures
    ]
    notes = [f"- protocol {name}: {PROTOCOLS[name]}" for name in dict.fromkeys(one.protocol for one in found)
             if name in PROTOCOLS]  # fmt: skip
    return [
        *_table(["set", "n", "protocol", "figure", "value [95 %]"], rows), "", *notes,
        "- n: labelled words, or pictures; each was read once, and a damaged one counts as missed",
        *([CHOSEN] if config.get("metrics") and config.get("data") else []),
    ]  # fmt: skip


def _taught(config: dict[str, Any]) -> list[str]:
    method, teacher = config.get("method"), config.get("teacher")
    if not method:
        return ["No teacher: the weights were learnt from labels alone." if config.get("data")
                else "Nothing is recorded of how the weights were learnt."]  # fmt: skip
    named = [f"- Method {name}: `{_text(settings)}`" for name, settings in sorted(method.items())]
    return [*named, "- Teacher, by its weights:" if teacher else "- Teacher: none", *_rows(teacher, "  ")]


def _control(config: dict[str, Any], found: Sequence[Evaluated]) -> list[str]:
    name = config.get("control")
    said = f"`{name}`, the same training without the teacher." if name else "None: no teacher is recorded."
    judged = [one for one in found if "difference" in one.verdict or (name and one.verdict)]
    rows = [f"- {one.set}: {_verdict(one.verdict)}" for one in judged]
    return [said, "", *(rows or [f"- {NOT_JUDGED}"])]


def _verdict(found: dict[str, Any]) -> str:
    if "field" in found:
        return f"{NOT_JUDGED}: {found['field']} differs in the control"
    return told(found)


def _failures(found: Sequence[Evaluated]) -> list[str]:
    lines = []
    for one in found:
        for way, groups in sorted(one.weak.items()):
            parts = [f"{name}: {right} of {n}" for name, n, right in groups]
            lines.append(f"- {one.set}, right by {way}, the worst: {'; '.join(parts)}")
        if one.confusions:
            parts = [f"{truth or NOTHING} as {text or NOTHING} ({n})" for truth, text, n in one.confusions]
            lines.append(f"- {one.set}, characters confused: {_flat(', '.join(parts))}")
    if lines:
        return [*lines, f"- {NOTHING}: no character, one left out or one too many"]
    return [
        f"None were recorded. `{EVALUATE} by=length,source` finds the groups and characters that it reads "
        "worst, and writes them here; `python -m train.report RUN` shows them as pictures."
    ]


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    body = ["| " + " | ".join(_flat(str(cell)) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]


def _flat(text: str) -> str:
    """One line that breaks no table."""
    return " ".join(text.split()).replace("|", "\\|")


def _rows(value: Any, indent: str = "") -> list[str]:
    """One bullet per entry; anything but a dict stands alone."""
    if not isinstance(value, dict):
        return [] if value is None else [_text(value)]
    return [f"{indent}- {key}: {_text(item)}" for key, item in sorted(value.items())] or [f"{indent}none"]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... (whole in config.json)"
