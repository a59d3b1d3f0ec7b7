"""Blobs in S3: the full stack with a local S3 server; nginx or a redirect sends the bytes."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import numpy
import obstore
import pytest
from obstore.store import S3Store

from tests.support.client import FILES, Served, assert_problem, ended_task, http, processed_bytes
from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.folders import temporary_folder
from tests.support.images import opened, photo
from tests.support.processes import Process, accepts, children_of, free_port, frozen, memory_of, processes_of
from tests.support.stacks import FullStack, start

BUCKET = "files"


class S3:
    """moto's server, the only one in the package registries that answers ranges like S3."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        command = [str(SCRIPTS / "moto_server"), "-H", "127.0.0.1", "-p", str(self._port)]
        self.process = Process("s3", command, ENVIRONMENT, folder / "s3.log")
        self.make_bucket()
        self.environment = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "WORKER_SANDBOX_PORTS": f"[{self._port}]",
        }

    def make_bucket(self) -> None:
        """Create the bucket as soon as the server answers."""
        self.process.wait_until(accepts(self._port))
        http.put(f"{self.url}/{BUCKET}").raise_for_status()

    def names(self) -> str:
        """Return the list of the bucket's objects as XML."""
        return http.get(f"{self.url}/{BUCKET}").text


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"))
    yield server
    server.process.stop()


@pytest.fixture(scope="module", params=["nginx", pytest.param("redirect", marks=pytest.mark.thorough)])
def s3_stack(request: pytest.FixtureRequest, s3: S3) -> Iterator[FullStack]:
    started = start_on(s3, request.param, temporary_folder(request.param))
    yield started
    started.stop()


def start_on(s3: S3, sender: str, folder: Path) -> FullStack:
    """Start a full stack with its blobs in S3; ``sender`` is nginx or redirect."""
    settings = {
        "FILE_STORAGE_STORAGE__URL": f"s3://{BUCKET}/{sender}",
        "FILE_STORAGE_DOWNLOAD__REDIRECT": str(sender == "redirect").lower(),
        # Make deletions reach the bucket at once.
        "FILE_STORAGE_TRASH__SECONDS": "0",
    }
    started = start("full", folder, settings | s3.environment)
    assert isinstance(started, FullStack)
    return started


@pytest.fixture
def client(s3_stack: FullStack) -> Iterator[Served]:
    with Served(s3_stack.url) as client:
        client.http.follow_redirects = True
        yield client


def test_a_file_is_stored_in_the_bucket_and_downloaded(client: Served, s3: S3) -> None:
    content = numpy.random.default_rng(1).bytes(12_000_000)

    file = client.files.upload(content, name="данные.bin")

    assert str(file.sha256) in s3.names()
    tag = f'"{file.sha256}"'
    for condition in ({}, {"If-Match": tag}):
        assert client.http.get(f"{FILES}/{file.id}/download", headers=condition).content == content
    for condition in ({}, {"If-Match": tag}, {"If-Range": tag}):
        part = client.http.get(f"{FILES}/{file.id}/download", headers={"Range": "bytes=5-9"} | condition)
        assert (part.status_code, part.content) == (206, content[5:10])
    parts = client.http.get(f"{FILES}/{file.id}/download", headers={"Range": "bytes=0-1,8-9"})
    assert (parts.status_code, content[8:10] in parts.content) == (206, True)
    archive = client.http.get(f"{FILES}/archive", params={"id": str(file.id)})
    assert len(archive.content) > len(content)


def test_several_large_ranges_get_the_whole_file(client: Served) -> None:
    file = client.files.upload(bytes(70_000_000), name="much.bin")
    ranges = {"Range": "bytes=0-34999999,35000001-69999999"}

    with client.http.stream("GET", f"{FILES}/{file.id}/download", headers=ranges) as response:
        assert (response.status_code, response.headers["Content-Length"]) == (200, "70000000")


def test_a_download_has_our_headers_and_not_those_of_s3(client: Served, s3_stack: FullStack) -> None:
    file = client.files.upload(photo(20, 10), name="a.png")

    response = client.http.get(f"{FILES}/{file.id}/download")

    if response.history:
        assert "X-Amz-Signature" in str(response.url)
        assert not {"content-digest", "repr-digest", "etag", "content-type"} & set(response.history[0].headers)
    else:
        assert response.headers["ETag"] == f'"{file.sha256}"'
        assert response.headers["Last-Modified"] == file.document["created_at"]
        digest = f"sha-256=:{b64encode(bytes.fromhex(str(file.sha256))).decode()}:"
        assert response.headers["Repr-Digest"] == response.headers["Content-Digest"] == digest
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers.get_list("Cache-Control") == ["no-cache"]
        assert response.headers["Content-Disposition"] == 'attachment; filename="a.png"'
    not_modified = client.http.get(f"{FILES}/{file.id}/download", headers={"If-None-Match": f'"{file.sha256}"'})
    assert not_modified.status_code == 304


