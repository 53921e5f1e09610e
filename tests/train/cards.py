"""A config.json with all that a card tells, and its front matter as the Hub reads it."""

from dataclasses import asdict

import yaml

from shards.image import ImageSpec
from train.frontmatter import frontmatter

HASHES = {"model.safetensors": "ab" * 32}
OPEN, UNSAID = "CC BY 4.0 (attribution is needed)", "not stated"
RESEARCH = "none stated (research use; images and shards are not to be passed on)"
DATA = {"svt-train-0a1b2c": {"split": "train", "digest": "d" * 64, "samples": 257, "licence": OPEN}}
KEPT = {
    "split": "test", "protocol": "36", "data": "e" * 64, "n": 90,
    "figures": {"word_acc": {"value": 0.6667, "low": 0.5642, "high": 0.7555}, "cer": {"value": 0.1}},
    "verdict": {"verdict": "BETTER", "against": "small-control/best",
                "difference": 0.03, "low": 0.01, "high": 0.05},
    "weak": {"length": [["12", 20, 3]]}, "confusions": [["o", "0", 14], ["l", "", 2]],
}  # fmt: skip
TAUGHT = {"method": {"nkd": {"weight": 0.5}}, "control": "small-control",
          "teacher": {"weights": "f" * 64, "model": {"name": "crnn"}, "precision": "fp32"}}  # fmt: skip


def told(name="crnn", task="recognise", **extra):
    return {"format": 1, "task": {"name": task, "settings": {"charset": "36"}}, "image": asdict(ImageSpec()),
            "model": {"name": name, "settings": {}}, **extra}  # fmt: skip


def front(config):
    text = frontmatter(config)
    assert text.startswith("---\n")
    assert text.endswith("---\n")
    return yaml.safe_load(text.strip("-\n"))
