"""Settings: `read(Schema, name, argv)` merges default < group preset < experiment < command line into a
dataclass.

Hydra's compose API merges the YAML files; the command line is typed by the dataclass, so paths and strings
are taken literally after the first `=`. Field metadata: {"seam": package} = one member of a seam and its
settings (`Choice`); with "flat": True its keys stand at the top level; {"seams": package} = several members,
a dict name -> settings; {"positional": True} = a list that also takes arguments without a key; {"bare": name}
= settings of which that one is also given by the key alone.

`key=?` tells of every name that a group or seam takes: the opening sentence of the member's docstring, the
lines that its seam adds by `about(module)` in its `__init__.py`, and what a preset of that name sets.
"""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from shards import lookup, presets, typed
from shards.errors import BadSettings

T = TypeVar("T")
Schema = Any  # the type of a settings dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen member of a seam: its name and its own settings dataclass."""

    name: str
    settings: Any


def read(schema: Callable[..., T], name: str, argv: list[str]) -> T:
    """The settings of entry `name`; a key, name or type that cannot be is a BadSettings listing what
    exists.
    """
    argv = [a for a in argv if not re.match(r"--?local[_-]rank", a)]  # launchers add it; we never need it
    groups = presets.groups(name)
    chosen, values, positional = _sort(schema, groups, argv)
    tree = presets.compose(name, schema, chosen)
    if asked := next((key for key, value in values if value == "?"), None):
        print(_answer(schema, tree, groups, asked))
        raise SystemExit(0)
    for key, text in values:
        _chosen(schema, tree, key)
        _put(tree, _whole(schema, key), text)
    for field in fields(schema):  # pyright: ignore[reportArgumentType]
        if positional and field.metadata.get("positional"):
            tree[field.name] = [*tree.get(field.name, []), *positional]
    return build(schema, tree)


def _sort(schema: Schema, groups: list[str], argv: list[str]):
    """Splits arguments into group choices, (key, value) pairs and positional values."""
    chosen, values, positional = {}, [], []
    takes = any(f.metadata.get("positional") for f in fields(schema))
    for argument in argv:
        key, equals, value = argument.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
            if not takes or argument.startswith("--"):
                raise BadSettings(f"{argument!r}: settings are given as key=value (keys: {_keys(schema)})")
            positional.append(argument)
        elif key in groups and value != "?":
            chosen[key] = typed.split(value)
        else:
            values.append((key, value))
    return chosen, values, positional


def _answer(schema: Schema, tree: dict, groups: list[str], key: str) -> str:
    """What `key=?` prints: the names a group or seam takes, or the type and present value of a setting."""
    field = next((f for f in fields(schema) if f.name == key), None)
    seam = field and (field.metadata.get("seam") or field.metadata.get("seams"))
    if key in groups or seam:
        return "\n".join([f"{key}:", *(_told(key, seam, name) for name in presets.names(key, schema))])
    for found, kind, value, note in describe(schema):
        if found == key:
            return f"{key}: {kind}, default {value!r} {note}".rstrip()
    raise BadSettings(lookup.unknown("settings", key, [row[0] for row in describe(schema)]))


def _told(group: str, seam: str | None, name: str) -> str:
    """A name a group or seam takes: what its preset sets, what `lookup.about` knows of the member."""
    told = lookup.about(seam, name) if seam and name in lookup.members(seam) else {}
    told |= {"sets": found} if (found := presets.tell(group, name)) else {}
    opening = told.pop("", "")
    return "\n".join(
        [f"  {name}  {opening}".rstrip(), *(f"      {word}: {line}" for word, line in told.items())]
    )


def _chosen(schema: Schema, tree: dict, key: str) -> None:
    """Refuses a key of a member of a `seams` field that was not chosen: the key alone does not choose it."""
    name, _, rest = key.partition(".")
    seam = next((f.metadata.get("seams") for f in fields(schema) if f.name == name), None)
    member, chosen = rest.partition(".")[0], list(tree.get(name) or ())
    if not seam or not rest or member in chosen:
        return
    lookup.find(seam, member)
    raise BadSettings(
        f"{key}: {member} is not chosen ({name} is {', '.join(chosen) or 'none'}); "
        f"choose it with {name}=[{','.join([*chosen, member])}]"
    )


def _whole(schema: Schema, key: str) -> str:
    """The dotted key of a setting that the name of its group alone stands for."""
    bare = next((f.metadata["bare"] for f in fields(schema) if f.name == key and "bare" in f.metadata), "")
    return f"{key}.{bare}" if bare else key


