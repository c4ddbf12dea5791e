"""The plan of the house holds: imports run one way, modules stay small, every setting is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.mistakes import known_keys
from pipelines.settings import Settings

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "lightning_modules", "datamodules", "conf")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {
    "datamodules": ("pipelines", "lightning_modules"),
    "lightning_modules": ("pipelines", "datamodules"),
    "conf": ("pipelines", "lightning_modules", "datamodules"),
}
TYPES_ONLY = "datamodules.batches"


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_from_the_pipelines_to_the_wings_and_never_between_them(path: Path) -> None:
    wing = path.relative_to(ROOT).parts[0]
    names = set(imported(ast.parse(path.read_text(encoding="utf-8")))) - {TYPES_ONLY}
    assert not {name for name in names if name.partition(".")[0] in FORBIDDEN.get(wing, ())}


def test_the_shared_batch_types_need_nothing_but_torch() -> None:
    tree = ast.parse((ROOT / "datamodules" / "batches.py").read_text(encoding="utf-8"))
    assert {name.partition(".")[0] for name in imported(tree)} <= {"torch", "typing"}


def test_no_module_is_longer_than_400_lines() -> None:
    long = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert not {name: lines for name, lines in long.items() if lines > 400}


def test_no_module_of_the_house_prints() -> None:
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing


def test_packages_import_nothing_by_themselves() -> None:
    loading = [
        name_of(path)
        for path in MODULES
        if path.name == "__init__.py" and set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    ]
    assert not loading


def test_every_setting_is_read_by_code() -> None:
    read = {
        node.attr
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert not {key for key in known_keys(Settings) if key.rpartition(".")[2] not in read}
