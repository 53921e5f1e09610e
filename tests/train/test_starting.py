"""What a run begins with: other characters than the model's, and what is said of it."""

import pytest
import torch

from ingest import shard
from shards import config
from shards.errors import BadSettings
from shards.image import ImageSpec
from train import mismatch, modelfolder, starting, workbench, writing
from train.tasks import recognise


@pytest.fixture
def old(bench, words, tmp_path):
    """A model folder that knows the 36 characters."""
    task, model = (b := bench(f"data.root={words}")).task, b.model
    modelfolder.save(tmp_path / "old", model, task, model_name="crnn", task_name="recognise", extra={})
    return tmp_path / "old"


@pytest.fixture
def begin(bench, words, old, capsys):
    """begin(*more) -> (model that a run would begin with, the model given, what was said)."""

    def run(*more):
        capsys.readouterr()
        b = bench(f"data.root={words}", f"init_from={old}", "seed=7", *more)
        return b, modelfolder.load(old), capsys.readouterr().out

    return run


def answers(model, canvas):
    with torch.no_grad():
        return model.to(memory_format=torch.contiguous_format).eval()(canvas).logits


def test_added_characters_leave_the_old_answers_as_they_were_to_the_last_bit(begin):
    b, given, said = begin("charset.mode=union", "task.characters=aéÀz")
    assert b.task.charset.characters == given.task.charset.characters + "éÀ"
    canvas = torch.rand(3, 1, 32, 100)
    assert torch.equal(answers(b.model, canvas)[..., :37], answers(given.model, canvas))
    assert "of the 2 with classes the 37 classes it had kept, 2 new" in said


@pytest.mark.parametrize("more", [[], ["charset.mode=union"], ["charset.mode=union", "task.charset=62"]])
def test_nothing_is_said_of_folding_that_is_the_runs_own(begin, words, more):
    assert "folded" not in begin(f"data.root={words}", *more)[2]


@pytest.mark.parametrize(
    ("asked", "fold", "capitals"), [([], "lower", False), (["task.fold=none"], "none", True)]
)
def test_characters_of_labels_are_added_as_the_old_model_folds_unless_the_folding_is_given(
    begin, tmp_path, asked, fold, capitals
):
    (tmp_path / "words.txt").write_text("\n".join([a + b + "us" for a in "éàçùôN" for b in "ÎÛÀÇs"]))
    made = ["source=rendered", f"words={tmp_path / 'words.txt'}", "split=train", "count=32", "name=french"]
    shard.main([*made, f"out={tmp_path / 'french'}", "workers=1"])
    added = ["charset.mode=union", "task.charset=data", "data.val_share=.3", *asked]
    b, given, said = begin(f"data.root={tmp_path / 'french'}", *added)
    known = b.task.charset
    assert known.characters.startswith(given.task.charset.characters)
    assert (known.fold, any(c.isupper() for c in known.characters)) == (fold, capitals)
    assert b.task.census(b.train.texts(), [24] * len(b.train))["unencodable"] == 0
    assert ("labels folded as that model folds them: task.fold=lower" in said) is not capitals
    canvas = torch.rand(3, 1, 32, 100)
    assert torch.equal(answers(b.model, canvas)[..., :37], answers(given.model, canvas))


def test_a_model_that_knows_capitals_keeps_them_whatever_the_run_folds(bench, words, tmp_path):
    b = bench(f"data.root={words}", "task.charset=62")
    modelfolder.save(tmp_path / "c", b.model, b.task, model_name="crnn", task_name="recognise", extra={})
    again = bench(f"data.root={words}", f"init_from={tmp_path / 'c'}", "charset.mode=union")
    assert (again.task.charset.characters, again.task.charset.fold) == (b.task.charset.characters, "none")


@pytest.mark.parametrize(
    "more", [["charset.mode=union"], ["charset.mode=new", "init_from=x", "init_parts=cnn"]]
)
def test_a_mode_without_a_whole_model_to_begin_with_is_refused(bench, words, more):
    with pytest.raises(BadSettings, match=r"charset\.mode=.* is of init_from= without init_parts="):
        bench(f"data.root={words}", *more)


def test_a_base_without_a_file_is_refused(bench, words):
    with pytest.raises(BadSettings, match=r"task\.base=1 is of alphabet files"):
        bench(f"data.root={words}", "task.charset=data", "task.base=1")


def test_a_new_charset_keeps_everything_but_the_classifier(begin):
    b, given, said = begin("charset.mode=new", "task.charset=data")
    mine, theirs = b.model.state_dict(), given.model.state_dict()
    assert [n for n in mine if mine[n].shape != theirs[n].shape or not torch.equal(mine[n], theirs[n])] == [
        "dense.weight",
        "dense.bias",
    ]
    assert f"{b.task.channels} new classes for its 37" in said


def test_as_many_other_characters_are_new_all_the_same(begin):
    b, given, _ = begin("charset.mode=new", f"task.characters={'0123456789abcdefghijklmnopqrstuvwxyz'[::-1]}")
    assert b.task.channels == given.task.channels
    assert not torch.equal(b.model.dense.weight, given.model.dense.weight)


