"""Settings: what is typed is what is meant, and what cannot be is said with what exists."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from distill import student
from shards import config, lookup, typed
from shards.errors import BadSettings
from train import workbench


@dataclass
class Inner:
    """Inside."""

    rate: float = 0.5  # how fast
    kind: Literal["a", "b"] = "a"


@dataclass
class Schema:
    """A stage's settings."""

    root: Path = Path()
    names: list[str] = field(default_factory=list)
    inner: Inner = field(default_factory=Inner)
    count: int = 3  # how many
    limit: int | None = 7
    flag: bool = False
    model: Any = field(default="crnn", metadata={"seam": "train.models"})
    files: list[str] = field(default_factory=list, metadata={"positional": True})


def read(*argv: str) -> Schema:
    return config.read(Schema, "no such file", list(argv))


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("root=/a=b/c d,e", lambda s: s.root == Path("/a=b/c d,e")),
        ("names=a,b", lambda s: s.names == ["a", "b"]),
        ("names=[a, b]", lambda s: s.names == ["a", "b"]),
        ("names=[]", lambda s: s.names == []),
        ("names=x=1", lambda s: s.names == ["x=1"]),
        ("inner.rate=2", lambda s: s.inner.rate == 2.0),
        ("inner.rate=1e-3", lambda s: s.inner.rate == 1e-3),
        ("inner.kind=b", lambda s: s.inner.kind == "b"),
        ("count=-4", lambda s: s.count == -4),
        ("limit=null", lambda s: s.limit is None),
        ("flag=TRUE", lambda s: s.flag is True),
        ("image.png", lambda s: s.files == ["image.png"]),
        ("a b=c.png", lambda s: s.files == ["a b=c.png"]),
        ("model.rnn_hidden=9", lambda s: s.model.settings.rnn_hidden == 9),
        ("model.channels=1,2,3,4,5,6,7", lambda s: s.model.settings.channels == [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_values_are_taken_as_their_field_says(argument, found):
    base = () if argument.startswith("model") else ("model=crnn",)
    argument = [argument] if not argument.startswith("model.") else ["model.name=crnn", argument]
    assert found(read(*base, *argument))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("count=four", "count: 'four' is not int"),
        ("count=1.5", "count: '1.5' is not int"),
        ("inner.rate=x", "inner.rate: 'x' is not float"),
        ("inner.kind=c", "there are: a, b"),
        ("inner.rat=1", "did you mean 'inner.rate'"),
        ("cuont=1", "did you mean 'count'"),
        ("flag=yes", "flag: 'yes' is not bool"),
        ("model=crn", "did you mean 'crnn'"),
        ("--count", "key=value"),
    ],
)
def test_what_cannot_be_is_said_with_what_exists(argument, said):
    with pytest.raises(BadSettings, match=said):
        read(argument)


def test_launcher_flags_are_ignored():
    assert read("--local_rank=1", "--local-rank=0", "count=5").count == 5


@pytest.mark.parametrize(
    ("key", "said"), [("model", "crnn"), ("count", "int, default 3"), ("inner.rate", "how fast")]
)
def test_a_question_lists_what_exists(capsys, key, said):
    with pytest.raises(SystemExit) as end:
        read(f"{key}=?")
    assert end.value.code == 0
    assert said in capsys.readouterr().out


def test_a_question_about_a_seam_opens_with_what_each_member_is(capsys):
    with pytest.raises(SystemExit):
        config.read(workbench.Settings, "teacher", ["tracking=?"])
    said = capsys.readouterr().out
    assert said.startswith("tracking:\n  none  No tracker: metrics.jsonl stands alone.\n")
    assert "  wandb  Weights & Biases.\n" in said  # the opening sentence, no more


def test_a_question_about_methods_tells_paper_formula_and_needs_of_each(capsys):
    with pytest.raises(SystemExit):
        config.read(student.Settings, "student", ["method=?"])
    said = capsys.readouterr().out
    blocks = {block.split()[0]: block for block in re.split(r"\n  (?=\S)", said)[1:]}
    assert set(blocks) == {*lookup.members("distill.methods"), "none"}
    for member in lookup.members("distill.methods"):
        for word in ("formula: ", "paper: ", "needs: "):
            assert word in blocks[member], (member, word)
    assert "      formula: CTC(student, what the teacher reads)\n" in said
    assert "      needs: answers (the teacher's classes at every step, however many steps it has)\n" in said
    assert "      sets: dkd.schedule=['0:0', '.1:1']\n" in said


def test_a_question_about_presets_tells_what_they_set(capsys):
    for argument, told in (
        ("augment=?", "  shift\n      sets: chance=0.4, rotation=3"),
        ("model=?", "  crnn_nano\n      sets: name=crnn, channels=[8, 8, 16, 16, 16, 16, 32]"),
        ("experiment=?", "  demo_start\n      sets: model=crnn_nano, augment=shift, fit.epochs=4"),
    ):
        with pytest.raises(SystemExit):
            config.read(workbench.Settings, "teacher", [argument])
        assert told in capsys.readouterr().out


def test_presets_experiments_and_the_command_line_win_in_that_order():
    base = config.read(workbench.Settings, "teacher", [])
    assert (base.model.settings.rnn_hidden, base.augment.active) == (128, False)
    preset = config.read(workbench.Settings, "teacher", ["model=crnn_large", "augment=strong"])
    assert (preset.model.settings.rnn_hidden, preset.augment.active) == (256, True)
    typed_in = config.read(workbench.Settings, "teacher", ["model=crnn_large", "model.rnn_hidden=7"])
    assert typed_in.model.settings.rnn_hidden == 7
    assert typed_in.model.settings.channels[-1] == 512


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(BadSettings, match="crnn_small"):
        config.read(workbench.Settings, "teacher", ["model=crnn_smal"])
    with pytest.raises(BadSettings, match="strong"):
        config.read(workbench.Settings, "teacher", ["augment=wild"])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["method=none"], r"method.hard.weight: hard is not chosen \(method is none\); .* method=\[hard\]"),
        (
            ["method=logits"],
            r"hard is not chosen \(method is logits\); choose it with method=\[logits,hard\]",
        ),
        (["method=hard", "method.hrad.weight=1"], "methods: no 'hrad'; did you mean 'hard'"),
    ],
)
def test_a_setting_of_a_member_does_not_choose_it(argv, said):
    with pytest.raises(BadSettings, match=said):
        config.read(student.Settings, "student", [*argv, "method.hard.weight=.2"])


def test_settings_of_chosen_members_are_taken():
    found = config.read(student.Settings, "student", ["method=[logits,hard]", "method.hard.weight=.2"]).method
    assert (sorted(found), found["hard"].weight) == (["hard", "logits"], 0.2)


def test_settings_are_json_and_lists_split():
    assert config.plain(read("model=crnn"))["model"]["name"] == "crnn"
    assert typed.split("[a,b]") == typed.split("a, b") == ["a", "b"]
