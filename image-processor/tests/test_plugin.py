"""The example of an algorithm in a separate package: built, installed and run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.images import photo

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "docs/example-plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which pip has installed the package."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder, EXAMPLE], check=True, capture_output=True)
    return folder


def path_with(folder: Path) -> str:
    """Return PYTHONPATH with a folder added."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ([{"algorithm": "polaroid"}], (70, 63)),
        ([{"algorithm": "polaroid", "params": {"border": 10}}, {"algorithm": "flip"}], (76, 78)),
    ],
)
def test_an_installed_algorithm_runs(
    installed: Path, tmp_path: Path, steps: list[object], size: tuple[int, int]
) -> None:
    source, result = tmp_path / "source", tmp_path / "result"
    source.write_bytes(photo())

    environment = os.environ | {"PYTHONPATH": path_with(installed)}
    command: list[str | Path] = [sys.executable, "-m", "tests.support.peak_memory", source, result]
    command += ["pipeline", json.dumps({"steps": steps})]
    subprocess.run(command, check=True, env=environment, cwd=PROJECT)

    assert Image.open(result).size == size


def test_the_page_shows_the_module_as_it_is() -> None:
    page = (PROJECT / "docs/plugin.md").read_text("utf-8")

    assert (EXAMPLE / "pixmill_polaroid.py").read_text("utf-8") in page
    assert 'polaroid = "pixmill_polaroid:polaroid"' in (EXAMPLE / "pyproject.toml").read_text("utf-8")


def test_the_russian_page_shows_the_module_as_it_is() -> None:
    page = (PROJECT / "docs/ru/plugin.md").read_text("utf-8")

    assert (EXAMPLE / "pixmill_polaroid.py").read_text("utf-8") in page


def test_an_installed_algorithm_brings_its_russian_texts(installed: Path) -> None:
    code = (
        "import json; from image_processor.services.catalog import catalog;"
        " print(json.dumps([found for found in catalog('ru') if found['name'] == 'polaroid']))"
    )
    environment = os.environ | {"PYTHONPATH": path_with(installed)}

    run = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, cwd=PROJECT)

    [polaroid] = json.loads(run.stdout)
    border = polaroid["params"]["properties"]["border"]
    assert (polaroid["title"], polaroid["category"]) == ("Полароид", "geometry")
    assert polaroid["summary"] == "Обрамить изображение, как моментальную фотографию."
    assert (border["title"], border["x-pixmill"]["unit"]) == ("Поля", "%")
