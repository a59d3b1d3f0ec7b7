"""The engine version, which prevents the reuse of another engine's results."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import image_processor
import pytest
from image_processor.services.codec.engine import SHARED, SOURCES, digest_of, engine_version

pytestmark = pytest.mark.slow


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "algorithms").mkdir()
    (tmp_path / "algorithms/blur.py").write_text("radius = 1")
    (tmp_path / "algorithms/crop.py").write_text("width = 2")
    return tmp_path


def test_the_digest_of_the_same_files_is_the_same(sources: Path) -> None:
    assert digest_of([sources]) == digest_of([sources])


@pytest.mark.parametrize("name", ["blur.py", "new.py", "below/new.py", "network/weights.onnx"])
def test_a_changed_or_new_file_changes_the_digest(sources: Path, name: str) -> None:
    before = digest_of([sources])

    path = sources / "algorithms" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("radius = 3")

    assert digest_of([sources]) != before


def test_a_removed_file_changes_the_digest(sources: Path) -> None:
    before = digest_of([sources])

    (sources / "algorithms/blur.py").unlink()

    assert digest_of([sources]) != before


def test_the_version_names_the_libraries_that_affect_pixels() -> None:
    for library in ("libvips 8.", "pillow-heif ", "opencv-python-headless ", "resvg-py "):
        assert library in engine_version()


WITHOUT_PIXELS = {
    *("image_processor.services.causes", "service_kit.errors", "service_kit.field_errors", "service_kit.json_types"),
    *("service_kit.settings", "service_kit.texts", "image_processor.__version__"),
}
"""Modules of our own that the sources of the digest import for errors, texts, settings and names."""


def imported_by(source: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            is_package = "." not in node.module
            yield from (f"{node.module}.{name.name}" if is_package else node.module for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_every_module_that_may_affect_pixels_is_in_the_digest() -> None:
    package = Path(image_processor.__path__[0])
    inside = tuple(f"image_processor.{folder.replace('/', '.')}" for folder in SOURCES)
    imported = {
        module
        for folder in SOURCES
        for path in (package / folder).rglob("*.py")
        for module in imported_by(path)
        if module.startswith(("image_processor.", "service_kit.")) and not module.startswith(inside)
    }

    assert imported == WITHOUT_PIXELS | {module.__name__ for module in SHARED}


def test_a_changed_file_outside_the_folders_changes_the_digest(sources: Path) -> None:
    outside = sources.parent / "outside.py"
    outside.write_text("size = 1")
    before = digest_of([sources], [outside])

    outside.write_text("size = 2")

    assert digest_of([sources], [outside]) != before


@pytest.mark.parametrize("module", ["algorithms.blur", "imaging.picture", "services.codec.process"])
def test_libvips_runs_a_single_thread_regardless_of_import_order(module: str) -> None:
    code = f"import image_processor.{module}, pyvips; print(pyvips.vips_lib.vips_concurrency_get())"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "1"
