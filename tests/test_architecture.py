"""The house's laws, checked over the files git knows: arrows, names, sizes, and what never comes in."""

import ast
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"ingest": {"shards"}, "train": {"shards"}, "distill": {"train", "shards"}, "shards": set()}
SEAMS = {
    "distill/answers",
    "ingest/executors",
    "ingest/sources",
    "shards/engines",
    "shards/unpackers",
    "train/decoders",
    "train/formats",
    "train/losses",
    "train/models",
    "train/optimizers",
    "train/schedules",
    "train/tasks",
    "train/trackers",
    "train/strategies",
    "distill/codecs",
    "distill/methods",
}
TOP = {
    *PACKAGES, "configs", "infra", "tests", ".ci", "README.md", "LICENSE", "CHANGELOG.md",
    "Makefile", "pyproject.toml", ".gitignore",
}  # fmt: skip
FILE_LINES, FUNCTION_LINES = 250, 40
GRAB_BAGS = {"utils", "util", "misc", "manager", "base", "helpers", "common"}


def tracked(*patterns: str) -> list[Path]:
    out = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / line for line in out.splitlines() if (ROOT / line).exists()]


def sources() -> list[Path]:
    return [p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] in PACKAGES]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.level))
    return found


@pytest.mark.parametrize("path", sources(), ids=name)
def test_imports_follow_the_arrows(path):
    package = path.relative_to(ROOT).parts[0]
    for module, level in imports(path):
        top = module.split(".")[0]
        assert level == 0, f"relative import of {module}"
        assert top not in {"tests", "configs", "infra", "torchvision", "timm", "cv2"}
        assert top not in PACKAGES or top == package or top in PACKAGES[package], (
            f"{package} may not import {module}"
        )


def test_imports_have_no_cycles():
    modules = {name(p)[:-3].replace("/", "."): p for p in sources()}
    graph = {}
    for module, path in modules.items():
        tree, found = ast.parse(path.read_text()), set()
        for node in tree.body:  # imports inside functions are late on purpose
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[module.removesuffix(".__init__")] = {
            m for m in found if m in modules or f"{m}.__init__" in modules
        }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join([*trail, module])}"
        if module not in done:
            for other in sorted(graph.get(module, ())):
                # a seam's package is imported with its members, and they name its contract
                if other != module and not module.startswith(f"{other}."):
                    visit(other, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", tracked("*.py"), ids=name)
def test_files_and_functions_can_be_held_in_the_head(path):
    text = path.read_text()
    if name(path).startswith("tests/"):
        return
    assert len(text.splitlines()) <= FILE_LINES, f"{name(path)} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{name(path)}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("path", sources(), ids=name)
def test_every_module_says_what_it_is_and_init_files_are_empty_but_at_seams(path):
    text = path.read_text()
    if path.name == "__init__.py":
        folder = str(path.parent.relative_to(ROOT))
        assert text == "" if folder not in SEAMS else ast.get_docstring(ast.parse(text))
    else:
        assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", sources(), ids=name)
def test_names_say_what_a_module_holds_and_shadow_nothing(path):
    assert path.stem not in GRAB_BAGS
    if path.parent.name in ("train", "distill"):
        # accelerate puts this folder first on the path
        owned = {
            d.split(".")[0]
            for dist in metadata.distributions()
            for d in (dist.read_text("top_level.txt") or "").split()
        }
        assert path.stem not in sys.stdlib_module_names | (owned - set(PACKAGES))


def test_the_top_level_holds_what_the_design_knows():
    assert {p.relative_to(ROOT).parts[0] for p in tracked()} <= TOP


def test_settings_files_are_short_and_hold_no_class_paths():
    for path in tracked("configs/*.yaml", "configs/**/*.yaml"):
        text = path.read_text()
        assert len(text.splitlines()) < 20, name(path)
        assert "_target_" not in text


def test_the_package_lists_what_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {str(p.parent.relative_to(ROOT)).replace("/", ".") for p in sources()}
    assert folders | {"configs"} == set(project["tool"]["setuptools"]["packages"])
    dependencies = " ".join(project["project"]["dependencies"])
    assert "torchvision" not in dependencies
    assert "timm" not in dependencies


def test_the_repository_speaks_of_the_project_alone():
    shared = ROOT.parent == Path(tempfile.gettempdir())  # tests name files there
    here = f"{ROOT if shared else ROOT.parent}/"
    for path in tracked():
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".sh", ".txt"} or path.name == "Makefile":
            assert here not in path.read_text(), name(path)


def test_seams_have_members_and_members_keep_the_contract():
    from shards import lookup

    wanted = {
        "ingest.executors": "opened",
        "ingest.sources": "Source",
        "shards.engines": "Engine",
        "shards.unpackers": "Unpacker",
        "train.decoders": "Decoder",
        "train.models": "Model",
        "train.tasks": "Task",
        "train.trackers": "Tracker",
        "train.strategies": "Strategy",
    }
    for package, agreed in {**wanted, "distill.methods": "Method"}.items():
        for member in lookup.members(package):
            module = lookup.find(package, member)
            assert hasattr(module, agreed), f"{package}.{member} has no {agreed}"
            assert package == "shards.engines" or hasattr(module, "Settings"), (
                f"{package}.{member} has no Settings"
            )
