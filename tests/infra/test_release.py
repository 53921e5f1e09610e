"""What stops a release: licences, files that do not belong into a wheel; and what lets it pass."""

import importlib
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import BadSettings, GateFailed

ROOT = Path(__file__).resolve().parents[2]
MIT = "License :: OSI Approved :: MIT License"


@pytest.fixture(scope="module")
def module():
    """A module of infra/release, as its scripts import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "infra" / "release")
        yield importlib.import_module


@pytest.fixture(scope="module")
def licences(module):
    return module("licences")


def says(name="some", version="1", **more):
    return {"name": name, "version": version, **more}


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"license_expression": "MIT"}, "free"),
        ({"license_expression": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0"}, "free"),
        ({"license_expression": "GPL-3.0-or-later"}, "refused"),
        ({"license_expression": "GPL-2.0-only WITH Classpath-exception-2.0"}, "refused"),
        ({"license_expression": "MIT OR AGPL-3.0-only"}, "free"),
        ({"license_expression": "MIT AND (AGPL-3.0-only OR GPL-2.0)"}, "refused"),
        ({"license_expression": "Apache-2.0 WITH LLVM-exception AND MIT OR GPL-2.0"}, "free"),
        ({"license_expression": "LGPL-2.1-or-later"}, "free"),
        ({"license_expression": "LicenseRef-NVIDIA-Proprietary"}, "unknown"),
        ({"license_expression": "MIT AND (Apache-2.0"}, "unknown"),
        ({"license_expression": "MIT Apache-2.0"}, "unknown"),
        ({"license_expression": "CC-BY-NC-4.0"}, "refused"),
        ({"classifier": [MIT]}, "free"),
        ({"classifier": ["License :: OSI Approved", MIT], "license": "whatever"}, "free"),
        (
            {"classifier": [MIT, "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]},
            "refused",
        ),
        (
            {"classifier": ["License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)"]},
            "free",
        ),
        (
            {
                "classifier": [
                    "License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)"
                ]
            },
            "free",
        ),
        ({"classifier": ["License :: OSI Approved :: GNU Affero General Public License v3"]}, "refused"),
        ({"classifier": ["License :: Free for non-commercial use"]}, "refused"),
        ({"classifier": ["License :: Other/Proprietary License"], "license": "Apache 2.0"}, "unknown"),
        ({"classifier": [MIT], "license": "AGPL-3.0"}, "refused"),
        ({"license": "Server Side Public License"}, "refused"),
        ({"license": "for research only"}, "refused"),
        ({"license": "MIT License\n\n" + "Permission is hereby granted, not under the GPL. " * 9}, "free"),
        ({"license": "   "}, "unknown"),
        ({"license": "Proprietary"}, "unknown"),
        ({"license": "by permit"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_verdict_on_what_a_package_says(licences, told, verdict):
    assert licences.judge(says(**told), {}).verdict == verdict


EXPRESSION = st.recursive(
    st.sampled_from(["MIT", "GPL-3.0-only", "LicenseRef-own"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=8,
)
KINDS = {"MIT": 0, "GPL-3.0-only": 2, "LicenseRef-own": 1}


def value(expression: str) -> int:
    """The same by Python's own rules: of AND the worst, of OR the best."""
    python = re.sub(
        r"[\w.]+(-[\w.]+)*", lambda m: m[0] if m[0] in ("AND", "OR") else f"K({KINDS[m[0]]})", expression
    )

    class K(int):
        def __and__(self, other):
            return K(max(self, other))

        def __or__(self, other):
            return K(min(self, other))

    return int(eval(python.replace("AND", "&").replace("OR", "|"), {"K": K}))


@given(EXPRESSION)
def test_expressions_are_worth_the_best_choice_of_the_worst_part(licences, expression):
    assert licences.ORDER.index(licences.of_expression(expression)) == value(expression)


@given(st.text(), st.text(), st.lists(st.text()))
def test_no_metadata_break_the_judge_and_a_refused_word_is_never_free(licences, expression, text, classes):
    told = {
        "license_expression": expression,
        "license": text,
        "classifier": [f"License :: {one}" for one in classes],
    }
    licences.judge(says(**told))
    worse = {**told, "license_expression": "", "classifier": [*told["classifier"], "License :: GPLv3"]}
    assert licences.judge(says(**worse)).verdict == "refused"


