"""What ``--debug`` prints."""

import logging
from collections.abc import Callable, Iterator
from http.client import OK

import pytest
from typer.testing import Result

from tests.support.answering import FakeServer, file_row, with_request_ids


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Restore the loggers of the HTTP library."""
    yield
    for name in ("httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.setLevel(logging.NOTSET)


def test_each_request_is_printed_with_its_answer_and_without_secrets(
    fake_server: FakeServer, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.answer = with_request_ids((OK, file_row(1)))
    monkeypatch.setenv("PIXMILL_KEY", "pxm_s3cret")
    monkeypatch.setenv("PIXMILL_URL", fake_server.url.replace("//", "//me:s3cret@"))

    run = command("--debug", "show", "1", "2", "--json=id")

    assert run.stderr.splitlines() == [
        f"GET {fake_server.url}/api/file-server/{number}: 200 OK (request request-{number})" for number in (1, 2)
    ]
    assert run.stdout == '{"id": 1}\n{"id": 1}\n'


def test_a_connection_that_breaks_is_printed_for_each_attempt(
    fake_server: FakeServer, command: Callable[..., Result]
) -> None:
    fake_server.answer = lambda _method, _path, _body: None

    run = command("--debug", "show", "1")

    assert run.stderr.count("RemoteProtocolError") == len(fake_server.requests) == 6


def test_without_the_option_no_request_is_printed(fake_server: FakeServer, command: Callable[..., Result]) -> None:
    fake_server.answer = lambda _method, _path, _body: (OK, file_row(1))

    run = command("show", "1")

    assert (run.exit_code, run.stderr) == (0, "")
