"""What a run begins with: weights, sides, settings; and what a dry run shows."""

import json
import shutil
import sys
from pathlib import Path

import fsspec
import pytest
import torch

from distill import student
from ingest import shard
from shards import progress, storage
from shards.errors import BadData, BadSettings
from train import modelfolder, starting, teacher, training
from train.runfolder import read_metrics


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_init_from(train, tmp_path):
    train("first", "fit.epochs=1")
    train("second", "fit.epochs=1", f"init_from={tmp_path / 'first' / 'last'}", "seed=7", "optim.lr=1e-12")
    ends, begins = read_metrics(tmp_path / "first")[-1], read_metrics(tmp_path / "second")[1]
    assert (begins["global_step"], ends["global_step"]) == (0, 6)
    assert {k: v for k, v in begins.items() if "val/" in k} == {k: v for k, v in ends.items() if "val/" in k}


@pytest.mark.slow
def test_a_model_tells_what_the_weights_it_began_with_had_learnt_from(train, tmp_path, words, capsys):
    train("first", "fit.epochs=1")
    first = tmp_path / "first" / "last"
    others = {"others-train-abc123": {"licence": "CC BY 4.0", "split": "train"}}
    modelfolder.amend(first, lambda _: {"data": others})
    train("second", "fit.epochs=1", f"init_from={first}", "optim.lr=1e-12", "fit.select=word_acc")
    assert "nothing better was learnt" in " ".join(capsys.readouterr().out.split())
    train("third", "fit.epochs=1", f"init_from={tmp_path / 'second' / 'last'}", "optim.lr=1e-12")
    second, third = (modelfolder.load(tmp_path / name / "last").config for name in ("second", "third"))
    assert second["start"]["weights"] == modelfolder.weights_digest(first)
    assert list(second["start"]["data"]) == ["others-train-abc123"]
    assert list(third["start"]["data"]) == ["others-train-abc123", *second["data"]]
    assert "start" not in modelfolder.load(first).config
    card = (tmp_path / "third" / "last" / "README.md").read_text()
    assert "others-train-abc123 | train |  | CC BY 4.0" in card
    assert third["start"]["weights"] in card


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("image.width=104", "image.width is 100, this run has 104; to go on: image.width=100$"),
        ("task.charset=62", "task.characters has 36 characters there, 62 in this run"),
        ("model.rnn_hidden=9", "model.rnn_hidden is 8, this run has 9; to go on: model="),
    ],
)
def test_weights_of_another_kind_are_refused_with_both_values(bench, words, tmp_path, changed, named):
    task, model = starting.build(bench(f"data.root={words}").settings)[:2]
    modelfolder.save(tmp_path / "m", model, task, model_name="crnn", task_name="recognise", extra={})
    with pytest.raises(BadSettings, match=f"(?s)init_from=.*{named}"):
        bench(f"data.root={words}", f"init_from={tmp_path / 'm'}", changed)


def test_a_mixture_draws_from_its_roots_by_weight(bench, words, tmp_path):
    other = tmp_path / "other"
    shard.main(["source=rendered", "name=other", "count=10", f"out={other}", "workers=1"])
    roots, few = f"data.root=[{words},{other}]", "data.draws=40"
    b = bench(roots, "data.weights=[3,1]", few, "fit.batch=8", "data.views=0", "augment=light")
    plan = b.train_loader.plan
    assert (plan.length, plan.steps, plan.quotas.tolist()) == (40, 5, [30, 10])
    for batch in b.train_loader.batches(1):
        theirs = (batch.uids >> 40) == b.train.manifests[1].dataset_id
        assert int(theirs.sum()) == 2
        assert (batch.view[theirs.numpy()] == 2).all()  # the ten are passed a second time, the others not yet
        assert set(batch.view[~theirs.numpy()]) == {1}


