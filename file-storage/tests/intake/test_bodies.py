"""Bodies that the web server keeps, and that go while they are read."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from file_storage.config import Settings, UploadSettings
from file_storage.intake.bodies import BODY_FILE, BODY_LENGTH, receive_raw
from file_storage.intake.read_ahead import ReadAhead
from file_storage.storage import Staging
from flask import Request
from service_kit.problems import Problem
from werkzeug.test import EnvironBuilder

MORE_THAN_A_PIPE_HOLDS = 10 * 2**20


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A pipe: who writes to it knows that it is being read."""
    path = tmp_path / "incoming" / "0000000001"
    path.parent.mkdir()
    os.mkfifo(path)
    return path


@pytest.fixture
def upload(settings: Settings, kept: Path) -> UploadSettings:
    return settings.upload.model_copy(update={"body_folder": str(kept.parent)})


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging", reserve_bytes=0)


@pytest.fixture
def ahead(staging: Staging, upload: UploadSettings) -> Iterator[ReadAhead]:
    ahead = ReadAhead(staging, None, upload.max_bytes)
    yield ahead
    ahead.close()


def test_a_body_of_another_length_than_the_client_has_sent_is_to_be_sent_again(
    upload: UploadSettings, staging: Staging, ahead: ReadAhead, tmp_path: Path
) -> None:
    short = Path(upload.body_folder, "short")
    short.write_bytes(b"half")
    headers = [(BODY_FILE, str(short)), (BODY_LENGTH, "8")]
    request = Request(EnvironBuilder(method="PUT", headers=headers).get_environ())

    with pytest.raises(Problem) as raised, receive_raw(request, staging, upload, ahead):
        pass

    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert not list((tmp_path / "staging").iterdir())


def named(kept: Path) -> Request:
    return Request(EnvironBuilder(method="PUT", headers=[(BODY_FILE, str(kept))]).get_environ())


def test_a_body_that_goes_while_it_is_read_is_to_be_sent_again(
    kept: Path, upload: UploadSettings, staging: Staging, ahead: ReadAhead, tmp_path: Path
) -> None:
    def hang_up() -> None:
        with kept.open("wb") as body:
            body.write(bytes(MORE_THAN_A_PIPE_HOLDS))
            kept.unlink()

    with ThreadPoolExecutor() as aside:
        hung_up = aside.submit(hang_up)
        with pytest.raises(Problem) as raised, receive_raw(named(kept), staging, upload, ahead):
            pass
        hung_up.result()

    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert not list((tmp_path / "staging").iterdir())


def test_a_body_that_went_before_it_was_read_is_to_be_sent_again(
    kept: Path, upload: UploadSettings, staging: Staging, ahead: ReadAhead
) -> None:
    kept.unlink()

    with pytest.raises(Problem) as raised, receive_raw(named(kept), staging, upload, ahead):
        pass

    assert (raised.value.status, raised.value.retry_after) == (503, 1)
