"""The packages to publish: a wheel and a source package that install into an empty environment."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from flit_core.buildapi import build_wheel

from tests.support.environment import PROJECT
from tests.support.stacks import Stack

PACKAGES = ("service-kit", "file-storage", "image-processor", "pixmill")
"""The packages of a release: `pixmill[serve]` needs all of them."""
LARGEST_MEGABYTES = 30
"""Maximum size of httpx2, typer, rich and their dependencies, with compiled modules."""
OTHER_PYTHONS = ("3.12", "3.13", "3.14")
"""In addition to the Python that runs the tests; `.github/workflows/release.yml` lists them all."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(PROJECT / package)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def python_of(version: str) -> str | None:
    """Return a Python of this version that runs: a version manager may have its command without the Python itself."""
    name = f"python{version}"
    for candidate in (shutil.which(name), *Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def installed(package: str, python: str, folder: Path, *others: str) -> tuple[Path, dict[str, str]]:
    """Install a package into an empty environment; return the folder of its programs, and their environment."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    binary = folder / "bin"
    # Exclude this clone's sources, which PYTHONPATH may contain.
    environment = {"PATH": f"{binary}:/usr/bin:/bin", "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    pip = [sys.executable, "-m", "pip", "--python", str(binary / "python"), "install", "--quiet", *others, package]
    subprocess.run(pip, env=environment, check=True, capture_output=True, timeout=500)
    return binary, environment


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_package_installs_with_three_dependencies_and_runs(built: Path, tmp_path: Path, kind: str) -> None:
    [package] = built.glob(f"pixmill-{kind}")

    binary, environment = installed(str(package), sys.executable, tmp_path / "venv")
    run = subprocess.run([binary / "pixmill", "--version"], env=environment, capture_output=True, text=True, check=True)
    serve = subprocess.run([binary / "pixmill", "serve"], env=environment, capture_output=True, text=True, check=False)

    assert run.stdout.startswith("pixmill 0.")
    assert (serve.returncode, "pixmill[serve]" in serve.stderr) == (1, True), serve.stderr
    packages = tmp_path / "venv/lib"
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size < LARGEST_MEGABYTES * 10**6


@pytest.mark.thorough
@pytest.mark.parametrize("version", ["this", *OTHER_PYTHONS])
def test_the_wheel_sends_and_fetches_a_file(built: Path, tmp_path: Path, stack: Stack, version: str) -> None:
    python = sys.executable if version == "this" else python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    [wheel] = built.glob("pixmill-*.whl")
    content = os.urandom(1000)
    (tmp_path / "there.bin").write_bytes(content)
    binary, environment = installed(str(wheel), python, tmp_path / "venv")

    def pixmill(*words: str) -> str:
        command = [str(binary / "pixmill"), *words, "--url", stack.url]
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    file_id = pixmill("put", "there.bin", "-q")
    pixmill("get", file_id, "-o", "back.bin")

    assert (tmp_path / "back.bin").read_bytes() == content


@pytest.mark.thorough
def test_the_extra_installs_the_server_from_the_packages_of_a_release(built: Path, tmp_path: Path) -> None:
    binary, environment = installed("pixmill[serve]", sys.executable, tmp_path / "venv", "--find-links", str(built))
    serve = [str(binary / "pixmill"), "serve", "--project", str(tmp_path / "nowhere"), "--data", str(tmp_path / "data")]

    run = subprocess.run(serve, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "pixmill[serve]" not in run.stderr, run.stderr
    program = "import pixmill.embedded, file_storage, image_processor, service_kit; print(file_storage.__path__[0])"
    run = subprocess.run(
        [binary / "python", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(run.stdout.strip()).is_relative_to(tmp_path / "venv")


@pytest.mark.thorough
def test_the_source_package_has_the_marker_of_types(built: Path) -> None:
    [package] = built.glob("pixmill-*.tar.gz")

    with tarfile.open(package) as archive:
        names = archive.getnames()

    assert any(name.endswith("src/pixmill/py.typed") for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_has_the_modules_and_the_data_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.chdir(PROJECT / package)

    name = build_wheel(str(tmp_path))

    sources = PROJECT / package / "src"
    expected = {
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(expected) > 10
    assert expected - set(ZipFile(tmp_path / name).namelist()) == set()


def test_a_release_has_all_the_packages_that_the_extra_needs() -> None:
    workflow = (PROJECT / ".github/workflows/release.yml").read_text()
    projects = [tomllib.loads((PROJECT / package / "pyproject.toml").read_text())["project"] for package in PACKAGES]
    needed = {name for name in projects[-1]["optional-dependencies"]["serve"] if name.startswith("pixmill-")}

    names = [project["name"] for project in projects]
    assert names == ["pixmill-service-kit", "pixmill-file-storage", "pixmill-image-processor", "pixmill"]
    assert {project["version"] for project in projects} == {projects[-1]["version"]}
    assert needed == {f"{name}=={projects[-1]['version']}" for name in names[:-1]}
    assert f"for package in {' '.join(PACKAGES)}; do python -m build" in workflow


def test_the_example_plugin_needs_a_package_of_the_release() -> None:
    plugin = tomllib.loads((PROJECT / "docs/example-plugin/pyproject.toml").read_text())["project"]
    service = tomllib.loads((PROJECT / "image-processor/pyproject.toml").read_text())["project"]

    assert plugin["dependencies"] == [service["name"]]
