"""Evaluation: every sample counts once, damaged ones as missed; verdicts know what they compare."""

import json
import shutil

import pytest
import torch

from ingest import shard
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import evaluation, metrics, modelfolder
from train.judging import judge, still_loader
from train.models import Output
from train.models.crnn import Model
from train.models.crnn import Settings as Crnn
from train.predict import PRETRAINED
from train.tasks.recognise import Settings, Task
from train.verdicts import told

SMALL = Crnn(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)


class Knowing(torch.nn.Module):
    """A double that reads the label off a table, by the picture; unknown pictures read as nothing."""

    def __init__(self, task: Task, shards: Shards, wrong=()):
        super().__init__()
        self.task, self.frames, self.answers = task, 24, {}
        for batch in still_loader(shards, task, 1, threads=1).batches(0):
            text = task.charset.normalise(batch.records[0].words[0].text)
            text = "nonsense" if int(batch.uids[0]) in wrong else text
            self.answers[batch.images[0].numpy().tobytes()] = task.charset.encode(text)

    def forward(self, images, widths=None):
        logits = torch.zeros(len(images), self.frames, self.task.channels)
        logits[..., 0] = 9.0
        for i, image in enumerate(images):
            for t, symbol in enumerate(self.answers.get(image.contiguous().numpy().tobytes(), ())):
                logits[i, 2 * t, symbol] = 20.0  # a blank between any two, so that twins stay two
        return Output(logits)


@pytest.fixture
def task():
    return Task(Settings(), ImageSpec())


def folder(path, seed=0, **extra):
    """A model folder with random weights."""
    torch.manual_seed(seed)
    task = Task(Settings(), ImageSpec())
    model = Model(SMALL, task.image, task.channels)
    modelfolder.save(path, model, task, model_name="crnn", task_name="recognise", extra=extra)
    return path


def evaluate(words, tmp_path, *more):
    evaluation.main([f"data.root={words}", f"out={tmp_path / 'out.json'}", "data.threads=1", *more])
    return json.loads((tmp_path / "out.json").read_text())["models"]


def damaged(words, tmp_path, position=3):
    """A copy of the words with one broken picture in split test; and its uid."""
    shutil.copytree(words, tmp_path / "w")
    shards = Shards([words], "test")
    tar = tmp_path / "w" / "test" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[shards._open[0].columns[position].image_offset + 30] ^= 255
    tar.write_bytes(data)
    return tmp_path / "w", int(shards.uids[position])


@pytest.mark.parametrize("size", [7, 64])
def test_the_figures_of_a_reader_whose_mistakes_are_known(words, task, size):
    shards = Shards([words], "test")
    wrong = set(shards.uids[:8].tolist())
    meter = judge(Knowing(task, shards, wrong), task, still_loader(shards, task, size, threads=1))
    truths = [task.charset.normalise(shards.text(i)) for i in range(32)]
    found = meter.compute()
    assert (found["n"], found["word_acc"]) == (32, 24 / 32)
    edits = [metrics.edit_distance(t, "nonsense") for t in truths[:8]]
    assert found["edit_distance_mean"] == pytest.approx(sum(edits) / 32)
    assert found["cer"] == pytest.approx(sum(edits) / sum(map(len, truths)))


def test_a_damaged_sample_is_counted_as_missed_and_named(words, task, tmp_path):
    root, uid = damaged(words, tmp_path)
    shards, damage = Shards([root], "test"), {}
    knowing = Knowing(task, Shards([words], "test"))
    meter = judge(knowing, task, still_loader(shards, task, 10, threads=1), damage=damage)
    assert list(damage) == [uid]
    assert f"{uid:016x}" in damage[uid]
    assert meter.compute()["n"] == shards.manifests[0].written == 32
    assert meter.compute()["word_acc"] == 31 / 32


def test_a_damaged_sample_stands_in_the_figures_and_in_the_report(words, tmp_path, capsys):
    root, uid = damaged(words, tmp_path)
    model = folder(tmp_path / "run" / "best")
    (tmp_path / "run" / "status.json").write_text('{"state": "done"}')
    (found,) = evaluate(root, tmp_path, f"checkpoint={model}").values()
    assert (found["n"], found["damaged"], found["unlabelled"]) == (32, 1, 0)
    (kept,) = (json.loads(path.read_text()) for path in (tmp_path / "run" / "eval").iterdir())
    assert list(kept["damage"]) == [f"{uid:016x}"]
    assert f"counted as missed: {root}" in (said := capsys.readouterr().out)
    assert f"{uid:016x}" in said


def test_labels_that_the_charset_cannot_spell_count_and_are_never_right_and_are_told(words, tmp_path, capsys):
    torch.manual_seed(0)
    task = Task(Settings(characters="abc"), ImageSpec())
    model = Model(SMALL, task.image, task.channels)
    modelfolder.save(tmp_path / "m", model, task, model_name="crnn", task_name="recognise", extra={})
    (found,) = evaluate(words, tmp_path, f"checkpoint={tmp_path / 'm'}").values()
    texts = [Shards([words], "test").text(i) for i in range(32)]
    assert found["unencodable"] == sum(bool(set(t) - set("abc")) for t in texts) > 0
    assert found["n"] == 32
    assert found["word_acc"]["value"] <= 1 - found["unencodable"] / 32
    assert (
        f"{found['unencodable']} of 32 labels have characters that it does not know"
        in capsys.readouterr().out
    )


