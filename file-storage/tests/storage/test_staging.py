"""Staging files are hashed and synced in the background, for chunks of any size."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from file_storage.storage import Staging, StorageFullError, staging
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.slow
@given(sizes=st.lists(st.integers(0, 200_000), max_size=20), sync_bytes=st.integers(1, 500_000))
def test_a_blob_has_its_pieces_in_their_order(sizes: list[int], sync_bytes: int) -> None:
    pieces = [bytes([number % 251]) * size for number, size in enumerate(sizes)]

    with (
        TemporaryDirectory() as folder,
        patch.object(staging, "SYNC_BYTES", sync_bytes),
        Staging(Path(folder), reserve_bytes=0).stage() as staged,
    ):
        for piece in pieces:
            staged.write(piece)
        staged.seal()
        stored = staged.path.read_bytes()

    assert stored == b"".join(pieces)
    assert staged.sha256 == hashlib.sha256(stored).hexdigest()
    assert staged.size == len(stored)


def test_an_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(LookupError), Staging(tmp_path, reserve_bytes=0).stage() as staged:
        staged.write(bytes(1_000_000))
        raise LookupError

    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_has_no_name_and_starts_at_its_beginning(tmp_path: Path) -> None:
    with Staging(tmp_path, reserve_bytes=0).temporary_file([b"one", b"two"]) as file:
        assert file.read() == b"onetwo"
        assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_leaves_the_reserve_free(tmp_path: Path) -> None:
    with pytest.raises(StorageFullError):
        Staging(tmp_path, reserve_bytes=2**62).temporary_file([b"one"])
