"""The dashboard of a tracker, made in code."""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).resolve().parents[2] / "infra" / "dashboards" / "workspace.py"
needs_wandb = pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")


@needs_wandb
@pytest.mark.skipif(
    not importlib.util.find_spec("wandb_workspaces"), reason="wandb-workspaces is not installed"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that library's own
def test_the_dashboard_is_made_in_code_and_its_terms_are_the_losses():
    made = runpy.run_path(str(DASHBOARD))
    space = made["workspace"]("words", "team", "all")
    assert [section.name for section in space.sections] == list(made["SECTIONS"])
    terms = [
        "train/task",
        "train/hard",
        "train/lr",
        "train/grad_norm",
        "train/blank_rate",
        "train/infeasible",
    ]
    assert [key for key in terms if re.fullmatch(made["TERMS"], key)] == ["train/task", "train/hard"]
    assert space._to_model().spec.section.panel_bank_config.sections


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["keys=true"], 0, "val/word_acc"),
        (["colour=red"], 2, "no 'colour' (there are: project, entity, name, keys)"),
        (["project=p"], 2, "entity= and WANDB_API_KEY are needed"),
    ],
)
def test_the_dashboards_command_says_what_it_needs(given, code, said, capsys):
    assert runpy.run_path(str(DASHBOARD))["main"](given) == code
    assert said in "".join(capsys.readouterr())