def test_the_figures_are_the_same_for_any_batch(words, tmp_path):
    path = folder(tmp_path / "m")
    seven = evaluate(words, tmp_path, f"checkpoint={path}", "batch=7")[str(path)]
    found = evaluate(words, tmp_path, f"checkpoint={path}", "batch=64")[str(path)]
    assert found.keys() == seven.keys()
    assert found.pop("by_source") == seven.pop("by_source")
    for name, value in seven.items():
        assert found[name] == (pytest.approx(value) if isinstance(value, dict) else value)


def test_each_data_set_of_several_has_its_own_accuracy(words, tmp_path, capsys):
    shard.main(["source=rendered", "name=other", f"out={tmp_path / 'o'}", "split=test", "count=8"])
    found = evaluate(f"{words},{tmp_path / 'o'}", tmp_path, f"checkpoint={folder(tmp_path / 'm')}")
    counts = found[str(tmp_path / "m")]["by_source"]
    assert {name: one["n"] for name, one in counts.items()} == {"rendered": 32, "other": 8}
    said = capsys.readouterr().out
    assert "word accuracy by source" in said
    assert "0.00 [0.00, 32.44]" in said  # none of 8
    evaluate(words, tmp_path, f"checkpoint={tmp_path / 'm'}")
    assert "word accuracy by source" not in capsys.readouterr().out


def test_results_are_kept_in_the_run_folder_one_per_model(words, tmp_path, capsys):
    run = tmp_path / "run"
    best, last = folder(run / "best"), folder(run / "last", seed=1)
    (run / "status.json").write_text('{"state": "done"}')
    found = evaluate(words, tmp_path, f"checkpoint={best},{last}", f"baseline={best}")
    kept = {p.name: json.loads(p.read_text()) for p in (run / "eval").iterdir()}
    name = Shards([words], "test").manifests[0].name
    assert sorted(kept) == [f"{name}-test-best.json", f"{name}-test-last.json"]
    for model in ("best", "last"):
        content = kept[f"{name}-test-{model}.json"]
        assert content["word_acc"] == found[str(run / model)]["word_acc"]
        assert len(content["examples"]) == 32
        assert content["examples"][0]["png"]
    assert kept[f"{name}-test-last.json"]["verdict"] == "NO DIFFERENCE"
    said = " ".join(capsys.readouterr().out.split())
    assert "run/best" in said
    assert "NO DIFFERENCE from run/best: +0.00 [+0.00, +0.00]" in told(kept[f"{name}-test-last.json"])


def test_latency_is_measured_on_one_thread_without_damaged_pictures_and_threads_are_given_back(
    words, tmp_path
):
    before = torch.get_num_threads()
    root, _ = damaged(words, tmp_path)
    (found,) = evaluate(root, tmp_path, f"checkpoint={folder(tmp_path / 'm')}", "latency=true").values()
    assert found["damaged"] == 1
    assert 0 < found["ms_per_image"] < 1000
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("more", "kind", "named"),
    [
        ([], BadSettings, "checkpoint="),
        (["checkpoint=/no/where"], BadData, "/no/where"),
        (["checkpoint=x", "data.split=dev"], BadData, "there are: test, train, val"),
        (["checkpoint=x", "data.root=/no/where"], BadData, "/no/where"),
        (["checkpoint=x", "device=gpu"], BadSettings, r"device=gpu: .* \(there are: cpu"),
        (["checkpoint=x", "device=cuda:99"], BadSettings, r"no such device \(there are: cpu"),
        (["checkpoints=x"], BadSettings, "did you mean 'checkpoint'"),
    ],
)
def test_what_is_not_there_is_named(words, tmp_path, more, kind, named):
    with pytest.raises(kind, match=named):
        evaluate(words, tmp_path, *more)


def test_a_chosen_decoder_reads_and_stands_in_the_result(words, tmp_path):
    (tmp_path / "words.txt").write_text("house\ntree")
    path, out = folder(tmp_path / "m"), tmp_path / "out.json"
    given = [f"checkpoint={path}", f"data.root={words}", "data.threads=1", f"out={out}"]
    evaluation.main(given)
    (plain,) = json.loads(out.read_text())["models"].values()
    evaluation.main([*given, "decoder=lexicon", f"decoder.words={tmp_path / 'words.txt'}"])
    (led,) = json.loads(out.read_text())["models"].values()
    assert plain["decoder"] == {"name": "greedy"}
    assert led["decoder"]["name"] == "lexicon"
    assert led["mean_conf"] != plain["mean_conf"]
    assert 0 <= led["ece"] <= 1


def test_how_many_readings_are_certified_is_told(words, tmp_path, capsys):
    (found,) = evaluate(words, tmp_path, f"checkpoint={PRETRAINED}", "decoder=certified").values()
    assert 0 < found["certified"] <= 32
    assert f"{found['certified']} of 32 readings" in capsys.readouterr().out
    (found,) = evaluate(words, tmp_path, f"checkpoint={PRETRAINED}", "decoder=greedy").values()
    assert found["certified"] == 0
    assert "certified" not in capsys.readouterr().out


def test_another_setting_of_a_decoder_overwrites_no_result(words, tmp_path):
    run = tmp_path / "run"
    best = folder(run / "best")
    (run / "status.json").write_text('{"state": "done"}')
    evaluate(words, tmp_path, f"checkpoint={best}")
    for chosen in ([], ["decoder.width=10"], ["decoder.width=3"], ["decoder.width=4"]):
        evaluate(words, tmp_path, f"checkpoint={best}", "decoder=beam", *chosen)
    kept = [json.loads(path.read_text()) for path in (run / "eval").iterdir()]
    told = {one["set"]: one["decoder"].get("width") for one in kept}
    assert len(kept) == len(told) == 4  # the usual width is the same as none given
    assert (told["rendered-test"], told["rendered-test-beam"]) == (None, 10)
    assert sorted(width for width in told.values() if width) == [3, 4, 10]
