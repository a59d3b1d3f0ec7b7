"""Blobs in S3: the full stack on a real S3 server process, its bytes sent by nginx or by a redirect."""

import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy
import pytest

from tests.client import FILES, Pixmill
from tests.conftest import start, temporary_folder
from tests.images import opened, photo
from tests.processes import Process, accepts, free_port, memory_of, processes_of
from tests.stacks import ENVIRONMENT, SCRIPTS, FullStack

BUCKET = "files"


class S3:
    """moto's server: of those that the package registries offer the only one that answers ranges as S3 does."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process(
            "s3", [str(SCRIPTS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], ENVIRONMENT, folder / "s3.log"
        )
        self.process.wait_until(accepts(port))
        httpx2.put(f"{self.url}/{BUCKET}", trust_env=False).raise_for_status()
        self.environment = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def names(self) -> str:
        """The listing of the bucket, as XML."""
        return httpx2.get(f"{self.url}/{BUCKET}", trust_env=False).text


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"))
    yield server
    server.process.stop()


@pytest.fixture(scope="module", params=["nginx", "redirect"])
def s3_stack(request: pytest.FixtureRequest, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    download = {"nginx": ("X-Accel-Redirect", "/s3/"), "redirect": ("Location", "")}[request.param]
    settings = {
        "FILE_STORAGE_STORAGE__URL": f"s3://{BUCKET}/{request.param}",
        "FILE_STORAGE_DOWNLOAD__HEADER": download[0],
        "FILE_STORAGE_DOWNLOAD__ROOT": download[1],
        "FILE_STORAGE_DOWNLOAD__ALL_RANGES": "false",
    }
    started = start("full", temporary_folder(tmp_path_factory, request.param), settings | s3.environment)
    assert isinstance(started, FullStack)
    yield started
    started.stop()


@pytest.fixture
def client(s3_stack: FullStack) -> Iterator[Pixmill]:
    with Pixmill(s3_stack.url) as client:
        client.http.follow_redirects = True
        yield client


def test_a_file_lies_in_the_bucket_and_comes_back(client: Pixmill, s3: S3) -> None:
    content = numpy.random.default_rng(1).bytes(12_000_000)

    file = client.upload("данные.bin", content)

    assert str(file["sha256"]) in s3.names()
    whole = client.http.get(f"{FILES}/{file['id']}/download")
    assert whole.content == content
    tag = f'"{file["sha256"]}"'
    for condition in ({}, {"If-Match": tag}, {"If-Range": tag}):
        part = client.http.get(f"{FILES}/{file['id']}/download", headers={"Range": "bytes=5-9"} | condition)
        assert (part.status_code, part.content) == (206, content[5:10])
    parts = client.http.get(f"{FILES}/{file['id']}/download", headers={"Range": "bytes=0-1,8-9"})
    assert (parts.status_code, content[8:10] in parts.content) == (206, True)
    archive = client.http.get(f"{FILES}/archive", params={"id": str(file["id"])})
    assert len(archive.content) > len(content)


def test_nginx_sends_the_file_as_ours(client: Pixmill, s3_stack: FullStack) -> None:
    file = client.upload("a.png", photo(20, 10))

    response = client.http.get(f"{FILES}/{file['id']}/download")

    if response.history:
        assert "X-Amz-Signature" in str(response.url)
    else:
        assert response.headers["ETag"] == f'"{file["sha256"]}"'
        assert response.headers["Last-Modified"] == file["created_at"]
        digest = f"sha-256=:{b64encode(bytes.fromhex(str(file['sha256']))).decode()}:"
        assert response.headers["Repr-Digest"] == response.headers["Content-Digest"] == digest
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers.get_list("Cache-Control") == ["no-cache"]
        assert response.headers["Content-Disposition"] == 'attachment; filename="a.png"'
    not_modified = client.http.get(f"{FILES}/{file['id']}/download", headers={"If-None-Match": f'"{file["sha256"]}"'})
    assert not_modified.status_code == 304


def test_every_way_in_leads_to_the_bucket(client: Pixmill, s3: S3) -> None:
    raw = client.http.put(f"{FILES}/raw.bin", content=b"raw bytes").json()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Content-Type": "application/offset+octet-stream"}
    resumed = client.http.post(f"{FILES}/uploads/", content=b"tus bytes", headers=tus)

    assert raw["sha256"] in s3.names()
    assert client.download(resumed.headers["Pixmill-File-Id"]) == b"tus bytes"


def test_the_last_file_takes_the_bytes_with_it(client: Pixmill, s3: S3) -> None:
    first, second = (client.upload(name, b"shared by two")["id"] for name in ("a", "b"))
    sha256 = client.http.get(f"{FILES}/{first}").json()["sha256"]

    client.http.delete(f"{FILES}/{first}")
    assert client.download(second) == b"shared by two"
    client.http.delete(f"{FILES}/{second}")

    assert sha256 not in s3.names()


def test_images_are_processed(client: Pixmill) -> None:
    result = client.process(photo(80, 60), "p.png", "resize", {"width": 40})

    assert opened(result).size == (40, 30)


def test_fsck_and_gc_work_on_the_bucket(client: Pixmill, s3_stack: FullStack, s3: S3) -> None:
    client.upload("kept.bin", b"kept")

    for module in ("fsck", "gc"):
        command = [str(SCRIPTS / "python"), "-m", f"file_storage.{module}", "--older-than", "0"]
        run = subprocess.run(command, env=s3_stack.environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr

    assert client.http.get(f"{FILES}/?name=kept.bin").json()[0]["sha256"] in s3.names()


def test_memory_does_not_grow_with_the_file(client: Pixmill, s3_stack: FullStack, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        for piece in range(200):
            file.write(os.urandom(1_000_000) + bytes([piece]))
    client.upload("warm.bin", path.read_bytes()[:60_000_000])
    workers = [number for number, command in processes_of(s3_stack.folder).items() if "file-storage/wsgi" in command]
    before = {number: memory_of(number) for number in workers}

    with path.open("rb") as file:
        assert client.http.put(f"{FILES}/large.bin", content=file).status_code == 201

    assert all(memory_of(number) - before[number] < 60_000_000 for number in workers)
