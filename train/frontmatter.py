"""The front matter of a model card: YAML that the Hugging Face Hub reads, made of config.json alone.

Fields and results are those of the Hub's model card specification
(https://github.com/huggingface/hub-docs/blob/main/modelcard.md). The licence is that of the weights, and what
the data allow decides it: it is never a free one that nobody granted.
"""

import re
from typing import Any

import yaml

from shards.lookup import find
from train.evaluated import Evaluated, Figure, read, sets

LIBRARY = "ocr-distillery"
HUB = {  # names of figures on the Hub, where it knows them
    "word_acc": "accuracy", "word_acc_ics": "accuracy", "cer": "cer", "hmean": "f1",
    "precision": "precision", "recall": "recall",
}  # fmt: skip
UNSTATED = "not stated"
RESTRICTED = re.compile(
    r"restricted|research[\s-]+(use|purposes?|only)|(for|in) (academic )?research|academic(?! free)"
    r"|scientific|educational|non-?\s?commercial|\bNC(?![a-z])",
    re.IGNORECASE,
)
UNKNOWN = re.compile(
    r"\b(not|none|never|nowhere)\s+(yet\s+)?(stated|established|known|granted)|unknown|unstated|unclear",
    re.IGNORECASE,
)
FREE = re.compile(
    r"\bCC[- ]?BY(-SA)?(?!-?[a-z])|\bCC[- ]?0\b|public domain|\bODC-BY\b|\bPDDL\b|\bODbL\b|\bCDLA-Permissive"
    r"|\bMIT\b|\bApache[- ](License )?2|\bBSD\b",
    re.IGNORECASE,
)


def frontmatter(config: dict[str, Any]) -> str:
    """The block between two lines of ---, these included."""
    places, found = finds(config), read(config)
    task = {"type": "object-detection" if places else "image-to-text", "name": purpose(config)}
    taught = ["knowledge-distillation"] if config.get("teacher") else []
    told = {
        **licence(config),
        "library_name": LIBRARY,
        "pipeline_tag": task["type"],
        "tags": ["ocr", "text-detection" if places else "text-recognition", config["model"]["name"], *taught],
        "datasets": sets(named(config)),
        "metrics": list(dict.fromkeys(_metric(figure) for one in found for figure in one.figures)),
        "model-index": [{"name": config["model"]["name"], "results": [_result(one, task) for one in found]}],
    }
    if not found:
        del told["model-index"]
    said = {key: value for key, value in told.items() if value}
    return f"---\n{yaml.safe_dump(said, sort_keys=False, width=110)}---\n"


def finds(config: dict[str, Any]) -> bool:
    """Whether the model finds words in pictures, and does not read the one of a crop."""
    return find("train.tasks", config["task"]["name"]).Task.finds


def purpose(config: dict[str, Any]) -> str:
    """What the model is for, in words."""
    return "Finding words in photographs" if finds(config) else "Reading words"


def named(config: dict[str, Any]) -> dict[str, Any]:
    """Data set -> what is known of it, those of the model that a training began with too."""
    return {**config.get("start", {}).get("data", {}), **config.get("data", {})}


def learnt_from(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """As `named`; where nothing is known of the data of the model that a training began with, that model
    stands for them.
    """
    start, found = config.get("start"), named(config)
    if start and not start["data"]:
        found[f"weights {start['weights'][:12]}"] = {}
    return {key: one if isinstance(one, dict) else {} for key, one in sorted(found.items())}


def licences(config: dict[str, Any]) -> dict[str, str]:
    """Data set -> its licence, as far as config.json tells."""
    return {key: str(one.get("licence", UNSTATED)) for key, one in learnt_from(config).items()}


def licence(config: dict[str, Any]) -> dict[str, str]:
    """Of the weights, as the Hub spells it; `unknown` where not all data have a licence known to be free."""
    told = licences(config).values()
    if any(RESTRICTED.search(one) for one in told):
        return {"license": "other", "license_name": "data-for-research-use", "license_link": "README.md"}
    if not told or any(UNKNOWN.search(one) or not FREE.search(one) for one in told):
        return {"license": "unknown"}
    return {"license": "other", "license_name": "that-of-the-data", "license_link": "README.md"}


def _result(one: Evaluated, task: dict[str, str]) -> dict[str, Any]:
    """An entry of model-index."""
    dataset = {"name": one.set, "type": re.sub(r"[^\w.+-]+", "-", one.set).strip("-"), "split": one.split}
    revision = {"revision": one.data} if one.data else {}
    args = {"protocol": one.protocol, **({"n": one.n} if one.n else {}), **_reader(one)}
    return {
        "task": {**task},  # one dict in two places would be an alias in YAML
        "dataset": {**dataset, **revision, "args": args},
        "metrics": [_entry(figure) for figure in one.figures],
    }


def _reader(one: Evaluated) -> dict[str, Any]:
    return {"recogniser": one.recogniser} if one.recogniser else {}


def _entry(figure: Figure) -> dict[str, Any]:
    heading = figure.heading
    entry = {"type": _metric(figure), "name": heading.title, "value": _number(figure, figure.value)}
    if figure.low is not None and figure.high is not None:
        entry["args"] = {"interval 95 %": [_number(figure, figure.low), _number(figure, figure.high)]}
    return entry


def _number(figure: Figure, value: float) -> float:
    return float(figure.heading.shown(value))


def _metric(figure: Figure) -> str:
    return HUB.get(figure.heading.name, figure.heading.name)
