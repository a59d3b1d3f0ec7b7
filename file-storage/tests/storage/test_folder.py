"""Staging and the folder store: published blobs are durable, unpublished ones leave no files."""

import hashlib
import os
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from file_storage.storage import StagedBlob, Staging, StorageFullError
from file_storage.storage.folder import FolderBlobStore
from sqlalchemy import create_engine

DAY = 24 * 3600


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging", reserve_bytes=0)


def publish(store: FolderBlobStore, staged: StagedBlob) -> None:
    with create_engine("sqlite://").connect() as connection:
        store.publish(connection, [store.prepare(staged)])


def files_of(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_published_blob_is_stored_under_its_hash(tmp_path: Path, staging: Staging) -> None:
    store = FolderBlobStore(tmp_path / "blobs")

    with staging.stage() as staged:
        staged.write(b"one")
        staged.write(b"two")
        staged.seal()
        publish(store, staged)

    assert staged.sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert store.open(staged.sha256).read() == b"onetwo"
    assert files_of(tmp_path) == [staged.sha256]


def test_bytes_are_durable_before_the_rename_and_the_name_after_it(tmp_path: Path, staging: Staging) -> None:
    store = FolderBlobStore(tmp_path / "blobs")
    steps, fsync, replace = [], os.fsync, os.replace

    def sync(descriptor: int) -> None:
        steps.append(f"sync {os.readlink(f'/proc/self/fd/{descriptor}')}")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        steps.append(f"rename to {target}")
        replace(source, target)

    with staging.stage() as staged:
        staged.write(b"content")
        written = staged.path
        with patch("os.fsync", sync), patch("os.replace", rename):
            staged.seal()
            publish(store, staged)

    blob = tmp_path / "blobs" / store.location(staged.sha256, staged.size)
    folders = [blob.parent.parent.parent, blob.parent.parent]
    assert steps == [
        f"sync {written}",
        *(f"sync {folder}" for folder in folders),
        f"rename to {blob}",
        f"sync {blob.parent}",
    ]


def test_an_unpublished_blob_leaves_no_file(tmp_path: Path, staging: Staging) -> None:
    with pytest.raises(ConnectionError), staging.stage() as staged:
        staged.write(b"half")
        raise ConnectionError

    assert files_of(tmp_path) == []


def test_an_adopted_file_becomes_a_blob_without_copying(tmp_path: Path, staging: Staging) -> None:
    store = FolderBlobStore(tmp_path / "blobs")
    received = tmp_path / "received"
    received.write_bytes(b"content")

    with received.open("rb") as content, staging.adopt(received, content) as staged:
        staged.seal()
        publish(store, staged)

    assert staged.sha256 == hashlib.sha256(b"content").hexdigest()
    assert (tmp_path / "blobs" / store.location(staged.sha256, staged.size)).stat().st_ino == received.stat().st_ino


def test_an_upload_leaves_the_reserve_free(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    staging = Staging(tmp_path / "staging", reserve_bytes=free * 2)

    with pytest.raises(StorageFullError), staging.stage() as staged:
        staged.write(b"x")

    assert files_of(tmp_path) == []


def test_only_abandoned_staging_files_are_removed(tmp_path: Path, staging: Staging) -> None:
    abandoned, recent = tmp_path / "staging/abandoned", tmp_path / "staging/recent"
    for path in (abandoned, recent):
        path.write_bytes(b"x")
    long_ago = time.time() - DAY - 1
    os.utime(abandoned, (long_ago, long_ago))

    swept = staging.sweep(DAY)

    assert (swept, files_of(tmp_path)) == (1, ["recent"])