@pytest.mark.parametrize(("weights", "named"), [("[1]", "1 weights for 2 roots"), ("[0,0]", "not all 0")])
def test_weights_that_cannot_be_are_refused(bench, words, tmp_path, weights, named):
    shard.main(["source=rendered", "name=other", "count=10", f"out={tmp_path / 'o'}", "workers=1"])
    with pytest.raises(BadSettings, match=named):
        bench(f"data.root=[{words},{tmp_path / 'o'}]", f"data.weights={weights}")


def test_photos_of_several_words_are_refused_by_a_task_that_reads_one(bench, tmp_path):
    raw = Path(__file__).resolve().parents[1] / "raw" / "icdar2015" / "root"
    settings = ["source=icdar2015", "level=scenes", f"root={raw}", "max_reject_frac=1", "workers=1"]
    shard.main([*settings, f"out={tmp_path / 'photos'}"])
    with pytest.raises(
        BadData, match=r"of \d+ samples hold several words; recognise reads crops of one word"
    ):
        bench(f"data.root={tmp_path / 'photos'}", "data.val_share=.5")


def test_split_val_is_watched_where_there_is_one(bench, words):
    b = bench(f"data.root={words}")
    assert len(b.train_loader.positions) == 96
    assert b.val_loader.shards.split == "val"
    assert len(b.val_loader.positions) == 32


def test_without_split_val_a_seeded_share_of_the_groups_is_held_out(bench, words, tmp_path):
    shutil.copytree(words / "train", tmp_path / "w" / "train")
    root = f"data.root={tmp_path / 'w'}"
    sides = []
    for seed in (1, 1, 2):
        b = bench(root, "data.val_share=0.3", f"seed={seed}")
        groups = b.train.column("group")
        ours, theirs = b.train_loader.positions, b.val_loader.positions
        assert sorted([*ours, *theirs]) == list(range(96))
        assert not set(groups[ours].tolist()) & set(groups[theirs].tolist())
        assert 5 < len(theirs) < 60
        sides.append(theirs.tolist())
    assert sides[0] == sides[1] != sides[2]
    with pytest.raises(BadData, match=r"data\.val_share=0\.0"):
        bench(root, "data.val_share=0")


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_a_run_is_judged_by_is_not_trained_on(bench, words, split):
    with pytest.raises(BadSettings, match=f"data.split={split}"):
        bench(f"data.root={words}", f"data.split={split}")


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: (p / "train").mkdir(parents=True)]
)
def test_a_root_that_is_missing_or_empty_is_bad_data(bench, tmp_path, make):
    make(tmp_path / "w")
    with pytest.raises(BadData, match=str(tmp_path / "w")):
        bench(f"data.root={tmp_path / 'w'}")


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("fit.epoch=3", "did you mean 'fit.epochs'"),
        ("fit.epochs=many", "fit.epochs: 'many' is not int"),
        ("model=crn", "crnn"),
        ("task=read", "recognise"),
        ("optim=lamb", "adamw, rmsprop, sgd"),
        ("schedule=triangle", "cosine, exp, onecycle"),
        ("optim.memory=.9", "memory"),
        ("fit.precision=int8", "fp32, bf16, fp16"),
        ("data.engine=best", "plain"),
        ("nonsense", "key=value"),
    ],
)
def test_unknown_keys_names_and_types_answer_with_what_exists(bench, words, bad, named):
    with pytest.raises(BadSettings, match=named):
        bench(f"data.root={words}", bad)


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["fit.epoch=3"], 2), (["data.root=/no/where"], 3), (["data.root=/no/where", "json=true"], 3), ([], 3)],
)
def test_the_entry_ends_with_the_code_of_what_is_wrong(monkeypatch, capsys, forget_accelerate, argv, code):
    monkeypatch.setattr(sys, "argv", ["teacher.py", "run.name=x", *argv])
    assert progress.run(teacher.main) == code
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    if "json=true" in argv:
        assert json.loads(said.out.splitlines()[-1])["code"] == code


