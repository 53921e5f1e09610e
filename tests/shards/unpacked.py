"""What the tests of unpack share: its call, and what it left."""

import json

import pytest

from shards import unpack
from shards.read import Shards

WORDS, SCENES = ("folder", "lmdb"), ("coco", "yolo")


def run(folder, to, out, *more):
    unpack.main([str(folder), f"to={to}", f"out={out}", *more])


def available(to):
    if to == "lmdb":
        pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    return to


def ledger(out, split="train"):
    return [json.loads(line) for line in (out / f"{split}.left_out.jsonl").read_text().splitlines()]


def contents(root, split):
    shards = Shards([root], split)
    return [(shards.image(i), shards.text(i)) for i in range(len(shards))]
