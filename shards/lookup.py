"""The only registry: a member of a seam is a module in the seam's folder, found by its file name."""

import difflib
import importlib
import pkgutil
import re
from types import ModuleType

from shards.errors import BadSettings


def members(package: str) -> list[str]:
    """The names that `find` knows: the public modules of a seam folder, sorted."""
    folder = importlib.import_module(package)
    return sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_"))


def find(package: str, name: str) -> ModuleType:
    """The module `package.name`; an unknown name is a BadSettings that lists the known ones."""
    known = members(package)
    if name not in known:
        raise BadSettings(unknown(package.rsplit(".", 1)[-1], name, known))
    return importlib.import_module(f"{package}.{name}")


def about(package: str, name: str) -> dict[str, str]:
    """What there is to know of a member before it is chosen: under "" the first sentence of its docstring,
    and what the seam's own `about(module)` adds, {word: line}, where the seam has one.
    """
    member, seam = find(package, name), importlib.import_module(package)
    opening = " ".join((member.__doc__ or "").partition("\n\n")[0].split())
    more = seam.about(member) if hasattr(seam, "about") else {}
    return {"": re.split(r"(?<=[.!?]) (?=[A-Z])", opening)[0], **more}


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The sentence for a name that does not exist: the nearest one first, then all of them."""
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{kind}: no {name!r}{hint} (there are: {', '.join(known) or 'none'})"
