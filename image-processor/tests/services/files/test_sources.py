"""Sources: the next task's is on its way while the present one is in work, and none is taken for another's."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from image_processor.config import LimitSettings
from image_processor.services.files.blob_folder import BlobFolder
from image_processor.services.files.client import FileStorage, SourceError
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.outcomes import Claim

LIMITS = LimitSettings(
    max_file_bytes=100, max_task_bytes=150, max_pixels=1, max_frames=1, max_seconds=1, max_memory_bytes=2**30
)


class FileServer(ThreadingHTTPServer):
    """Has the files 1 to 9, whose bytes are their ids."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Download)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Download(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        file_id = int(self.path.split("/")[1])
        body = b"%d" % file_id * (80 if file_id == 8 else 1)
        self.send_response(200 if file_id < 10 else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A test's output is not its log."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as started:
        threading.Thread(target=started.serve_forever).start()
        yield started
        started.shutdown()


@pytest.fixture
def storage(server: FileServer) -> Iterator[FileStorage]:
    with httpx2.Client(base_url=server.url) as http:
        yield FileStorage(http)


@pytest.fixture
def sources(storage: FileStorage) -> Sources:
    return Sources(storage, None, None, LIMITS)


@pytest.fixture
def beside_storage(storage: FileStorage, tmp_path: Path) -> Sources:
    """As on a machine that has the folder of blobs; the 1 is in it."""
    put_blob(tmp_path, b"1")
    return Sources(storage, BlobFolder(tmp_path / "blobs"), None, LIMITS)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def put_blob(tmp_path: Path, content: bytes) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    path = tmp_path / "blobs" / sha256[:2] / sha256[2:4] / sha256
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def task_on(source_id: int, content: bytes | None = None) -> Claim:
    return Claim(
        task_id=source_id,
        attempt=1,
        source_id=source_id,
        source_name="p",
        source_extension=".jpg",
        source_sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        priority=0,
        algorithm="flip",
        params=None,
        cache=False,
        result_key=f"key-{source_id}",
        suspect=False,
    )


def test_what_was_fetched_ahead_is_not_fetched_again(sources: Sources, server: FileServer, scratch: Path) -> None:
    sources.fetch_ahead(task_on(1), scratch)

    with sources.opened(task_on(1), scratch) as source:
        assert source.read_bytes() == b"1"
    assert server.asked == ["/1/download"]
    assert list(scratch.iterdir()) == []


def test_a_task_that_was_not_expected_gets_its_own_source(sources: Sources, scratch: Path) -> None:
    sources.fetch_ahead(task_on(1), scratch)

    with sources.opened(task_on(2), scratch) as source:
        assert source.read_bytes() == b"2"
        assert list(scratch.iterdir()) == [source]


def test_why_a_source_could_not_be_fetched_ahead_is_told_to_the_task_that_wants_it(
    sources: Sources, scratch: Path
) -> None:
    sources.fetch_ahead(task_on(10), scratch)

    with (
        pytest.raises(SourceError, match="File 10 does not exist any more"),
        sources.opened(task_on(10), scratch),
    ):
        pytest.fail("there is no such source")
    assert list(scratch.iterdir()) == []


def test_what_nobody_wanted_leaves_nothing(sources: Sources, scratch: Path) -> None:
    sources.fetch_ahead(task_on(1), scratch)

    sources.settle()

    assert list(scratch.iterdir()) == []


def test_the_files_of_a_task_are_limited_together(sources: Sources, scratch: Path) -> None:
    with (
        sources.opened(task_on(8), scratch) as source,
        pytest.raises(SourceError, match="80 bytes; 70 are possible"),
    ):
        sources.fetch_files({8: scratch / "file-8"}, beside=source)


def test_what_is_stored_on_this_machine_is_read_there(
    beside_storage: Sources, server: FileServer, scratch: Path
) -> None:
    beside_storage.fetch_ahead(task_on(1, b"1"), scratch)

    with beside_storage.opened(task_on(1, b"1"), scratch) as source:
        assert source.read_bytes() == b"1"
    assert server.asked == []
    assert list(scratch.iterdir()) == []


def test_what_is_stored_elsewhere_is_fetched(beside_storage: Sources, server: FileServer, scratch: Path) -> None:
    with beside_storage.opened(task_on(2, b"2"), scratch) as source:
        assert source.read_bytes() == b"2"
    assert server.asked == ["/2/download"]


def test_a_source_that_is_deleted_meanwhile_can_be_read_to_the_end(
    beside_storage: Sources, scratch: Path, tmp_path: Path
) -> None:
    blob = put_blob(tmp_path, b"last words")

    with beside_storage.opened(task_on(3, b"last words"), scratch) as source:
        blob.unlink()
        assert [source.read_bytes(), source.read_bytes()] == [b"last words"] * 2


def test_a_stored_source_is_limited_too(beside_storage: Sources, scratch: Path, tmp_path: Path) -> None:
    put_blob(tmp_path, b"x" * 101)

    with (
        pytest.raises(SourceError, match="101 bytes; 100 are possible"),
        beside_storage.opened(task_on(4, b"x" * 101), scratch),
    ):
        pytest.fail("it is too large")
