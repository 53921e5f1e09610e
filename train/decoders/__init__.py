"""Seam: one file per decoder, which says what is read from the answer of a recogniser.

A member offers `Settings` (a dataclass) and `Decoder(settings, charset)`, a `train.decode.Decoder`: its
`paths(values)` answers the path of the reading of each line and whether that reading is certified. What a
path spells and how sure it is are told by `train.decode`, alike for all. One that knows several readings is a
`train.decode.Several`. A setting that is text names a file.
"""

from dataclasses import fields
from typing import Any

from shards import config, lookup
from shards.errors import BadSettings
from shards.written import digest
from train.charset import Charset
from train.decode import Decoder, Several

SEAM = "train.decoders"
GREEDY = "greedy"


def make(choice: config.Choice, charset: Charset) -> Decoder:
    """The chosen decoder, for readings in the charset."""
    return lookup.find(SEAM, choice.name).Decoder(choice.settings, charset)


def stored(found: Any) -> config.Choice:
    """The choice that a config.json tells: a name, {"name": ..., its settings}, or nothing (greedy)."""
    tree = dict(found) if isinstance(found, dict) else {"name": found or GREEDY}
    name = str(tree.pop("name", GREEDY))
    return config.Choice(name, config.build(lookup.find(SEAM, name).Settings, tree, "decoder."))


def own(found: Any) -> config.Choice:
    """As `stored`, of a model that may be a stranger's; BadSettings where it names a file of its reader."""
    choice = stored(found)
    told = config.plain(choice.settings).items()
    if files := [f"{key}={value}" for key, value in told if isinstance(value, str) and value]:
        raise BadSettings(
            f"its decoder names a file, as no model may: {', '.join(files)}; "
            f"where that file is wanted, say so: decoder={choice.name} decoder.{files[0]}"
        )
    return choice


def know_several() -> list[str]:
    """The members that know several readings of a line."""
    return [name for name in lookup.members(SEAM) if issubclass(lookup.find(SEAM, name).Decoder, Several)]


def several(decoder: Decoder, asked: str) -> Several:
    """The same decoder; BadSettings, with what asked for it, where it knows one reading alone."""
    if isinstance(decoder, Several):
        return decoder
    known = ", ".join(know_several())
    raise BadSettings(f"{asked}: this decoder knows one text alone; decoder={known} know several")


def called(decoder: config.Choice) -> str:
    """The name of one chosen and, where settings are not the usual ones, letters that tell these apart."""
    usual = {known.name: known.default for known in fields(decoder.settings)}
    other = {key: value for key, value in config.plain(decoder.settings).items() if value != usual[key]}
    return f"{decoder.name}-{digest(other)[:6]}" if other else decoder.name
