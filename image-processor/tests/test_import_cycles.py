"""The folders of the package, and those of render, depend on each other in one direction."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import image_processor
import pytest

PACKAGE = Path(image_processor.__file__).parent
RENDER = PACKAGE / "render"


def imported_by(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports, also later in its functions, with all their names."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folders_of(package: Path, name: str) -> Mapping[str, set[str]]:
    """Return the folders and modules at the top of a package with this full name, each with those that it imports."""
    names = {entry.stem for entry in package.iterdir() if entry.is_dir() or entry.suffix == ".py"}
    found: dict[str, set[str]] = {}
    for module in package.rglob("*.py"):
        own = module.relative_to(package).parts[0].removesuffix(".py")
        imported = {
            each.removeprefix(f"{name}.").split(".")[0] for each in imported_by(module) if each.startswith(f"{name}.")
        }
        found.setdefault(own, set()).update((imported & names) - {own})
    return found


def test_no_folder_imports_one_that_imports_it() -> None:
    folders = folders_of(PACKAGE, "image_processor")

    assert {"confinement", "config"} <= folders["handler"]
    order = list(TopologicalSorter(folders).static_order())
    assert order.index("confinement") < min(order.index("handler"), order.index("render"))


def test_no_folder_of_render_imports_one_that_imports_it() -> None:
    folders = folders_of(RENDER, "image_processor.render")

    order = list(TopologicalSorter(folders).static_order())
    layers = ["plans", "dialects", "processes", "service", "routers", "app"]
    assert sorted(layers, key=order.index) == layers


def test_the_dialects_of_render_import_each_other_in_one_direction() -> None:
    folders = folders_of(RENDER / "dialects", "image_processor.render.dialects")

    assert "thumbor" in folders["imagor"]
    TopologicalSorter(folders).prepare()


def test_routers_import_services_and_no_other_process() -> None:
    folders = folders_of(PACKAGE, "image_processor")

    assert "services" in folders["routers"]
    assert folders["routers"].isdisjoint({"background", "handler", "render"})


def test_a_cycle_of_folders_is_found(tmp_path: Path) -> None:
    for name, other in (("front", "back"), ("back", "front")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text(f"def use():\n    from {tmp_path.name}.{other} import module\n")

    with pytest.raises(CycleError):
        TopologicalSorter(folders_of(tmp_path, tmp_path.name)).prepare()
