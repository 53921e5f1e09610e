"""The model card: the README.md of a model folder, written from its config.json alone."""

import json
from typing import Any

LONGEST = 1000  # characters of a value that the card shows; a charset may have thousands
OWN = ("format", "task", "model", "image")


def card(config: dict[str, Any], parameters: int) -> str:
    """Markdown that says what the model is, what it sees, how good it is, and how to use it."""
    task, model, image = config["task"], config["model"], config["image"]
    lines = [
        f"# {model['name']} for {task['name']}",
        "",
        f"{parameters:,} parameters, by OCR Distillery. Give this folder to `python -m train.predict`,",
        "`python -m train.evaluation checkpoint=` or `init_from=`; nothing else is needed.",
        "",
        f"- Sees: {image['channels']} {image['height']}x{image['width']} (height x width, pixels),"
        f" fit {image['fit']}, resampling {image['resample']} with antialiasing,"
        f" (x / 255 - {image['mean']}) / {image['std']}",
        f"- Task: {task['name']}, `{_text(task['settings'])}`",
        f"- Model: {model['name']}, `{_text(model['settings'])}`",
    ]
    for name in sorted(set(config) - set(OWN)):
        lines += ["", f"## {name.capitalize()}", "", *_rows(config[name])]
    return "\n".join(lines) + "\n"


def _rows(value: Any) -> list[str]:
    """One bullet per entry; anything but a dict stands alone."""
    if not isinstance(value, dict):
        return [_text(value)]
    return [f"- {key}: {_text(item)}" for key, item in sorted(value.items())] or ["none"]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... (whole in config.json)"