def _put(tree: dict, key: str, text: str) -> None:
    """Sets a dotted key to a command-line value."""
    *path, last = key.split(".")
    for part in path:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[last] = typed.Given(text)


def _keys(schema: Schema) -> str:
    return ", ".join(f.name for f in fields(schema))


def build(schema: Callable[..., T], tree: dict[str, Any], path: str = "") -> T:
    """A dataclass from a plain dict, strictly: unknown keys and wrong types are named with their full
    path.
    """
    kinds, tree, values = typed.hints(schema), dict(tree), {}
    flat, known = {}, fields(schema)  # pyright: ignore[reportArgumentType]
    for field in known:
        if field.metadata.get("flat") and (field.name in tree or not _required(field)):
            flat[field.name] = (field.metadata["seam"], tree.pop(field.name, field.default))
        if field.name not in tree:
            continue
        where = f"{path}{field.name}"
        node = tree.pop(field.name)
        if seam := field.metadata.get("seam"):
            values[field.name] = _choice(seam, node, where)
        elif seam := field.metadata.get("seams"):
            values[field.name] = _several(seam, node, where)
        elif is_dataclass(kinds[field.name]) and isinstance(node, dict):
            values[field.name] = build(kinds[field.name], node, f"{where}.")
        else:
            values[field.name] = typed.convert(node, kinds[field.name], where)
    names = [path + f.name for f in known] + _take_flat(flat, tree, values)
    if tree:
        raise BadSettings(lookup.unknown("settings", path + next(iter(tree)), names))
    missing = [f.name for f in known if f.name not in values and _required(f)]
    if missing:
        raise BadSettings(f"{path}{missing[0]}= is required" + _offer(schema, missing[0]))
    try:
        return schema(**values)
    except TypeError as error:
        raise BadSettings(f"{path or 'settings'}: {error}") from None


def _take_flat(flat: dict[str, tuple[str, Any]], tree: dict, values: dict[str, Any]) -> list[str]:
    """Moves the keys of flat members, {field: (seam, member)}, from tree to values; returns all they take."""
    names: list[str] = []
    for field, (seam, member) in flat.items():
        own = [f.name for f in fields(lookup.find(seam, str(member)).Settings)]
        values[field] = _choice(seam, {"name": member, **{k: tree.pop(k) for k in own if k in tree}}, "")
        names += sorted(own)
    return names


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _offer(schema: Schema, name: str) -> str:
    seam = next((f.metadata.get("seam") for f in fields(schema) if f.name == name), None)
    return f" (there are: {', '.join(lookup.members(seam))})" if seam else ""


def _choice(seam: str, node: Any, where: str) -> Choice:
    """A member of a seam with its settings. node: {"name": member, its keys...}, or the bare name."""
    node = dict(node) if isinstance(node, dict) else {"name": node}
    if "name" not in node:
        raise BadSettings(f"{where}= is required first (there are: {', '.join(lookup.members(seam))})")
    name = str(node.pop("name", None))
    settings = lookup.find(seam, name).Settings
    return Choice(name, build(settings, node, f"{where}." if where else ""))


def _several(seam: str, node: Any, where: str) -> dict[str, Any]:
    """Members of a seam by name, in the order given. node: {member: {its keys...}}."""
    return {
        name: build(lookup.find(seam, name).Settings, settings or {}, f"{where}.{name}.")
        for name, settings in (node or {}).items()
    }


def describe(schema: Schema, path: str = "") -> list[tuple[str, str, Any, str]]:
    """(key, type, default, comment) of every setting, for --help and key=?."""
    rows, kinds, notes = [], typed.hints(schema), typed.comments(schema)
    for field in fields(schema):
        default = None if _required(field) else field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if seam := field.metadata.get("seam") or field.metadata.get("seams"):
            members = lookup.members(seam)
            rows.append((path + field.name, "name", plain(default), f"one of: {', '.join(members)}"))
            below = "" if field.metadata.get("flat") else f"{path}{field.name}."
            below += "NAME." if "seams" in field.metadata else ""
            for member in members:
                own = describe(lookup.find(seam, member).Settings, below)
                rows += [(key, kind, value, f"[{member}] {note}") for key, kind, value, note in own]
        elif is_dataclass(kinds[field.name]):
            rows += describe(kinds[field.name], f"{path}{field.name}.")
        else:
            default = plain(default)
            rows.append(
                (path + field.name, typed.name_of(kinds[field.name]), default, notes.get(field.name, ""))
            )
    return rows


def plain(value: Any) -> Any:
    """Settings as JSON-able values; a Choice becomes {"name": ..., its settings}."""
    if isinstance(value, Choice):
        return {"name": value.name, **plain(value.settings)}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