def test_a_listed_package_passes_with_its_reason_unless_it_is_refused(licences):
    listed = {"nvidia-*": "free of charge"}
    found = licences.judge(says("NVIDIA_nvJPEG"), listed)
    assert (found.verdict, found.why) == ("listed", "free of charge")
    assert licences.judge(says("nvidia-x", license="GPL"), listed).verdict == "refused"
    assert licences.judge(says("nvidia-x", license="MIT"), listed).verdict == "free"
    assert licences.judge(says("other"), listed).verdict == "unknown"
    assert all(why for why in licences.OPEN.values())


def test_the_extras_looked_at_are_those_of_the_project_without_itself(module):
    found = module("scan").extras()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(found) == {"", *project["optional-dependencies"]}
    assert found["onnx"] == project["optional-dependencies"]["onnx"]
    assert found["all"] == []
    assert not any("ocr-distillery" in line for lines in found.values() for line in lines)


def place(tmp_path, *codes):
    """A double of a Place whose pip answers with these codes, and with a report where the code is 0; pinned:
    whether it was last asked to keep to the constraints.
    """
    report = '{"install": [{"metadata": {"name": "gnu", "version": "3", "license": "GPL"}}]}'
    left = list(codes)

    def install(*arguments, pinned=True):
        code, made.pinned = left.pop(0), pinned
        if code == 0:
            (tmp_path / "report.json").write_text(report)
        return SimpleNamespace(returncode=code, stdout="", stderr="no such version")

    made = SimpleNamespace(folder=tmp_path, install=install)
    return made


@pytest.mark.parametrize(
    ("extra", "codes", "row", "failure"),
    [
        ("onnx", [0], "0 of 1 free", "gnu 3 (onnx): refused, it says 'GPL'; drop it"),
        ("onnx", [1], "not seen", "extra onnx: pip cannot tell what it installs: no such version"),
        ("tensorrt", [1, 0], "0 of 1 free", "gnu 3 (tensorrt): refused"),
        ("tensorrt", [1, 1], "not seen", "extra tensorrt: pip cannot tell"),
    ],
)
def test_what_cannot_be_seen_or_given_away_fails_with_a_remedy(module, tmp_path, extra, codes, row, failure):
    found = module("scan").check_licences([extra], place(tmp_path, *codes))
    assert found.rows[0][:3] == [f"extra {extra}", "", row]
    (said,) = found.failures
    assert said.startswith(failure)


@pytest.mark.parametrize(("extra", "pinned"), [("onnx", True), ("paddle", False)])
def test_an_extra_for_an_environment_of_its_own_is_resolved_without_the_constraints(
    module, tmp_path, extra, pinned
):
    asked = place(tmp_path, 0)
    module("scan").check_licences([extra], asked)
    assert asked.pinned == pinned


def test_a_wheel_holds_the_packages_and_their_data_and_nothing_else(module):
    amiss, known = (
        module("wheels").amiss,
        ["train/a.py", "configs/x.yaml", "tests/test_a.py", "infra/demo.sh"],
    )
    whole = ["train/a.py", "configs/x.yaml", "o-1.dist-info/METADATA", "o-1.dist-info/licenses/LICENSE"]
    assert amiss(whole, known) == []
    (said,) = amiss([*whole, "tests/test_a.py"], known)
    assert said.startswith("tests/test_a.py does not belong")
    (said,) = amiss(whole[1:], known)
    assert said.startswith("train/a.py is lacking")
    (said,) = amiss(whole[:-1], known)
    assert said.startswith("no licence")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("checks=wheels", "did you mean 'wheel'"),
        ("extras=onyx", "did you mean 'onnx'"),
        ("checks=help", "checks=wheel,help"),
    ],
)
def test_checks_that_do_not_exist_are_refused(module, line, said):
    with pytest.raises(BadSettings, match=said):
        module("check").main([line])


def test_what_fails_is_named_and_stops_the_release(module, capsys, monkeypatch):
    check = module("check")
    found = check.Found(("a",), [["b"]], ["gnu: drop it"])
    monkeypatch.setitem(check.CHECKS, "readme", lambda settings, place: found)
    with pytest.raises(GateFailed, match="1 of what must hold"):
        check.main(["checks=readme"])
    assert "readme: gnu: drop it" in capsys.readouterr().out


def test_a_command_that_fails_is_shown_with_what_it_said(module):
    with pytest.raises(GateFailed, match="code 3: too bad"):
        module("place").call("bash", "-c", "echo too bad >&2; exit 3")
