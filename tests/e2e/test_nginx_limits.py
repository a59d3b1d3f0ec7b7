"""nginx's limits, some made small enough for a test to go over."""

import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.client import FILES, Pixmill, assert_problem
from tests.processes import accepts, free_port
from tests.stacks import FullStack

CHANGES = {"rate=2000r/s": "rate=1r/s", "burst=4000": "burst=5"}

SLOW_CLIENTS = 500 + 1024 * (os.cpu_count() or 1)
"""More than 1,024 for each core, which nginx's examples have connections for."""


def test_an_address_that_asks_too_often_is_told_when_to_come_back(full: FullStack) -> None:
    port = free_port()
    nginx = full.start_nginx("limited-nginx", port, free_port(), CHANGES)
    nginx.wait_until(accepts(port))
    with Pixmill(f"http://127.0.0.1:{port}") as client, ThreadPoolExecutor(4) as threads:
        answers: list[httpx.Response] = list(threads.map(lambda _: client.http.get(f"{FILES}/?limit=1"), range(20)))
    nginx.stop()

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 5 <= len(answers) - len(refused) <= 10
    for answer in refused:
        assert_problem(answer, 429, "Retry-After")
        assert answer.headers["Retry-After"] == "1"


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as this process may have at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_who_do_not_say_what_they_want_keep_nobody_out(full: FullStack) -> None:
    url = httpx.URL(full.url)
    with ExitStack() as opened:
        for _ in range(SLOW_CLIENTS):
            slow = opened.enter_context(socket.create_connection((url.host, url.port or 80), timeout=5))
            slow.sendall(b"GET / HTTP/1.1\r\n")

        with Pixmill(full.url) as client:
            assert client.http.get(f"{FILES}/?limit=1").status_code == 200


def test_an_address_that_is_too_long_is_told_so(full: FullStack) -> None:
    with Pixmill(full.url) as client:
        answer = client.http.get(f"{FILES}/?name={'a' * 20_000}")

    assert_problem(answer, 414, "too long")
