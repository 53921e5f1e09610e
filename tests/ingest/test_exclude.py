"""exclude=: what shards.verify listed is left out by name, and never anything else."""

import json
import shutil
import sys

import pytest

from shards import duplicates, manifest, progress, verify
from shards.read import Shards


@pytest.fixture
def raw(tmp_path, encoded):
    """train of 12 and test of 4 images; test has train's rows 2, 5 and, another image of its word, 9."""
    root = tmp_path / "raw"
    root.mkdir()
    for row in range(12):
        (root / f"{row}.png").write_bytes(encoded(size=(30 + row, 12 + row % 3)))
    (root / "train.tsv").write_text("".join(f"{row}.png\tword {row}\n" for row in range(12)))
    shutil.copy(root / "2.png", root / "t2.png")
    shutil.copy(root / "5.png", root / "t5.png")
    (root / "t9.png").write_bytes(encoded(size=(80, 30)))  # the same slope
    (root / "t.png").write_bytes(encoded(size=(90, 30)))
    (root / "test.tsv").write_text("t2.png\tword 2\nt5.png\tother\nt9.png\tWORD-9\nt.png\tnew\n")
    return root


@pytest.fixture
def made(shard, raw, monkeypatch, capsys):
    """(out folder, more arguments) -> (code, said) of sharding; and the list that verify makes of it."""

    def run(out, *more, split="train,test", listed="{split}.tsv"):
        return shard(
            "source=folder", f"root={raw}", f"labels={listed}", f"split={split}", f"out={out}", "workers=1",
            "rows_per_shard=5", *more,
        )  # fmt: skip

    return run


def listed(folder, out, *more):
    verify.main([str(folder), f"out={out}", *more])
    return [json.loads(line)["drop"]["row"] for line in out.read_text().splitlines()]


def test_duplicates_become_rejects_that_reconcile_and_break_no_limit(made, tmp_path):
    assert made(tmp_path / "whole")[0] == 0
    names = tmp_path / "names.jsonl"
    assert listed(tmp_path / "whole", names) == [2, 5, 9]
    code, said = made(tmp_path / "clean", f"exclude={names}", "max_reject_frac=0")
    assert code == 0, said
    train, test = (manifest.load(tmp_path / "clean" / split) for split in ("train", "test"))
    assert (train.rows, train.written, train.rejected) == (12, 9, {"excluded": 3})
    lines = [json.loads(line) for line in (tmp_path / "clean/train/rejects.jsonl").read_text().splitlines()]
    assert [(line["row"], line["reason"], line["origin"]) for line in lines] == [
        (2, "excluded", "2.png"), (5, "excluded", "5.png"), (9, "excluded", "9.png"),
    ]  # fmt: skip
    assert lines[0]["detail"] == "same bytes as folder test row 0, t2.png"
    assert lines[2]["detail"].startswith("near 1.00 as folder test row 2")
    left = Shards([tmp_path / "clean"], "train")
    assert [manifest.split_uid(uid)[1] for uid in left.uids] == [0, 1, 3, 4, 6, 7, 8, 10, 11]
    whole = manifest.load(tmp_path / "whole/train")
    assert train.dataset_id != whole.dataset_id  # other samples: a cache of the one is not one of the other
    assert test.digest == manifest.load(tmp_path / "whole/test").digest  # nothing left out: the same data set
    assert listed(tmp_path / "clean", tmp_path / "none.jsonl") == []


def test_running_again_resumes_and_another_list_is_another_data_set(made, tmp_path, snapshot):
    made(tmp_path / "whole")
    names = tmp_path / "found" / duplicates.FILE
    listed(tmp_path / "whole", names)
    more = (f"exclude={names.parent}",)  # the folder that holds it will do
    assert made(tmp_path / "clean", *more)[0] == 0
    before = snapshot(tmp_path / "clean")
    (tmp_path / "clean/train/000001.json").unlink()
    assert made(tmp_path / "clean", *more)[0] == 0
    assert snapshot(tmp_path / "clean") == before
    code, said = made(tmp_path / "clean")
    assert (code, "option excluded" in said) == (2, True), said
    names.write_text("".join(names.read_text().splitlines(keepends=True)[:1]))
    assert made(tmp_path / "clean", *more)[0] == 2
    assert made(tmp_path / "whole", *more, split="test")[0] == 0