def test_a_dry_run_shows_settings_and_cost_and_writes_nothing(bench, words, tmp_path, capsys):
    b = bench(f"data.root={words}", f"run.root={tmp_path}", "dry_run=true", "fit.batch=32", "fit.epochs=5")
    found = training.run(b, b.model, lambda batch: batch, story={})
    assert (found["steps"], found["frames"], found["parameters"]) == (15, 24, 4449)
    assert found["flops"] > 1e5
    assert found["megabytes"] == pytest.approx(4449 * 4e-6)
    assert found["settings"]["fit"]["batch"] == 32
    assert "flops" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("main", "more"), [(teacher.main, []), (student.main, ["method=none"])])
def test_a_dry_run_without_a_name_tells_of_no_model_that_it_did_not_make(
    main, more, words, tmp_path, capsys, forget_accelerate
):
    forget_accelerate()
    main(
        ["model=crnn_nano", f"data.root={words}", f"run.root={tmp_path}", "dry_run=true", "json=true", *more]
    )
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1])["next"] == ""
    assert "best" not in out


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has fp16")
def test_fp16_is_refused_where_the_device_has_it_not(bench, words):
    with pytest.raises(BadSettings, match=r"fp16: cpu has no .*fit\.precision=bf16, or fp32"):
        bench(f"data.root={words}", "fit.precision=fp16")


def test_a_frozen_part_keeps_its_weights_and_statistics_to_the_bit(train, tmp_path):
    for name, epochs in (("short", 1), ("long", 2)):
        train(name, f"fit.epochs={epochs}", "optim.parts=[cnn:0,rnn1:.1]")
    short, long = (
        modelfolder.load(tmp_path / name / "last").model.state_dict() for name in ("short", "long")
    )
    same = {name.partition(".")[0] for name in short if torch.equal(short[name], long[name])}
    assert same == {"cnn"}
    assert all(torch.equal(short[name], long[name]) for name in short if name.startswith("cnn."))


def test_strict_runs_refuse_what_may_vary_and_train_alike(train, tmp_path):
    try:
        for name in ("one", "two"):
            train(name, "fit.epochs=1", "repro=strict")
        assert torch.are_deterministic_algorithms_enabled()
        with pytest.raises(RuntimeError, match="deterministic"):
            torch.zeros(4).put_(torch.tensor([0]), torch.ones(1), accumulate=False)
    finally:
        torch.use_deterministic_algorithms(False)
    weights = [(tmp_path / name / "last" / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_a_smaller_share_of_the_data_is_part_of_a_larger_one(bench, words):
    def drawn(share, *more):
        plan = bench(f"data.root={words}", f"data.share={share}", "fit.batch=4", *more).train_loader.plan
        return {int(plan.uids[i]) for i in range(len(plan.uids))}

    tenth, half, whole = drawn(0.1), drawn(0.5), drawn(1)
    assert tenth < half < whole
    assert (len(whole), abs(len(half) - 48) < 20) == (96, True)
    assert drawn(0.5, "seed=1") != half
    with pytest.raises(BadSettings, match=r"data\.share: 0\.0"):
        drawn(0.0)
    with pytest.raises(BadData, match="leaves nothing to train"):
        drawn(1e-9)


@pytest.mark.slow
def test_a_run_on_an_address_is_the_run_on_the_folder(train, words, tmp_path, monkeypatch):
    pytest.importorskip("upath")
    monkeypatch.setenv(storage.ROOM, str(tmp_path / "room"))
    there = "memory://train/words"
    fsspec.filesystem("memory").put(str(words), there, recursive=True)
    for name, data in (("here", words), ("there", there)):
        train(name, "fit.epochs=1", "data.window=1", "data.room=1", data=data)
    here, far = (modelfolder.weights_digest(tmp_path / name / "last") for name in ("here", "there"))
    assert here == far
