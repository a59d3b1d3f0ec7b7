"""The packages to publish: a wheel and a source package that install into an empty environment."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.environment import PROJECT
from tests.support.stacks import Stack

pytestmark = pytest.mark.thorough

LARGEST_MEGABYTES = 30
"""Maximum size of httpx2, typer, rich and their dependencies, with compiled modules."""
OTHER_PYTHONS = ("3.12", "3.13", "3.14")
"""In addition to the Python that runs the tests; `.github/workflows/release.yml` lists them all."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(PROJECT / "pixmill")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def python_of(version: str) -> str | None:
    """Return a Python of this version that runs: a version manager may have its command without the Python itself."""
    name = f"python{version}"
    for candidate in (shutil.which(name), *Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def installed(package: Path, python: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """Install a package into an empty environment; return the folder of its programs, and their environment."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    binary = folder / "bin"
    # Exclude this clone's sources, which PYTHONPATH may contain.
    environment = {"PATH": f"{binary}:/usr/bin:/bin", "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    pip = [sys.executable, "-m", "pip", "--python", str(binary / "python"), "install", "--quiet", str(package)]
    subprocess.run(pip, env=environment, check=True, capture_output=True, timeout=500)
    return binary, environment


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_package_installs_with_three_dependencies_and_runs(built: Path, tmp_path: Path, kind: str) -> None:
    [package] = built.glob(kind)

    binary, environment = installed(package, sys.executable, tmp_path / "venv")
    run = subprocess.run([binary / "pixmill", "--version"], env=environment, capture_output=True, text=True, check=True)
    serve = subprocess.run([binary / "pixmill", "serve"], env=environment, capture_output=True, text=True, check=False)

    assert run.stdout.startswith("pixmill 0.")
    assert (serve.returncode, "pixmill[serve]" in serve.stderr) == (1, True), serve.stderr
    packages = tmp_path / "venv/lib"
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size < LARGEST_MEGABYTES * 10**6


@pytest.mark.parametrize("version", ["this", *OTHER_PYTHONS])
def test_the_wheel_sends_and_fetches_a_file(built: Path, tmp_path: Path, stack: Stack, version: str) -> None:
    python = sys.executable if version == "this" else python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    [wheel] = built.glob("*.whl")
    content = os.urandom(1000)
    (tmp_path / "there.bin").write_bytes(content)
    binary, environment = installed(wheel, python, tmp_path / "venv")

    def pixmill(*words: str) -> str:
        command = [str(binary / "pixmill"), *words, "--url", stack.url]
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    file_id = pixmill("put", "there.bin", "-q")
    pixmill("get", file_id, "-o", "back.bin")

    assert (tmp_path / "back.bin").read_bytes() == content


def test_the_source_package_has_the_marker_of_types(built: Path) -> None:
    [package] = built.glob("*.tar.gz")

    with tarfile.open(package) as archive:
        names = archive.getnames()

    assert any(name.endswith("src/pixmill/py.typed") for name in names)
