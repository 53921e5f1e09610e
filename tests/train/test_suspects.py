"""Labels that may be wrong, as a CSV file."""

import csv
import json
from types import SimpleNamespace

import pytest

from shards.errors import BadSettings
from shards.read import Shards
from train import evaluation, suspects
from train.predict import PRETRAINED
from train.verdicts import Judged


def test_what_is_read_otherwise_is_named_the_surest_first(words, tmp_path):
    shards = Shards([str(words)], "test")
    uids = shards.uids.tolist()[:5]
    rows = [
        (uids[0], "right", "right", 0.9), (uids[1], "lable", "label", 0.7), (uids[2], "=1+1", "a,\"b", 0.8),
        (uids[3], "blurred", "", 0.99), (uids[4], "one", "two", 0.8),
    ]  # fmt: skip
    correct = {uid: label == reading for uid, label, reading, _ in rows}
    judged = Judged("m", {}, SimpleNamespace(right=correct, rows=rows), {}, {}, {uids[3]: "damaged"})
    assert suspects.write(tmp_path / "deep" / "s.csv", judged, shards) == 3
    found = list(csv.DictReader((tmp_path / "deep" / "s.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["label"], row["reading"], row["confidence"]) for row in found] == [
        ("'=1+1", 'a,"b', "0.8000"),
        ("one", "two", "0.8000"),
        ("lable", "label", "0.7000"),
    ]
    assert found[2]["uid"] == f"{uids[1]:016x}"
    assert found[2]["origin"] == shards.record(shards.position(uids[1])).origin
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["s.csv"]


def test_an_evaluation_writes_them_and_tells_how_many(words, tmp_path, capsys):
    out, places = tmp_path / "out.json", tmp_path / "s.csv"
    evaluation.main([f"checkpoint={PRETRAINED}", f"data.root={words}", f"suspects={places}", f"out={out}"])
    (found,) = json.loads(out.read_text())["models"].values()
    wrong = found["n"] - round(found["n"] * found["word_acc"]["value"]) - found["unencodable"]
    rows = list(csv.DictReader(places.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == wrong > 0
    assert all(row["label"].lower() != row["reading"] for row in rows)
    assert f"{wrong} labels that pretrained/words reads otherwise" in " ".join(
        capsys.readouterr().out.split()
    )
    with pytest.raises(BadSettings, match="a folder stands there"):
        evaluation.main([f"checkpoint={PRETRAINED}", f"data.root={words}", f"suspects={tmp_path}"])
