"""Sources: the next task's source is prefetched, and no task gets another's."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx2
import pytest
from image_processor.config import LimitSettings
from image_processor.services.files.blob_folder import BlobFolder
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, SourceError
from image_processor.services.files.sources import Sources, TaskSource

from tests.support.web_server import WebServer

LIMITS = LimitSettings(
    max_file_bytes=100,
    max_task_bytes=150,
    max_pixels=1,
    max_decoded_bytes=1,
    max_frames=1,
    max_seconds=1,
    max_memory_bytes=2**30,
    max_written_bytes=2**30,
)


class FileServer(WebServer):
    """Serves the files 1 to 9, whose bytes are their ids."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Download)
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Download(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        file_id = int(self.path.split("/")[1])
        body = b"%d" % file_id * (80 if file_id == 8 else 1)
        self.send_response(200 if file_id < 10 else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as started:
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.02}).start()
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
def local_sources(storage: FileStorage, tmp_path: Path) -> Sources:
    """Return sources on a machine with access to the folder of blobs; it contains file 1."""
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


def source_of(file_id: int, content: bytes | None = None) -> TaskSource:
    return TaskSource("local", file_id, None if content is None else hashlib.sha256(content).hexdigest())


def test_a_prefetched_source_is_not_fetched_again(sources: Sources, server: FileServer, scratch: Path) -> None:
    sources.prefetch(source_of(1), scratch)

    with sources.opened(source_of(1), scratch) as source:
        assert source.read_bytes() == b"1"
    assert server.requests == ["/1/download"]
    assert list(scratch.iterdir()) == []


def test_an_unexpected_task_gets_its_own_source(sources: Sources, scratch: Path) -> None:
    sources.prefetch(source_of(1), scratch)

    with sources.opened(source_of(2), scratch) as source:
        assert source.read_bytes() == b"2"
        assert list(scratch.iterdir()) == [source]


def test_the_task_gets_the_error_of_its_prefetch(sources: Sources, scratch: Path) -> None:
    sources.prefetch(source_of(10), scratch)

    with (
        pytest.raises(SourceError, match="File 10 no longer exists"),
        sources.opened(source_of(10), scratch),
    ):
        pytest.fail("the source does not exist")
    assert list(scratch.iterdir()) == []


def test_a_cancelled_prefetch_leaves_no_file(sources: Sources, scratch: Path) -> None:
    sources.prefetch(source_of(1), scratch)

    sources.cancel_prefetch()

    assert list(scratch.iterdir()) == []


def test_the_size_limit_is_for_all_files_of_a_task(sources: Sources, scratch: Path) -> None:
    with (
        sources.opened(source_of(8), scratch) as source,
        pytest.raises(SourceError, match="80 bytes; the limit is 70"),
    ):
        sources.fetch_files("local", {8: scratch / "file-8"}, source=source)


def test_a_local_source_is_not_fetched(local_sources: Sources, server: FileServer, scratch: Path) -> None:
    local_sources.prefetch(source_of(1, b"1"), scratch)

    with local_sources.opened(source_of(1, b"1"), scratch) as source:
        assert source.read_bytes() == b"1"
    assert server.requests == []
    assert list(scratch.iterdir()) == []


def test_a_source_that_is_not_local_is_fetched(local_sources: Sources, server: FileServer, scratch: Path) -> None:
    with local_sources.opened(source_of(2, b"2"), scratch) as source:
        assert source.read_bytes() == b"2"
    assert server.requests == ["/2/download"]


def test_a_local_source_stays_readable_after_its_file_was_deleted(
    local_sources: Sources, scratch: Path, tmp_path: Path
) -> None:
    blob = put_blob(tmp_path, b"some bytes")

    with local_sources.opened(source_of(3, b"some bytes"), scratch) as source:
        blob.unlink()
        assert [source.read_bytes(), source.read_bytes()] == [b"some bytes"] * 2


def test_the_size_of_a_local_source_is_limited_too(local_sources: Sources, scratch: Path, tmp_path: Path) -> None:
    put_blob(tmp_path, b"x" * 101)

    with (
        pytest.raises(SourceError, match="101 bytes; the limit is 100"),
        local_sources.opened(source_of(4, b"x" * 101), scratch),
    ):
        pytest.fail("it is too large")


def test_an_answer_to_a_lookup_that_breaks_off_is_an_outage() -> None:
    half = httpx2.MockTransport(lambda _request: httpx2.Response(200, text='{"files": [{"id": 1,'))
    files = FileStorage(httpx2.Client(transport=half, base_url="http://files"))

    with pytest.raises(FileStorageUnavailableError, match="breaks off"):
        files.find([1])
