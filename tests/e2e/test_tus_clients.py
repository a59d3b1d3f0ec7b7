"""Resumable uploads with tus-js-client and tuspy, on both stacks."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from tusclient.client import TusClient

from tests.support.client import FILES, Served
from tests.support.folders import temporary_folder
from tests.support.processes import find_program, kill_all, skip_where_missing
from tests.support.stacks import EmbeddedStack, FullStack, Stack, start

SCRIPT = Path(__file__).parent / "clients/tus.mjs"


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tus") / "big.bin"
    path.write_bytes(numpy.random.default_rng(3).bytes(9_000_000))
    return path


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("node")
    with skip_where_missing():
        npm = find_program("npm")
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "tus-js-client@4.3.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    yield folder / "node_modules"


@pytest.mark.parametrize("parallel", [1, 3])
def test_tus_js_client_uploads(
    stack: Stack, pixmill: Served, big_file: Path, node_modules: Path, parallel: int
) -> None:
    command = ["node", str(SCRIPT), str(node_modules), f"{stack.url}{FILES}/uploads/", str(big_file), str(parallel)]

    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    file = pixmill.http.get(f"{FILES}/{run.stdout.strip()}").json()
    assert file["name"] == "from tus-js-client"
    assert pixmill.files.read(file["id"]) == big_file.read_bytes()


def content_of(pixmill: Served, url: str | None) -> bytes:
    """Return the bytes of the file created by the upload at this URL."""
    upload = pixmill.http.head(str(url), headers={"Tus-Resumable": "1.0.0"})
    return pixmill.files.read(int(upload.headers["Pixmill-File-Id"]))


def test_tuspy_uploads(stack: Stack, pixmill: Served, big_file: Path) -> None:
    client = TusClient(f"{stack.url}{FILES}/uploads/")
    uploader = client.uploader(
        str(big_file), chunk_size=2_000_000, metadata={"filename": "from tuspy.bin"}, upload_checksum=True
    )

    uploader.upload()

    assert content_of(pixmill, uploader.url) == big_file.read_bytes()


@pytest.mark.thorough
def test_an_upload_continues_after_every_server_was_killed(big_file: Path) -> None:
    stack = start("full", temporary_folder("killed"))
    assert isinstance(stack, FullStack)
    servers = [stack.postgres, stack.rabbitmq, stack.file_storage, stack.image_processor, stack.worker, stack.nginx]
    try:
        uploader = TusClient(f"{stack.url}{FILES}/uploads/").uploader(str(big_file), chunk_size=2_000_000)
        uploader.upload(stop_at=4_000_000)

        for server in servers:
            server.kill()
        for server in servers:
            server.start()
        stack.await_ready()
        uploader.upload()

        with Served(stack.url) as pixmill:
            assert content_of(pixmill, uploader.url) == big_file.read_bytes()
    finally:
        stack.stop()


@pytest.mark.thorough
def test_an_upload_continues_after_make_run_was_killed_and_restarted(tmp_path: Path, big_file: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    client = TusClient(f"{stack.url}{FILES}/uploads/")
    uploader = client.uploader(str(big_file), chunk_size=2_000_000)
    uploader.upload(stop_at=4_000_000)
    kill_all(stack.data)
    stack.process.kill()
    again = EmbeddedStack(tmp_path)
    moved = str(uploader.url).replace(stack.url, again.url)

    TusClient(f"{again.url}{FILES}/uploads/").uploader(str(big_file), chunk_size=2_000_000, url=moved).upload()

    with Served(again.url) as pixmill:
        content = content_of(pixmill, moved)
    again.stop()
    assert content == big_file.read_bytes()
