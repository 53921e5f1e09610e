"""Alphabet files: UTF-8, one character a line, in the order of the codes that labels are written in.

Whether the first line is the blank's place (base 0) or the first class (base 1) cannot be seen in a file, and
the wrong choice shifts every character by one: so it is always said.
"""

from collections.abc import Callable
from pathlib import Path

from shards.errors import BadSettings


def read(path: Path, base: str, setting: str, normalise: Callable[[str], str] = str) -> str:
    """The normalised characters of an alphabet file; character i of them is code i + 1. Spaces are kept.

    base: "0", line k, counted from 0, is code k, and line 0 the blank's place; "1", the blank is not listed,
    and the first line is code 1. BadSettings: anything else, where `setting` names it; not UTF-8; a line that
    is not one character.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{path}: not UTF-8: {error}") from None
    lines = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    if base not in ("0", "1"):
        raise BadSettings(
            f"{path}: say what its first line, {lines[0] if lines else ''!r}, is: {setting}=0 the blank's "
            f"place, {setting}=1 the first class"
        )
    characters = [normalise(line) for line in lines[base == "0" :]]
    for number, character in enumerate(characters, 1 + (base == "0")):
        if len(character) != 1:
            raise BadSettings(f"{path}, line {number}: {lines[number - 1]!r} is not one character")
    return "".join(characters)


def repeated(characters: str) -> dict[str, list[int]]:
    """The characters that stand more than once, in order, and the codes of each."""
    codes: dict[str, list[int]] = {}
    for code, character in enumerate(characters, 1):
        codes.setdefault(character, []).append(code)
    return {character: places for character, places in codes.items() if len(places) > 1}
