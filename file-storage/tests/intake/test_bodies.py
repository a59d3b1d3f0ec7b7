"""Bodies in the web server's files that are removed or incomplete."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from file_storage.config import Settings, UploadSettings
from file_storage.intake.bodies import MAX_UNANNOUNCED, receive_raw
from file_storage.intake.read_ahead import ReadAhead
from file_storage.storage import Staging
from flask import Request
from service_kit.front_headers import BODY_FILE, BODY_LENGTH
from service_kit.problems import Problem
from werkzeug.test import EnvironBuilder

BODY_BYTES = 10 * 2**20
"""More than the buffer of a pipe holds."""


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a pipe in place of a body's file: opening it for writing blocks until the test's reader has opened it."""
    path = tmp_path / "incoming" / "0000000001"
    path.parent.mkdir()
    os.mkfifo(path)
    return path


@pytest.fixture
def upload(settings: Settings, pipe: Path) -> UploadSettings:
    return settings.upload.model_copy(update={"body_folder": str(pipe.parent)})


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging", reserve_bytes=0)


@pytest.fixture
def ahead(staging: Staging, upload: UploadSettings) -> Iterator[ReadAhead]:
    ahead = ReadAhead(staging, None, upload.max_bytes)
    yield ahead
    ahead.close()


def test_a_body_of_another_length_than_content_length_asks_to_try_again(
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


def request_for(pipe: Path) -> Request:
    return Request(EnvironBuilder(method="PUT", headers=[(BODY_FILE, str(pipe))]).get_environ())


def test_a_body_removed_while_it_is_read_asks_to_try_again(
    pipe: Path, upload: UploadSettings, staging: Staging, ahead: ReadAhead, tmp_path: Path
) -> None:
    def hang_up() -> None:
        with pipe.open("wb") as body:
            body.write(bytes(BODY_BYTES))
            pipe.unlink()

    with ThreadPoolExecutor() as executor:
        hung_up = executor.submit(hang_up)
        with pytest.raises(Problem) as raised, receive_raw(request_for(pipe), staging, upload, ahead):
            pass
        hung_up.result()

    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert not list((tmp_path / "staging").iterdir())


def test_a_body_removed_before_it_is_read_asks_to_try_again(
    pipe: Path, upload: UploadSettings, staging: Staging, ahead: ReadAhead
) -> None:
    pipe.unlink()

    with pytest.raises(Problem) as raised, receive_raw(request_for(pipe), staging, upload, ahead):
        pass

    assert (raised.value.status, raised.value.retry_after) == (503, 1)


@pytest.mark.parametrize(("size", "status"), [(MAX_UNANNOUNCED, None), (MAX_UNANNOUNCED + 1, 411)])
def test_a_body_without_its_length_has_at_most_10_mb(
    size: int, status: int | None, settings: Settings, staging: Staging, ahead: ReadAhead, tmp_path: Path
) -> None:
    environ = EnvironBuilder(method="PUT", input_stream=BytesIO(bytes(size))).get_environ()
    del environ["CONTENT_LENGTH"]
    request = Request({**environ, "wsgi.input_terminated": True})

    refused = None
    try:
        with receive_raw(request, staging, settings.upload, ahead) as staged:
            assert staged.size == size
    except Problem as problem:
        refused = problem.status

    assert refused == status
    assert not list((tmp_path / "staging").iterdir())