def test_equal_characters_begin_with_all_there_is_in_every_mode(begin):
    for mode in ("fail", "union", "new"):
        b, given, said = begin(f"charset.mode={mode}")
        assert all(torch.equal(b.model.state_dict()[n], v) for n, v in given.model.state_dict().items())
        assert "tensors taken" in said


def test_other_characters_are_refused_with_the_ways_on(begin):
    with pytest.raises(
        BadSettings,
        match=r"at index 36: nothing there, 'A' in this run, .*: charset\.mode=union \(or new\)$",
    ):
        begin("task.charset=62")


def test_what_is_no_charset_lists_what_is(bench, words, tmp_path):
    with pytest.raises(BadSettings, match=r"no '95' .*36, 62, 94, data, or a file"):
        bench(f"data.root={words}", "task.charset=95")


def test_a_file_of_characters_becomes_part_of_the_model_and_its_repeats_are_told(
    bench, words, tmp_path, capsys
):
    path = tmp_path / "alphabet.txt"
    path.write_text("\n".join(" 0123456789abcdefghijklmnopqrstuvwxyzz"))
    b = bench(f"data.root={words}", f"task.charset={path}", "task.base=0", "task.fold=lower")
    assert "38 classes with the blank" in (said := capsys.readouterr().out)
    assert "more than once: 'z', labels take the first class" in said
    assert str(tmp_path) not in str(b.task.settings)
    again = recognise.Task(b.task.settings, ImageSpec())
    assert (again.charset, again.channels) == (b.task.charset, 38)


def test_the_characters_of_the_labels_spell_every_label(bench, words):
    b = bench(f"data.root={words}", "task.charset=data")
    assert b.task.census(b.train.texts(), [24] * len(b.train))["unencodable"] == 0
    assert b.task.charset.characters == "".join(sorted({c for t in b.train.texts() for c in t or ""}))
    assert isinstance(b, workbench.Bench)


def test_two_long_charsets_that_are_alike_are_told_apart(bench, words, tmp_path):
    there = "".join(map(chr, range(0x4E00, 0x4E00 + 5990)))
    here = there[:3000] + there[3001] + there[3000] + there[3002:]
    b = bench(f"data.root={words}", f"task.characters={there}")
    modelfolder.save(tmp_path / "c", b.model, b.task, model_name="crnn", task_name="recognise", extra={})
    said = f"5,990 characters there, 5,990 in this run, .* index 3,000: '{there[3000]}' there, '{here[3000]}'"
    with pytest.raises(BadSettings, match=said) as error:
        bench(f"data.root={words}", f"task.characters={here}", f"init_from={tmp_path / 'c'}")
    assert len(str(error.value)) < 400


SAME = ["model=crnn", "model.channels=4,4,4,4,4,4,8", "model.map_to_seq=8", "model.rnn_hidden=8"]
ASKED = r"model=crnn model\.map_to_seq=8 model\.rnn_hidden=8 model\.channels=\[4,4,4,4,4,4,8\]"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["model=crnn_tiny"], rf"model\.rnn_hidden is 8, this run has 48, .*; to go on: {ASKED}$"),
        (["model=svtr_nano"], f"model is crnn, this run has svtr; to go on: {ASKED}$"),
        (
            ["model=crnn_tiny", "image.width=104"],
            f"width is 100, this run has 104, .*: image.width=100 {ASKED}$",
        ),
        (["task=boxes", "model=yolo_p"], "task is recognise, this run has boxes; to go on: task=recognise"),
        (
            [*SAME, "model.rnn_hidden=9", "init_parts=rnn1"],
            f"this model; to go on: {ASKED} or init_parts=cnn",
        ),
        ([*SAME, "task.charset=62", "init_parts=dense"], "dense.* in this model; to go on: init_parts=cnn,"),
        (
            [*SAME, f"task.characters={'0123456789abcdefghijklmnopqrstuvwxyz'[::-1]}", "init_parts=dense"],
            "its classes mean other characters in .*; to go on: init_parts=cnn,[^d]*$",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_goes_on(old, more, said):
    with pytest.raises(BadSettings, match=said) as error:
        starting.build(config.read(workbench.Settings, "teacher", [f"init_from={old}", *more]))
    assert "{" not in str(error.value)


def test_a_model_is_asked_for_by_its_shortest_command():
    made = config.read(workbench.Settings, "teacher", ["model=crnn_small", "model.stn=true"]).model
    assert mismatch.command(made) == "model=crnn_small model.stn=true"


def test_a_file_that_answers_only_is_no_beginning(old, tmp_path):
    path = tmp_path / "model.torchscript"
    writing.write(modelfolder.load(old), "torchscript", path)
    with pytest.raises(BadSettings, match="it answers only; give the checkpoint it was made of"):
        starting.build(config.read(workbench.Settings, "teacher", [f"init_from={path}"]))
