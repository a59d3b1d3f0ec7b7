"""Client generators accept our OpenAPI documents without an error or a warning."""

import subprocess
from pathlib import Path

import pytest

from tests.support.client import FILES, TASKS, http
from tests.support.locked_environments import make_environment
from tests.support.processes import find_program, skip_where_missing
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

SERVICES = pytest.mark.parametrize("place", [FILES, TASKS])
CONFIG = Path(__file__).parent / "clients/openapi_python_client.yml"
NPM_PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3")


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Python generators, which need other package versions than the tests."""
    return make_environment(tmp_path_factory.mktemp("generators"), "generators.txt")


@pytest.fixture
def document(full: FullStack, place: str, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(http.get(f"{full.url}{place}/openapi.json").raise_for_status().content)
    return path


def output_of(*command: str | Path, folder: Path) -> str:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout + run.stderr


@SERVICES
def test_openapi_python_client(generators: Path, document: Path, place: str, tmp_path: Path) -> None:
    wanted = ["--path", document, "--config", CONFIG, "--meta", "none", "--output-path", tmp_path / "made"]

    said = output_of(generators / "openapi-python-client", "generate", *map(str, wanted), folder=tmp_path)

    assert "WARNING" not in said
    modules = [path.relative_to(tmp_path) for path in (tmp_path / "made/api").rglob("*.py")]
    imports = "; ".join(f"import {'.'.join(path.with_suffix('').parts)}" for path in modules)
    assert len(modules) > 20
    output_of(generators / "python", "-c", imports, folder=tmp_path)


@SERVICES
def test_datamodel_code_generator(generators: Path, document: Path, place: str, tmp_path: Path) -> None:
    wanted = ["--input", document, "--output", "models.py", "--output-model-type", "pydantic_v2.BaseModel"]

    output_of(generators / "datamodel-codegen", *map(str, wanted), folder=tmp_path)

    count = "import models; print(sum(name[0].isupper() for name in vars(models)))"
    assert int(output_of(generators / "python", "-W", "ignore", "-c", count, folder=tmp_path)) > 20


@SERVICES
def test_openapi_typescript(document: Path, place: str, tmp_path: Path) -> None:
    with skip_where_missing():
        npm = find_program("npm")
    output_of(
        npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", *NPM_PACKAGES, folder=tmp_path
    )
    programs = tmp_path / "node_modules/.bin"

    output_of(programs / "openapi-typescript", document, "--output", "made.d.ts", folder=tmp_path)

    output_of(programs / "tsc", "--noEmit", "--strict", "made.d.ts", folder=tmp_path)
    assert "export interface paths" in (tmp_path / "made.d.ts").read_text("utf-8")