def test_clients_cannot_send_x_unconditional(client: Served) -> None:
    place = f"{FILES}/{client.files.upload(b'bytes', name='a.bin').id}/download"

    sent, said = client.http.get(place), client.http.get(place, headers={"X-Unconditional": "1"})

    assert len(said.history) == len(sent.history)


def test_every_kind_of_upload_is_stored_in_the_bucket(client: Served, s3: S3) -> None:
    raw = client.http.put(f"{FILES}/raw.bin", content=b"raw bytes").json()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Content-Type": "application/offset+octet-stream"}
    resumed = client.http.post(f"{FILES}/uploads/", content=b"tus bytes", headers=tus)

    assert raw["sha256"] in s3.names()
    assert client.files.read(int(resumed.headers["Pixmill-File-Id"])) == b"tus bytes"


def test_deleting_the_last_file_deletes_the_object(client: Served, s3: S3) -> None:
    first, second = (client.files.upload(b"shared by two", name=name).id for name in ("a", "b"))
    sha256 = client.http.get(f"{FILES}/{first}").json()["sha256"]

    client.http.delete(f"{FILES}/{first}")
    assert client.files.read(second) == b"shared by two"
    client.http.delete(f"{FILES}/{second}")

    assert sha256 not in s3.names()


def test_images_are_processed(client: Served) -> None:
    result = processed_bytes(client, photo(80, 60), "p.png", "resize", {"width": 40})

    assert opened(result).size == (40, 30)


@pytest.mark.thorough
def test_fsck_and_gc_work_on_the_bucket(client: Served, s3_stack: FullStack, s3: S3) -> None:
    client.files.upload(b"kept", name="kept.bin")

    for command in ("fsck", "gc"):
        run = s3_stack.maintain(command)
        assert run.returncode == 0, run.stderr

    assert client.http.get(f"{FILES}/?name=kept.bin").json()[0]["sha256"] in s3.names()


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_file(client: Served, s3_stack: FullStack, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    piece = os.urandom(1_000_000)
    with path.open("wb") as file:
        for number in range(120):
            file.write(piece + bytes([number]))
    client.files.upload(path.read_bytes()[:40_000_000], name="warm.bin")
    workers = [number for number, command in processes_of(s3_stack.folder).items() if "file-storage/wsgi" in command]
    before = {number: memory_of(number) for number in workers}

    with path.open("rb") as file:
        assert client.http.put(f"{FILES}/large.bin", content=file).status_code == 201

    assert all(memory_of(number) - before[number] < 60_000_000 for number in workers)


@pytest.mark.thorough
def test_an_unavailable_store_is_reported_and_tasks_wait_for_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    s3 = S3(tmp_path_factory.mktemp("s3-away"))
    stack = start_on(s3, "nginx", temporary_folder("s3-away"))
    try:
        with Served(stack.url) as client:
            gone, source = (
                client.files.upload(b"deleted while S3 is away", name="gone.bin"),
                client.files.upload(photo(80, 60), name="p.png"),
            )
            place = f"{FILES}/{gone.id}"
            s3.process.kill()

            ready = client.http.get(f"{FILES}/readyz")
            refused = [
                client.http.put(f"{FILES}/new.bin", content=b"new"),
                client.http.get(f"{place}/download"),
                client.http.get(f"{place}/download", headers={"Range": "bytes=0-1,4-5"}),
            ]
            deleted = client.http.delete(place)
            fsck = stack.maintain("fsck")
            [task_id] = client.run([source.id], "flip").task_ids

            assert (ready.status_code, ready.json()["dependencies"]["blob_store"]) == (503, "unavailable")
            for response in refused:
                assert_problem(response, 503, "try again")
                assert "Retry-After" in response.headers
            assert deleted.status_code == 204
            assert fsck.returncode == 2
            assert [json.loads(line)["event"] for line in fsck.stderr.splitlines()] == ["storage unavailable"]

            # moto loses its data: stop the worker until the source's bytes are uploaded again.
            worker = stack.worker.popen.pid
            with frozen([worker, *children_of(worker)]):
                s3.process.start()
                s3.make_bucket()
                client.files.upload(photo(80, 60), name="p.png")
            assert ended_task(client, task_id).status == "finished"
            assert "Traceback" not in (stack.folder / "file-storage.log").read_text()
    finally:
        stack.stop()
        s3.process.stop()


def test_an_object_missing_in_s3_is_reported_as_lost_bytes(client: Served, s3_stack: FullStack, s3: S3) -> None:
    file = client.files.upload(b"lost in S3", name="lost.bin")
    store = S3Store.from_url(
        s3_stack.environment["FILE_STORAGE_STORAGE__URL"],
        access_key_id="key",
        secret_access_key="secret",
        region="us-east-1",
        endpoint=s3.url,
        client_options={"allow_http": True},
    )
    [name] = [each["path"] for each in obstore.list(store).collect() if each["path"].endswith(str(file.sha256))]
    obstore.delete(store, name)

    response = client.http.get(f"{FILES}/{file.id}/download")

    assert response.status_code == 404
    if not response.history:
        assert_problem(response, 404, "are lost")
        assert not [name for name in response.headers if name.startswith("x-amz")]
