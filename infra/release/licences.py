"""Judges under what a package may be used, by what its metadata say.

Refused are the GPL and the AGPL (not the LGPL), the SSPL, and what forbids commercial use. What the metadata
leave open is unknown, and stands in OPEN with what was found out about it, or the release is stopped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

FREE, UNKNOWN, REFUSED = "free", "unknown", "refused"
LISTED = "listed"  # unknown by its metadata, and taken with a reason
ORDER = (FREE, UNKNOWN, REFUSED)  # of a sum the worst counts, of a choice the best
LONGEST = 200  # characters: a longer text is the licence itself, and of these the title is judged
NVIDIA = "NVIDIA's own licence: free of charge, never part of the wheel; of extras and of torch for GPUs"
OPEN = {  # name (* stands for anything) -> what is known of it
    "nvidia-*": NVIDIA,
    "tensorrt*": NVIDIA,
    "cuda-toolkit": "no files of its own: names those of nvidia-* that torch for GPUs takes",
    "fast-ctc-decode": "MIT, by the LICENSE of github.com/nanoporetech/fast-ctc-decode; its wheel is silent",
}
REFUSING = re.compile(
    r"(?<![A-Za-z])A?GPL|affero|(?<!lesser )(?<!library )general public licen[cs]e|SSPL|server side public"
    r"|non-?\s?commercial|CC[- ]BY[- ]NC|commons clause|research (use )?only",
    re.IGNORECASE,
)
FREEING = re.compile(
    r"\bMIT\b|BSD|\bApache\b|\bISC\b|\bISCL\b|\bPSF\b|\bPython-2\.0|Python Software Foundation|\bMPL\b|Zlib"
    r"|Mozilla Public|\bCC0\b|Unlicense|\bBSL-1\.0|\bBoost\b|OLDAP|OpenLDAP|\bHPND\b|CNRI-Python|\bLGPL"
    r"|Lesser General Public|Academic Free|public domain",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A package, what it says of its licence, the verdict, and of a listed one the reason."""

    name: str
    version: str
    says: str
    verdict: str
    why: str = ""


def judge(metadata: Mapping[str, Any], listed: Mapping[str, str] = OPEN) -> Judged:
    """By a package's metadata, named as in pip's reports (`license_expression`, `license`, `classifier`)."""
    expression = metadata.get("license_expression") or ""
    text = metadata.get("license") or ""
    classes = [
        one.rsplit("::", 1)[-1].strip()
        for one in metadata.get("classifier") or ()
        if one.startswith("License ::") and not one.endswith("OSI Approved")
    ]
    verdict, says = UNKNOWN, "nothing"
    if expression:
        verdict, says = of_expression(expression), expression
    elif classes:
        short = [text] if len(text) <= LONGEST and of_text(text) == REFUSED else []
        verdict, says = worst([of_text(one) for one in (*classes, *short)]), "; ".join((*classes, *short))
    elif text.strip():
        says = text if len(text) <= LONGEST else text.strip().splitlines()[0]
        verdict = of_text(says)
    name = metadata["name"]
    why = next((why for known, why in listed.items() if fnmatch(plain(name), known)), "")
    if verdict == UNKNOWN and why:
        return Judged(name, metadata["version"], " ".join(says.split()), LISTED, why)
    return Judged(name, metadata["version"], " ".join(says.split()), verdict)


def plain(name: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_text(text: str) -> str:
    """The verdict on a name of a licence in whatever words."""
    if REFUSING.search(text):
        return REFUSED
    return FREE if FREEING.search(text) else UNKNOWN


def worst(verdicts: list[str]) -> str:
    """Of several that all hold."""
    return max(verdicts, key=ORDER.index)


def of_expression(expression: str) -> str:
    """The verdict on an SPDX expression (https://spdx.github.io/spdx-spec, annex on licence expressions).

    AND binds more than OR; of OR the better may be chosen, of AND both hold; WITH excepts nothing here.
    """
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)

    def choice() -> str:
        found = [both()]
        while tokens and tokens[0].upper() == "OR":
            tokens.pop(0)
            found.append(both())
        return min(found, key=ORDER.index)

    def both() -> str:
        found = [one()]
        while tokens and tokens[0].upper() == "AND":
            tokens.pop(0)
            found.append(one())
        return worst(found)

    def one() -> str:
        first = tokens.pop(0) if tokens else ""
        if first == "(":
            found = choice()
            return found if tokens and tokens.pop(0) == ")" else UNKNOWN
        if tokens and tokens[0].upper() == "WITH":
            del tokens[:2]
        return of_text(first)

    found = choice()
    return UNKNOWN if tokens else found
