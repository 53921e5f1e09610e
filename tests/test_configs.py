"""Every preset and experiment composes into the settings of the entries that take it."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from distill import student
from shards import config, lookup
from train import workbench

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
ENTRIES = {"teacher": workbench.Settings, "student": student.Settings}


def names(group: str) -> list[str]:
    return sorted(p.stem for p in (CONFIGS / group).glob("*.yaml"))


@pytest.mark.parametrize("entry", sorted(ENTRIES))
def test_the_defaults_compose(entry):
    config.read(ENTRIES[entry], entry, [])


@pytest.mark.parametrize("group", ["model", "task", "augment"])
def test_every_preset_composes_for_teachers_and_students(group):
    assert names(group)
    for preset in names(group):
        for entry, schema in ENTRIES.items():
            config.read(schema, entry, [f"{group}={preset}"])


def test_every_method_preset_and_any_mix_composes():
    for preset in names("method"):
        config.read(student.Settings, "student", [f"method={preset}"])
    mixed = config.read(student.Settings, "student", ["method=[logits,hard]", "method.logits.weight=.6"])
    assert list(mixed.method) == ["logits", "hard"]
    assert mixed.method["logits"].weight == 0.6
    assert config.read(student.Settings, "student", ["method=none"]).method == {}


def test_every_method_has_a_preset_that_chooses_it_alone():
    members = lookup.members("distill.methods")
    assert set(names("method")) == {*members, "none"}
    for member in members:
        assert list(config.read(student.Settings, "student", [f"method={member}"]).method) == [member]
    warm = config.read(student.Settings, "student", ["method=dkd"]).method["dkd"]
    assert (warm.share(0.0), warm.share(0.1), warm.share(1.0)) == (0.0, warm.weight, warm.weight)


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_composes_for_the_entry_it_names(experiment):
    text = (CONFIGS / "experiment" / f"{experiment}.yaml").read_text()
    entry = re.search(r"(?:train|distill)/(\w+)\.py", text)
    assert entry, "an experiment opens with the command that runs it"
    settings = config.read(ENTRIES[entry[1]], entry[1], [f"experiment={experiment}"])
    assert OmegaConf.create(config.plain(settings))


def test_the_command_line_decides_which_methods_there_are_whatever_an_experiment_sets():
    chosen = config.read(student.Settings, "student", ["experiment=demo_student"]).method
    assert chosen["hard"].weight == 1.0
    assert config.read(student.Settings, "student", ["experiment=demo_student", "method=none"]).method == {}
    other = config.read(student.Settings, "student", ["experiment=demo_student", "method=logits"])
    assert list(other.method) == ["logits"]