def test_lists_add_up_and_the_second_may_be_of_the_cleaned_set(made, tmp_path, raw):
    made(tmp_path / "whole")
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    listed(tmp_path / "whole", first, "near=false")
    assert made(tmp_path / "once", f"exclude={first}")[0] == 0
    assert listed(tmp_path / "once", second) == [9]
    assert made(tmp_path / "twice", f"exclude={first},{second}")[0] == 0
    assert manifest.load(tmp_path / "twice/train").rejected == {"excluded": 3}


def test_a_changed_listing_or_image_is_refused_and_nothing_wrong_is_left_out(made, tmp_path, raw, encoded):
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    listed(tmp_path / "whole", names)
    image = (raw / "5.png").read_bytes()
    (raw / "5.png").write_bytes(encoded(size=(33, 33)))
    code, said = made(tmp_path / "clean", f"exclude={names}")
    assert (code, "row 5 (5.png) is not the sample that exclude= names" in said) == (3, True), said
    assert not (tmp_path / "clean/train/manifest.json").exists()
    (raw / "5.png").write_bytes(image)
    lines = (raw / "train.tsv").read_text().splitlines(keepends=True)
    (raw / "train.tsv").write_text("".join(lines[1:]))
    assert made(tmp_path / "shifted", f"exclude={names}")[0] == 3
    (raw / "train.tsv").write_text("".join(lines[:4]))
    code, said = made(tmp_path / "short", f"exclude={names}")
    assert (code, "which has 4 rows" in said) == (2, True), said


def test_a_list_of_other_data_is_refused(made, tmp_path):
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    listed(tmp_path / "whole", names)
    code, said = made(tmp_path / "other", f"exclude={names}", "name=mine")
    assert (code, "names samples of folder, none of mine" in said) == (2, True), said
    code, said = made(tmp_path / "other", f"exclude={tmp_path / 'absent'}")
    assert (code, "shards.verify out= writes it" in said) == (3, True), said
    names.write_text("")
    assert made(tmp_path / "clean", f"exclude={names}")[0] == 0  # there were no duplicates: nothing to do


def test_a_row_that_cannot_be_read_keeps_its_own_reason(made, tmp_path, raw):
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    listed(tmp_path / "whole", names)
    (raw / "5.png").unlink()
    assert made(tmp_path / "clean", f"exclude={names}", "max_reject_frac=.1")[0] == 0
    assert manifest.load(tmp_path / "clean/train").rejected == {"excluded": 2, "missing_image": 1}


def test_an_exclusion_hides_no_twin_of_a_split(made, tmp_path, raw):
    shutil.copy(raw / "train.tsv", raw / "all.tsv")
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    listed(tmp_path / "whole", names)
    assert made(tmp_path / "out", f"exclude={names}", split="train", listed="all.tsv")[0] == 0
    code, said = made(tmp_path / "out", split="test", listed="all.tsv")
    assert (code, "holds this very listing already" in said) == (2, True), said


@pytest.mark.slow
def test_workers_do_not_change_what_is_left_out(made, tmp_path, snapshot):
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    listed(tmp_path / "whole", names)
    for workers in (1, 2):
        code, said = made(tmp_path / f"{workers}", f"exclude={names}", f"workers={workers}")
        assert code == 0, said
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")


def test_the_gate_passes_once_they_are_out(made, tmp_path, monkeypatch, capsys):
    made(tmp_path / "whole")
    names = tmp_path / "names.jsonl"
    codes = []
    for folder, more in ((tmp_path / "whole", f"out={names}"), (tmp_path / "clean", "near=true")):
        if folder.name == "clean":
            assert made(folder, f"exclude={names}")[0] == 0
        monkeypatch.setattr(sys, "argv", ["shards.verify", str(folder), "strict=true", more])
        codes.append(progress.run(verify.main))
    assert codes == [4, 0]
