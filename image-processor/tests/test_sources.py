"""Sources: the next task's is on its way while the present one is in work, and none is taken for another's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from image_processor.config import LimitSettings
from image_processor.services.claims import Claim
from image_processor.services.file_storage import FileStorage, SourceError
from image_processor.services.sources import Sources

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
def sources(server: FileServer) -> Iterator[Sources]:
    with httpx.Client(base_url=server.url) as http:
        yield Sources(FileStorage(http), None, LIMITS)


def task_on(source_id: int) -> Claim:
    return Claim(
        task_id=source_id,
        attempt=1,
        source_id=source_id,
        source_name="p",
        source_extension=".jpg",
        source_sha256=None,
        priority=0,
        algorithm="flip",
        params=None,
        cache=False,
        result_key=f"key-{source_id}",
        suspect=False,
    )


def test_what_was_fetched_ahead_is_not_fetched_again(sources: Sources, server: FileServer, tmp_path: Path) -> None:
    sources.fetch_ahead(task_on(1), tmp_path / "following")

    sources.fetch(task_on(1), tmp_path / "source")

    assert (tmp_path / "source").read_bytes() == b"1"
    assert server.asked == ["/1/download"]
    assert not (tmp_path / "following").exists()


def test_a_task_that_was_not_expected_gets_its_own_source(sources: Sources, tmp_path: Path) -> None:
    sources.fetch_ahead(task_on(1), tmp_path / "following")

    sources.fetch(task_on(2), tmp_path / "source")

    assert (tmp_path / "source").read_bytes() == b"2"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_why_a_source_could_not_be_fetched_ahead_is_told_to_the_task_that_wants_it(
    sources: Sources, tmp_path: Path
) -> None:
    sources.fetch_ahead(task_on(10), tmp_path / "following")

    with pytest.raises(SourceError, match="File 10 does not exist any more"):
        sources.fetch(task_on(10), tmp_path / "source")
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_wanted_leaves_nothing(sources: Sources, tmp_path: Path) -> None:
    sources.fetch_ahead(task_on(1), tmp_path / "following")

    sources.settle()

    assert list(tmp_path.iterdir()) == []


def test_the_files_of_a_task_are_limited_together(sources: Sources, tmp_path: Path) -> None:
    source = tmp_path / "source"
    sources.fetch(task_on(8), source)

    with pytest.raises(SourceError, match="80 bytes; 70 are possible"):
        sources.fetch_files({8: tmp_path / "file-8"}, beside=source)
