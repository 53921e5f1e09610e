"""How an entry ends: the code of its Stop, and without a word where nobody reads on."""

import subprocess
import sys
from pathlib import Path

import pytest

from shards.progress import Reporter

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = """
import os, sys
from dataclasses import dataclass
from shards.errors import BadData
from shards.progress import Reporter, run

@dataclass
class Settings:
    one: int = 1  # the first

def long(argv):
    for line in range(100_000):
        Reporter("long").say("a line")

def short(argv):
    print("a line")

def wrong(argv):
    print("a line")
    raise BadData("no such thing")

def interrupted(argv):
    raise KeyboardInterrupt

def unwritable(argv):
    open("/proc/no/where", "w")

def full(argv):
    with open("/dev/full", "w") as file:
        file.write("x")

def faraway(argv):
    from botocore.exceptions import NoCredentialsError
    raise NoCredentialsError

def elsewhere(argv):
    read, write = os.pipe()
    os.close(read)
    os.write(write, b"x")

sys.exit(run(globals()[sys.argv.pop(1)], "what it does", Settings))
"""


def ended(main: str, *argv: str, read: bool) -> tuple[int, str]:
    """(code, standard error) of an entry, whose standard output is closed before it says anything or read."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, main, *argv], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if not read:
        process.stdout.close()
        process.stdout = None
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("argv", [["long"], ["short"], ["short", "--help"]])
def test_an_entry_that_nobody_reads_ends_without_a_word(argv):
    assert ended(*argv, read=False) == (141, "")


def test_what_is_wrong_is_said_and_has_a_code():
    assert ended("wrong", read=True) == (3, "error: no such thing\n")


def test_an_interrupted_entry_says_so_and_no_more():
    assert ended("interrupted", read=True) == (130, "error: interrupted\n")


def test_a_file_that_cannot_be_written_is_named_and_a_full_disk_tells_what_to_do():
    assert ended("unwritable", read=True) == (3, "error: /proc/no/where: No such file or directory\n")
    code, said = ended("full", read=True)
    assert code == 3
    assert said == "error: No space left on device; make room, then give the same command again\n"


def test_a_store_that_lets_nobody_in_is_told_as_one_and_where_keys_come_from():
    pytest.importorskip("botocore")
    code, said = ended("faraway", read=True)
    assert code == 3
    assert said.startswith("error: where the data stand: Unable to locate credentials (credentials come from")
    assert said.count("\n") == 1


def test_another_pipe_that_breaks_is_a_fault_with_its_trace():
    code, said = ended("elsewhere", read=True)
    assert code == 1
    assert "BrokenPipeError" in said


def test_a_table_shows_what_was_read_and_takes_none_of_it_for_markup(capsys):
    Reporter("t").table("[b]title", ["text"], [["[/b] pip install 'x[y]' :smile:"]])
    said = capsys.readouterr().out
    assert "[b]title" in said
    assert "[/b] pip install 'x[y]' :smile:" in said


def test_a_table_shows_no_control_characters(capsys):
    Reporter("t").table("t", ["name"], [["a\x1b[31mb\x07.png"]])
    said = capsys.readouterr().out
    assert "\x1b[31m" not in said
    assert "a\ufffd[31mb\ufffd.png" in said
