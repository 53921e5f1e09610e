"""Protocols: how a truth and a reading are brought to what is compared.

`native` compares what the model's charset can tell apart. 36, 62 and 94 are those of the literature: both
sides keep only those characters (36: small letters and digits, whatever the case was). A truth of which
nothing is left is never read right; in character figures it has no characters.
"""

import unicodedata
from dataclasses import dataclass

from shards.errors import BadSettings
from shards.lookup import unknown
from train.charset import FOLDS, NAMED, Charset
from train.scenes import PROTOCOLS

NAMES = ("native", *NAMED)
MEANINGS = {  # for people
    "native": "what the model's charset can tell apart; of places: ICDAR2015's rules",
    "ocrdistill": "upright boxes, as OCRdistill compares them",
    "icdar2015": "ICDAR2015's rules of places",
    "36": "small letters and digits, whatever the case was; nothing else is compared",
    "62": "letters and digits; nothing else is compared",
    "94": "the printable ASCII characters; nothing else is compared",
}
NOTHING = "\uffff"  # stands for a truth of which nothing is left: no text has it, it is no character


def check(name: str) -> None:
    """Refuses a name that is no protocol of strings."""
    if name not in NAMES:
        raise BadSettings(unknown("protocol", name, list(NAMES)))


def known(name: str) -> None:
    """Refuses a name that is no protocol at all: of strings or of scenes."""
    if name not in NAMES and name not in PROTOCOLS:
        raise BadSettings(unknown("protocol", name, [*NAMES, *PROTOCOLS]))


def kept(name: str, text: str) -> str:
    """What the protocol 36, 62 or 94 keeps of a text: composed (NFC), folded, without other characters."""
    characters, fold = NAMED[name]
    return "".join(c for c in FOLDS[fold](unicodedata.normalize("NFC", text)) if c in characters)


def spelled(truth: str) -> str:
    """The characters of a truth as it is compared: none where nothing is left of it."""
    return "" if truth == NOTHING else truth


@dataclass(frozen=True, slots=True)
class Protocol:
    """Both sides of a comparison; charset: the model's."""

    name: str
    charset: Charset

    def truth(self, text: str) -> str:
        """A raw label as it is compared."""
        if self.name == "native":
            return self.charset.normalise(text)
        return kept(self.name, text) or (NOTHING if text else "")

    def reading(self, text: str) -> str:
        """What a model read as it is compared."""
        return text if self.name == "native" else kept(self.name, text)
