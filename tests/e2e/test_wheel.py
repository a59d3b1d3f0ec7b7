"""What would be published: a wheel and a source package that install into an empty environment."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.environment import PROJECT

pytestmark = pytest.mark.thorough

LARGEST_MEGABYTES = 60
"""Of httpx2, typer, rich and what they need."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(PROJECT / "pixmill")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_package_installs_with_three_dependencies_and_runs(built: Path, tmp_path: Path, kind: str) -> None:
    [package] = built.glob(kind)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=300)
    binary = tmp_path / "venv/bin"

    # Without the sources of this clone, which PYTHONPATH may name.
    environment = {"PATH": f"{binary}:/usr/bin:/bin", "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    pip = [sys.executable, "-m", "pip", "--python", str(binary / "python"), "install", "--quiet", str(package)]
    subprocess.run(pip, env=environment, check=True, capture_output=True, timeout=500)
    run = subprocess.run([binary / "pixmill", "--version"], env=environment, capture_output=True, text=True, check=True)
    serve = subprocess.run([binary / "pixmill", "serve"], env=environment, capture_output=True, text=True, check=False)

    assert run.stdout.startswith("pixmill 0.")
    assert (serve.returncode, "pixmill[serve]" in serve.stderr) == (1, True), serve.stderr
    packages = tmp_path / "venv/lib"
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size < LARGEST_MEGABYTES * 10**6


def test_the_source_package_has_the_marker_of_types(built: Path) -> None:
    [package] = built.glob("*.tar.gz")

    with tarfile.open(package) as archive:
        names = archive.getnames()

    assert any(name.endswith("src/pixmill/py.typed") for name in names)
