"""The licences of all that an extra installs: pip resolves it, the index tells them, nothing is installed."""

import json
import tomllib
from collections.abc import Sequence

import licences
from place import ROOT, Found, Place, tail

OWN = "ocr-distillery"
ALONE = {  # extra -> why what it names brings along cannot be seen everywhere
    "tensorrt": "what it brings is on NVIDIA's index, for machines with CUDA",
}
APART = ("paddle",)  # extras that want other versions than the constraints: for an environment of their own


def extras() -> dict[str, list[str]]:
    """Extra -> what it asks for, the base under ""; one that only gathers others asks for nothing itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    return {name: [one for one in lines if not one.startswith(OWN)] for name, lines in asked.items()}


def check_licences(chosen: Sequence[str], place: Place) -> Found:
    """What the extras bring (none: the base and all) and is not simply free, with those that bring it."""
    rows, failures, brought = [], [], {}
    for name, asked in extras().items():
        if not asked or (chosen and name not in chosen):
            continue
        called = f"extra {name}" if name else "the base"
        found, why = resolved(name, asked, place)
        if not found:
            rows.append([called, "", "not seen", "", why])
            said = f"{called}: pip cannot tell what it installs: {why}"
            failures.append(f"{said}; give versions that exist, or drop it")
            continue
        free = sum(one.verdict == licences.FREE for one in found)
        rows.append([called, "", f"{free} of {len(found)} free", "", why])
        for one in found:
            if one.verdict != licences.FREE:
                brought.setdefault(one, []).append(name or "base")
    for one, by in sorted(brought.items(), key=lambda item: item[0].name):
        rows.append([", ".join(by), f"{one.name} {one.version}", one.verdict, one.says, one.why])
        if one.verdict != licences.LISTED:
            remedy = (
                "drop it" if one.verdict == licences.REFUSED else "read its licence, add to licences.OPEN"
            )
            said = f"{one.name} {one.version} ({', '.join(by)}): {one.verdict}, it says {one.says!r}"
            failures.append(f"{said}; {remedy}")
    return Found(("from", "package", "verdict", "says", "known of it"), rows, failures)


def resolved(name: str, asked: Sequence[str], place: Place) -> tuple[list[licences.Judged], str]:
    """What an extra installs, judged, and what there is to say of it; nothing where pip cannot tell.

    An extra of ALONE is looked at without what it brings, where that cannot be seen.
    """
    report = place.folder / "report.json"
    line = ("--dry-run", "--ignore-installed", "--report", report)
    done, why = place.install(*line, *asked, pinned=name not in APART), ""
    if done.returncode and name in ALONE:
        done, why = place.install(*line, "--no-deps", *asked), f"it alone: {ALONE[name]}"
    if done.returncode:
        return [], tail(done)
    return [licences.judge(one["metadata"]) for one in json.loads(report.read_text())["install"]], why
