"""Unfinished uploads that the client remembers."""

import os
from pathlib import Path

import pytest
from pixmill.client.upload_state import FORGET_SECONDS, KEEP_SECONDS, UploadState, unfinished_uploads


@pytest.fixture
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UploadState:
    """Return the state of an upload that began more than a day ago."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "film.bin"
    file.write_bytes(b"film")
    state = UploadState.of("http://localhost:8080", file, "film.bin", {})
    state.keep("0" * 32)
    began = state.record.stat().st_mtime - KEEP_SECONDS - 60
    os.utime(state.record, (began, began))
    return state


def test_an_upload_that_takes_longer_than_a_day_goes_on(remembered: UploadState) -> None:
    assert remembered.upload_id() == "0" * 32


def test_an_upload_whose_last_bytes_came_lately_can_be_resumed(remembered: UploadState) -> None:
    remembered.renew()

    assert unfinished_uploads() == 1


def test_an_upload_that_the_server_has_probably_deleted_does_not_count(remembered: UploadState) -> None:
    assert unfinished_uploads() == 0
    assert remembered.upload_id() is not None


def test_an_upload_of_long_ago_is_forgotten(remembered: UploadState) -> None:
    long_ago = remembered.record.stat().st_mtime - FORGET_SECONDS
    os.utime(remembered.record, (long_ago, long_ago))

    assert unfinished_uploads() == 0
    assert remembered.upload_id() is None


def test_the_state_of_an_upload_is_on_the_disk_with_its_name(
    remembered: UploadState, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    remembered.keep("1" * 32)

    assert synced == [remembered.record.stat().st_ino, remembered.record.parent.stat().st_ino]
