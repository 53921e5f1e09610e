"""Presets: the YAML files of configs/ merged by hydra's compose API into one plain dict, before anything is
typed.
"""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from shards import lookup
from shards.errors import BadSettings

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def groups(name: str) -> list[str]:
    """The config groups of an entry, from the defaults list of its YAML file."""
    from omegaconf import OmegaConf

    path = CONFIGS / f"{name}.yaml"
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    entries = (content or {}).get("defaults", [])
    return [k.removeprefix("optional ") for e in entries if isinstance(e, dict) for k in e]


def names(group: str, schema: Any = None) -> list[str]:
    """The names a group takes: its YAML files and, where it is a seam, the members of the seam."""
    found = set(_files(group))
    for field in fields(schema) if schema else ():
        seam = field.metadata.get("seam") or field.metadata.get("seams")
        if field.name == group and seam:
            found |= set(lookup.members(seam))
    return sorted(found)


def tell(group: str, name: str) -> str:
    """What a preset sets, in a line; empty where the group has no such file, or one that only chooses the
    member of its name.
    """
    from omegaconf import OmegaConf

    path = CONFIGS / group / f"{name}.yaml"
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    chosen = [entry for entry in content.pop("defaults", []) if isinstance(entry, dict)]
    found = [(key.rpartition("/")[2], value) for entry in chosen for key, value in entry.items()]
    found += [leaf for leaf in _leaves(content) if leaf != ("name", name)]
    return ", ".join(f"{key}={value}" for key, value in found)


def _leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _files(group: str) -> list[str]:
    return [p.stem for p in (CONFIGS / group).glob("*.yaml")]


def compose(name: str, schema: Any, chosen: dict[str, list[str]]) -> dict[str, Any]:
    """The entry's YAML file and the chosen presets as one dict; a seam's member without a preset stands for
    itself.
    """
    from hydra import compose as merge
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    if not (CONFIGS / f"{name}.yaml").exists():
        return {}
    overrides = []
    for group, wanted in chosen.items():
        known = names(group, schema)
        if strange := [n for n in wanted if n not in known]:
            raise BadSettings(lookup.unknown(group, strange[0], known))
        files = [n for n in wanted if n in _files(group)]
        overrides.append(f"{group}={files[0]}" if len(files) == 1 else f"{group}=[{','.join(files)}]")
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        merged: Any = OmegaConf.to_container(merge(name, overrides=overrides), resolve=True)
    several = {f.name for f in fields(schema) if "seams" in f.metadata}
    for group, wanted in chosen.items():
        bare = [n for n in wanted if n not in _files(group)]
        if group not in several:
            merged.update((group, {"name": member}) for member in bare)
            continue
        # an experiment may set a member's keys; the command line decides which members there are
        there = {**(merged.get(group) or {}), **{member: {} for member in bare}}
        merged[group] = {key: value for key, value in there.items() if key in _members(group, wanted)}
    return merged


def _members(group: str, wanted: list[str]) -> set[str]:
    """The members that the wanted presets of a group bring along: the keys of their files, or themselves."""
    from omegaconf import OmegaConf

    files = [n for n in wanted if n in _files(group)]
    brought = {str(key) for n in files for key in OmegaConf.load(CONFIGS / group / f"{n}.yaml")}
    return brought | (set(wanted) - set(files))
