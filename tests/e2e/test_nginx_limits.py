"""nginx's limits, made small enough for a test to go over."""

import socket
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.client import FILES, TASKS, Pixmill, assert_problem
from tests.processes import accepts, free_port
from tests.stacks import FullStack

CHANGES = {"rate=2000r/s": "rate=1r/s", "burst=4000": "burst=5"}


def test_an_address_that_asks_too_often_is_told_when_to_come_back(full: FullStack) -> None:
    port = free_port()
    nginx = full.start_nginx("limited-nginx", port, free_port(), CHANGES)
    nginx.wait_until(accepts(port))
    with Pixmill(f"http://127.0.0.1:{port}") as client, ThreadPoolExecutor(4) as threads:
        answers: list[httpx2.Response] = list(threads.map(lambda _: client.http.get(f"{FILES}/?limit=1"), range(20)))
    nginx.stop()

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 5 <= len(answers) - len(refused) <= 10
    for answer in refused:
        assert_problem(answer, 429, "Retry-After")
        assert answer.headers["Retry-After"] == "1"


def test_an_address_that_is_too_long_is_told_so(full: FullStack) -> None:
    with Pixmill(full.url) as client:
        answer = client.http.get(f"{FILES}/?name={'a' * 20_000}")

    assert_problem(answer, 414, "too long")


@pytest.mark.parametrize(
    "target",
    [f"POST {TASKS}/", f"POST {FILES}/lookup", f"POST {FILES}/1/links", f"PATCH {FILES}/1", f"POST {FILES}/./copies"],
)
def test_json_of_a_gigabyte_is_refused_before_it_comes(full: FullStack, target: str) -> None:
    address = httpx2.URL(full.url)
    with socket.create_connection((address.host, address.port or 80), 5) as connection:
        connection.sendall(f"{target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n".encode())

        assert connection.recv(12) == b"HTTP/1.1 413"
