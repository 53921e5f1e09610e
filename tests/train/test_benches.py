"""The six usual test sets: counts, averages, and what is missing."""

import pytest
import torch

from ingest import shard
from shards import unpack
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train import benches, evaluation, modelfolder
from train.models import crnn
from train.tasks.recognise import Settings, Task


@pytest.fixture
def few(monkeypatch):
    """The same bench with fewer words."""
    counts = {name: 2 + i for i, name in enumerate(benches.STD6)}
    monkeypatch.setitem(benches.BENCHES, "std6", (counts, benches.SIX))
    return counts


@pytest.fixture
def sets(few, tmp_path):
    for seed, (name, count) in enumerate(few.items()):
        out = tmp_path / "bench" / name
        more = [f"name={name}", f"count={count}", f"seed={seed}", f"out={out}", "workers=1"]
        shard.main(["source=rendered", "split=test", *more])
    return tmp_path / "bench"


def test_the_counts_are_those_of_the_literature():
    assert sum(benches.STD6[name] for name in benches.SIX["six sets (IC13 857, IC15 1811)"]) == 7248
    assert sum(benches.STD6[name] for name in benches.SIX["six sets (IC13 1015, IC15 2077)"]) == 7672


def test_a_bench_is_evaluated_set_by_set_with_its_averages(sets, few, tmp_path, capsys):
    torch.manual_seed(0)
    task = Task(Settings(), ImageSpec())
    model = crnn.Model(
        crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8), task.image, 37
    )
    modelfolder.save(tmp_path / "m", model, task, model_name="crnn", task_name="recognise", extra={})
    evaluation.main(["bench=std6", f"checkpoint={tmp_path / 'm'}", f"data.root={sets}"])
    out = capsys.readouterr().out
    assert "six sets (IC13 857, IC15 1811)" in out
    assert "0.00 / 0.00" in out
    assert all(name in out for name in few)


def test_averages_are_of_sets_and_of_words():
    counts = {name: {"n": 10, "right": 5} for name in benches.STD6} | {"iiit5k": {"n": 100, "right": 100}}
    first, second = benches.averages("std6", counts)
    assert (first.of_sets, first.of_words) == (pytest.approx((1 + 5 * 0.5) / 6), pytest.approx(125 / 150))
    assert (first.n, second.n) == (150, 150)


def test_a_set_that_is_missing_or_of_another_size_is_named(sets, few, tmp_path, monkeypatch):
    with pytest.raises(BadSettings, match="no 'std7'; did you mean 'std6'"):
        benches.roots("std7", "test", [str(sets)])
    monkeypatch.setitem(few, "svtp", 99)
    with pytest.raises(BadData, match="svtp: split test holds 8 words of svtp; std6 wants 99"):
        benches.roots("std6", "test", [str(sets)])
    (sets / "cute80").rename(sets / "cute")
    monkeypatch.setitem(few, "svtp", 8)
    with pytest.raises(
        BadSettings, match=r"lacks cute80; .*\n.* root=\S+/CUTE80 name=cute80 split=test out="
    ):
        benches.roots("std6", "test", [str(sets)])
    with pytest.raises(BadSettings, match="the one folder"):
        evaluation.main(["bench=std6", "checkpoint=m", "data.root=a,b"])


def test_the_commands_that_are_told_make_the_bench_of_the_release(sets, few, tmp_path, monkeypatch):
    pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    release = tmp_path / "data_lmdb_release" / "evaluation"
    release.mkdir(parents=True)
    for name, folder in benches.RELEASED.items():
        unpack.main([str(sets / name), "to=lmdb", f"out={tmp_path / name}"])
        (tmp_path / name / "test").rename(release / folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    with pytest.raises(BadSettings) as told:
        benches.roots("std6", "test", ["new"])
    commands = str(told.value).splitlines()[1:]
    assert len(commands) == len(few)
    for command in commands:
        python, m, module, *argv = command.split()
        assert (python, m, module) == ("python", "-m", "ingest.shard")
        shard.main([*argv, "workers=1"])
    assert benches.roots("std6", "test", ["new"]) == [f"new/{name}" for name in few]
