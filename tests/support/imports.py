"""Which parts of a package import which, read from the sources."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def imports_within(folder: Path, package: str) -> Mapping[str, set[str]]:
    """Return the subfolders and modules at the top of a package, each with those that it imports.

    :param package: the name by which modules import the package, such as ``pixmill.client``.
    """
    names = {entry.stem for entry in folder.iterdir() if entry.is_dir() or entry.suffix == ".py"}
    found: dict[str, set[str]] = {}
    for module in folder.rglob("*.py"):
        own = module.relative_to(folder).parts[0].removesuffix(".py")
        inner = [name.removeprefix(f"{package}.") for name in _imported_by(module) if name.startswith(f"{package}.")]
        found.setdefault(own, set()).update({name.split(".")[0] for name in inner} & names - {own})
    return found


def _imported_by(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports, with all their names, also those imported in functions or for types."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
