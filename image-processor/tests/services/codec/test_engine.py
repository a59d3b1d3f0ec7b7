"""The engine version, which prevents the reuse of another engine's results."""

import subprocess
import sys
from pathlib import Path

import pytest
from image_processor.services.codec.engine import digest_of, engine_version

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


@pytest.mark.parametrize("module", ["algorithms.blur", "imaging.picture", "services.codec.process"])
def test_libvips_runs_a_single_thread_regardless_of_import_order(module: str) -> None:
    code = f"import image_processor.{module}, pyvips; print(pyvips.vips_lib.vips_concurrency_get())"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "1"
