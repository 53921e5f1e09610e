"""The report about damaged and foreign files: named, or shown; never a page that is silently wrong."""

import json
from pathlib import Path

import pytest

from shards.errors import BadData, BadSettings
from train import account, report, reportpage

FILES = (
    "status.json", "mistakes.json", "config.yaml", "eval/0-best.json", "best/config.json", "examples.jsonl",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b'{"set": "wo', b"\xff\xfe\x00", b"[1, 2]"])
def test_a_damaged_file_is_named(run, name, content, page):
    a = run("a")
    (a / name).write_bytes(content)
    with pytest.raises(BadData, match=Path(name).name):
        page(a)


@pytest.mark.parametrize("line", ["3", "{}", '{"global_step": "x"}'])
def test_a_line_that_is_none_of_metrics_is_named(run, line, page):
    a = run("a")
    with open(a / "metrics.jsonl", "w") as file:
        file.write('{"global_step": 0}\n' + line + "\n")
    with pytest.raises(BadData, match=r"metrics.jsonl, line 2"):
        page(a)


def test_lines_after_a_damaged_one_are_left_out_and_the_page_says_so(run, page):
    a = run("a")
    lines = (a / "metrics.jsonl").read_text().splitlines()
    (a / "metrics.jsonl").write_text("\n".join([*lines[:20], '{"glo', *lines[20:-1]]) + "\n")
    assert "metrics.jsonl: line 21 is damaged, 32 lines are left out" in page(a)


def places(value, path=()):
    """The paths of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


@pytest.mark.parametrize("name", ["status.json", "mistakes.json", "eval/0-best.json", "best/config.json"])
def test_whatever_stands_in_a_file_gives_a_page_or_names_the_file(run, name, wrong):
    a = run("a", evaluations=[wrong(1)] if name.startswith("eval") else (), examples=1)
    whole, other = (a / name).read_text(), account.read([run("b", examples=1)])
    outcomes = set()
    for place, path in enumerate(places(json.loads(whole))):
        for value in (None, "\ud800", -1, 1e308, float("nan"), [1], {"a": 1})[place % 2 :: 2]:
            found = json.loads(whole)
            inner = found
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            (a / name).write_text(json.dumps(found))
            try:
                outcomes.add("page" if reportpage.draw([*account.read([a]), *other], "") else "")
            except BadData as error:
                outcomes.add("named" if Path(name).name in str(error) else f"not named: {path} = {value!r}")
            except Exception as error:
                raise AssertionError(f"{path} = {value!r}") from error
    assert outcomes in ({"page"}, {"page", "named"})


@pytest.mark.parametrize(
    ("place", "says"),
    [("nowhere", "no such folder"), (".", "runs in it: a"), ("a/best", "a is one"), ("a/eval", "a is one")],
)
def test_a_folder_that_is_no_run_is_refused(run, tmp_path, place, says):
    run("a")
    with pytest.raises(BadData, match=rf"no status.json, so not a run folder.*{says}"):
        report.main([str(tmp_path / place)])


def test_a_run_must_be_named():
    with pytest.raises(BadSettings, match="at least one run folder"):
        report.main([])
