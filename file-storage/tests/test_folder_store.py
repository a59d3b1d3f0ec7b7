"""The folder store: what is published stays, what is not leaves nothing."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from file_storage.storage.folder import ABANDONED_AFTER, FolderBlobStore


def test_a_published_blob_lies_under_its_hash(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)

    with store.stage() as staged:
        staged.write(b"one")
        staged.write(b"two")
        sha256 = staged.seal()
        staged.publish()

    assert sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert (tmp_path / "blobs" / store.location(sha256)).read_bytes() == b"onetwo"
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)

    with pytest.raises(ConnectionError), store.stage() as staged:
        staged.write(b"half")
        raise ConnectionError

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_abandoned_staging_files_are_swept(tmp_path: Path) -> None:
    FolderBlobStore(tmp_path)
    old, fresh = tmp_path / "staging" / "old", tmp_path / "staging" / "fresh"
    old.touch()
    fresh.touch()
    long_ago = time.time() - ABANDONED_AFTER - 1
    os.utime(old, (long_ago, long_ago))

    FolderBlobStore(tmp_path)

    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["fresh"]
