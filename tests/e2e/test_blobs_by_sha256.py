"""Sources as nginx sends them to workers: by the SHA-256 of their bytes, and to nobody else."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from image_processor.services.blobs import BlobClient
from image_processor.services.file_storage import SourceError

from tests.client import Pixmill
from tests.stacks import FullStack


@pytest.fixture
def blobs(full: FullStack) -> BlobClient:
    return BlobClient(full.environment["WORKER_FILE_STORAGE__BLOBS_URL"], timeout_seconds=5)


def upload(full: FullStack, content: bytes) -> str:
    with Pixmill(full.url) as pixmill:
        return str(pixmill.upload("source.bin", content)["sha256"])


def test_a_worker_gets_a_blob_by_its_sha256(full: FullStack, blobs: BlobClient, tmp_path: Path) -> None:
    content = os.urandom(600_000)

    assert blobs.fetch(upload(full, content), tmp_path / "source", len(content))
    assert (tmp_path / "source").read_bytes() == content


def test_what_nginx_does_not_have_is_told(blobs: BlobClient, tmp_path: Path) -> None:
    assert not blobs.fetch(hashlib.sha256(uuid4().bytes).hexdigest(), tmp_path / "source", 100)


def test_a_blob_that_is_too_large_is_not_fetched(full: FullStack, blobs: BlobClient, tmp_path: Path) -> None:
    sha256 = upload(full, uuid4().bytes * 10)

    with pytest.raises(SourceError, match="160 bytes; 100 are possible"):
        blobs.fetch(sha256, tmp_path / "source", 100)


def test_the_published_port_knows_no_such_address(full: FullStack) -> None:
    sha256 = upload(full, uuid4().bytes)

    for path in (f"/blobs-by-sha256/{sha256}", f"/blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"):
        assert httpx.get(f"{full.url}{path}", trust_env=False).status_code == 404
