"""Workers read sources from the shared folder, or fetch them from nginx by SHA-256."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import pytest
from image_processor.services.files.blob_http import BlobClient
from image_processor.services.files.client import SourceError

from tests.support.client import Served, ended_task, http
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.stacks import FullStack, start


@pytest.fixture
def blobs(full: FullStack) -> BlobClient:
    return BlobClient(full.environment["WORKER_FILE_STORAGE__BLOBS_URL"], timeout_seconds=5)


def upload(full: FullStack, content: bytes) -> str:
    with Served(full.url) as pixmill:
        return str(pixmill.files.upload(content, name="source.bin").sha256)


def test_a_worker_gets_a_blob_by_its_sha256(full: FullStack, blobs: BlobClient, tmp_path: Path) -> None:
    content = os.urandom(600_000)

    assert blobs.fetch(upload(full, content), tmp_path / "source", len(content))
    assert (tmp_path / "source").read_bytes() == content


def test_a_missing_blob_is_reported(blobs: BlobClient, tmp_path: Path) -> None:
    assert not blobs.fetch(hashlib.sha256(uuid4().bytes).hexdigest(), tmp_path / "source", 100)


def test_a_blob_that_is_too_large_is_not_fetched(full: FullStack, blobs: BlobClient, tmp_path: Path) -> None:
    sha256 = upload(full, uuid4().bytes * 10)

    with pytest.raises(SourceError, match="160 bytes; the limit is 100"):
        blobs.fetch(sha256, tmp_path / "source", 100)


def test_the_published_port_has_no_blobs(full: FullStack) -> None:
    sha256 = upload(full, uuid4().bytes)

    for path in (f"/blobs-by-sha256/{sha256}", f"/blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"):
        assert http.get(f"{full.url}{path}").status_code == 404


def requests_of_sources(stack: FullStack) -> list[str]:
    return stack.requests("/blobs-by-sha256/") + stack.requests("/download")


def test_a_worker_with_the_shared_folder_downloads_nothing(full: FullStack) -> None:
    before = requests_of_sources(full)

    with Served(full.url) as pixmill:
        [task_id] = pixmill.run([pixmill.files.upload(photo(83, 61), name="a.png").id], "flip").task_ids
        assert ended_task(pixmill, task_id).status == "finished"

    assert requests_of_sources(full) == before


@pytest.mark.thorough
def test_a_worker_on_another_machine_gets_its_sources_from_nginx() -> None:
    stack = start("full", temporary_folder("remote"), {"WORKER_FILE_STORAGE__BLOBS_FOLDER": ""})
    assert isinstance(stack, FullStack)
    try:
        with Served(stack.url) as pixmill:
            sources = [pixmill.files.upload(photo(80, 60 + n), name=f"{n}.png") for n in range(20)]
            ended = [
                ended_task(pixmill, task_id)
                for task_id in pixmill.run([source.id for source in sources], "flip").task_ids
            ]
        asked = requests_of_sources(stack)
    finally:
        stack.stop()

    assert {task.status for task in ended} == {"finished"}
    assert all(any(str(source.sha256) in line for line in asked) for source in sources)
