"""nginx's limits, small enough that a test can exceed them."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Pixmill, assert_problem
from tests.support.environment import MAX_UPLOAD
from tests.support.processes import accepts, free_port
from tests.support.raw_http import assert_refused, begun
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FEW = {"NGINX_REQUESTS_PER_SECOND": "1", "NGINX_REQUESTS_AT_ONCE": "5"}


def test_too_many_requests_of_an_address_get_429_with_retry_after(full: FullStack) -> None:
    with limited(full, FEW) as client, ThreadPoolExecutor(4) as threads:
        answers: list[httpx2.Response] = list(threads.map(lambda _: client.http.get(f"{FILES}/?limit=1"), range(20)))

        # One request a second is answered: on a slow machine that may be the first of these.
        large = wait_until(lambda: unless_stored(client.http.put(f"{FILES}/a.bin", content=b"x" * 11_000_000)))
        chunked = wait_until(lambda: unless_stored(client.http.put(f"{FILES}/a.bin", content=iter([b"x"]))))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert_problem(large, 429, "Retry-After")
    assert_problem(chunked, 429, "Retry-After")
    assert 5 <= len(answers) - len(refused) < len(answers)
    for answer in refused:
        assert_problem(answer, 429, "Retry-After")
        assert answer.headers["Retry-After"] == "1"


def unless_stored(answer: httpx2.Response) -> httpx2.Response | None:
    return None if answer.status_code == 201 else answer


def test_behind_a_trusted_proxy_each_client_has_its_own_limits(full: FullStack) -> None:
    trusted = "real_ip_header X-Forwarded-For; set_real_ip_from 127.0.0.0/8;"
    with Pixmill(full.url) as local:
        # Requests forwarded by a proxy need a key.
        key = local.make_key("team", "reader")
    with limited(full, FEW, trusted) as client:
        client.http.headers["Authorization"] = f"Bearer {key}"
        clients = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(20)]

        answers = [client.http.get(f"{FILES}/?limit=1", headers=headers) for headers in clients]

    assert {answer.status_code for answer in answers} == {200}


@contextmanager
def limited(full: FullStack, values: Mapping[str, str], http_lines: str = "") -> Iterator[Pixmill]:
    """Return a client for an nginx with a modified configuration."""
    port = free_port()
    nginx = full.start_nginx("limited-nginx", port, free_port(), values, http_lines)
    try:
        nginx.wait_until(accepts(port))
        with Pixmill(f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        nginx.stop()


def test_a_url_that_is_too_long_is_refused(full: FullStack) -> None:
    with Pixmill(full.url) as client:
        answer = client.http.get(f"{FILES}/?name={'a' * 20_000}")

    assert_problem(answer, 414, "too long")


@pytest.mark.parametrize(
    "target",
    [
        f"POST {TASKS}/",
        f"POST {FILES}/lookup",
        f"POST {FILES}/1/links",
        f"POST {FILES}/links",
        f"PATCH {FILES}/1",
        f"POST {FILES}/./copies",
    ],
)
def test_json_of_a_gigabyte_is_refused_before_it_is_sent(full: FullStack, target: str) -> None:
    with begun(full.url, target, 1_000_000_000) as connection:
        assert_refused(connection, b"413", b"JSON may have 2 MiB")


@pytest.mark.parametrize(
    ("target", "headers"), [(f"PUT {FILES}/a.bin", {}), (f"POST {FILES}/?name=a.bin", {}), (f"POST {FILES}/", FORM)]
)
def test_a_file_over_the_limit_is_refused_before_it_is_sent(
    full: FullStack, target: str, headers: dict[str, str]
) -> None:
    with begun(full.url, target, MAX_UPLOAD + 2_000_000, headers=headers) as connection:
        assert_refused(connection, b"413", f"A file may have at most {MAX_UPLOAD} bytes".encode())


def test_an_upload_for_another_host_is_refused_before_it_is_sent(full: FullStack) -> None:
    with begun(full.url, f"PUT {FILES}/a.bin", 100_000_000, host="rebind.example") as connection:
        assert_refused(connection, b"421", b"unknown-host")


def test_the_size_limit_applies_to_each_file_of_a_batch(full: FullStack) -> None:
    with begun(full.url, f"POST {FILES}/batch", MAX_UPLOAD + 2_000_000, headers=FORM) as connection:
        connection.settimeout(1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
