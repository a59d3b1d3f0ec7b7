"""Expensive requests: each is refused or bounded, on both stacks."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served, assert_problem
from tests.support.raw_http import answer_of, received
from tests.support.slow_clients import archive_request, slow_clients
from tests.support.stacks import EmbeddedStack, Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks


@pytest.mark.parametrize("count", [16_000, 150_000])
def test_a_request_of_many_wrong_fields_is_refused(pixmill: Served, count: int) -> None:
    params = {f"k{number}": 1 for number in range(count)}

    answer = pixmill.http.post(f"{TASKS}/", json={"file_ids": [1], "algorithm": "flip", "params": params})

    assert answer.status_code in (404, 422)
    assert len(answer.content) < 100_000


def test_ten_thousand_wrong_ids_name_a_hundred(pixmill: Served) -> None:
    answer = pixmill.http.post(f"{FILES}/lookup", json={"ids": ["a"] * 10_000})

    assert_problem(answer, 422, "should be an integer")
    assert len(answer.json()["errors"]) == 100


def test_the_largest_batch_passes_the_bounds(pixmill: Served) -> None:
    steps = [{"algorithm": "montage", "params": {"others": [1] * 200}}] * 20
    wanted = {"file_ids": [999_999_999] * 10_000, "algorithm": "pipeline", "params": {"steps": steps}}

    answer = pixmill.http.post(f"{TASKS}/", json=wanted)

    assert "json-too" not in answer.json()["type"]


@pytest.mark.parametrize("depth", [40, 900])
def test_json_that_is_nested_too_deeply_is_refused(pixmill: Served, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    body = f'{{"file_ids": [1], "algorithm": "flip", "params": {{"a": {nested}}}}}'

    answer = pixmill.http.post(f"{TASKS}/", content=body, headers={"Content-Type": "application/json"})

    assert_problem(answer, 422, "nested too deeply")


def test_the_json_of_a_form_is_bounded_too(pixmill: Served) -> None:
    described = (None, json.dumps([[[]]] * 30_000).encode(), "application/json")

    answer = pixmill.http.post(f"{FILES}/batch", files=[("json", described), ("file", ("a.txt", b"a", "text/plain"))])

    assert_problem(answer, 422, "too many values")


@pytest.mark.parametrize("target", [f"PUT {FILES}/a.bin", f"POST {FILES}/?name=a.bin"])
def test_an_upload_without_its_length_is_refused_beyond_10_mb(stack: Stack, target: str) -> None:
    method, path = target.split()
    address = httpx2.URL(stack.url)
    connection = http.client.HTTPConnection(address.host, address.port)

    connection.request(method, path, iter([bytes(1_000_000)] * 11), encode_chunked=True)

    answer = connection.getresponse()
    problem = json.loads(answer.read())
    connection.close()
    assert (answer.status, problem["status"]) == (411, 411)
    assert "10 MB" in problem["detail"]


def test_an_upload_without_its_length_is_stored_up_to_10_mb(pixmill: Served) -> None:
    stored = pixmill.http.put(f"{FILES}/", params={"name": "a.bin"}, content=iter([bytes(1_000_000)] * 9))

    assert (stored.status_code, stored.json()["size"]) == (201, 9_000_000)


@contextmanager
def clients(stack: Stack, count: int, begun: str) -> Iterator[list[socket.socket]]:
    """Open connections from one address, send the text on each, and read nothing."""
    url = httpx2.URL(stack.url)
    with ExitStack() as opened:
        connections = []
        for _ in range(count):
            connection = opened.enter_context(
                socket.create_connection((url.host, url.port or 80), 60, ("127.0.0.3", 0))
            )
            # Small, so that the server soon waits for the client.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(begun.encode())
            connections.append(connection)
        yield connections


@pytest.mark.parametrize("path", [f"{FILES}/?name=slow", f"{TASKS}/", "/api/session", f"{FILES}/shared/nothing/unlock"])
def test_forty_bodies_that_do_not_arrive_hold_nobody_up(stack: Stack, pixmill: Served, path: str) -> None:
    with clients(stack, 40, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"):
        answers = [pixmill.http.get("/healthz") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}


REFUSED = "PATCH", f"{FILES}/uploads/1", "rebind.example"
"""A request whose Host is refused before its body is read."""


def begin_upload(pixmill: Served) -> int:
    """Begin a resumable upload, which needs a place of its own, and return the status."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
    return pixmill.http.post(f"{FILES}/uploads/", headers=headers).status_code


def test_refused_bodies_that_do_not_arrive_take_no_place(stack: Stack, pixmill: Served) -> None:
    method, path, host = REFUSED
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n"
    with slow_clients(stack, [head + "x" * 1000] * 24) as silent:
        assert {answer_of(connection).status for connection in silent} == {421}

        # nginx gives the places back once it has waited a moment for the rest of the bodies.
        wait_until(lambda: begin_upload(pixmill) == 201, "an upload has a place")


# nginx receives such a body before it asks a service.
@pytest.mark.parametrize("path", ["/api/session", f"{FILES}/shared/nothing/unlock"])
def test_large_bodies_of_strangers_take_no_place_of_make_run(embedded: EmbeddedStack, path: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    with slow_clients(embedded, [head + " " * 1000] * 24) as silent, Served(embedded.url) as pixmill:
        assert {answer_of(connection).status for connection in silent} == {413}

        wait_until(lambda: begin_upload(pixmill) == 201, "an upload has a place")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_bodies_without_a_use_that_do_not_arrive_take_no_place(stack: Stack, pixmill: Served, method: str) -> None:
    begun = f"{method} {FILES}/uploads/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx"
    with slow_clients(stack, [begun] * 24):
        assert begin_upload(pixmill) == 201


@pytest.mark.parametrize("size", [1_000_000, 30_000_000])
def test_a_client_that_sends_all_of_a_refused_body_reads_the_answer(stack: Stack, size: int) -> None:
    method, path, host = REFUSED
    address = httpx2.URL(stack.url)
    connection = http.client.HTTPConnection(address.host, address.port)

    connection.request(
        method, path, iter([bytes(100_000)] * (size // 100_000)), {"Host": host, "Content-Length": str(size)}
    )

    answer = connection.getresponse()
    problem = json.loads(answer.read())
    connection.close()
    assert (answer.status, problem["code"]) == (421, "unknown-host")


def test_archives_that_are_read_slowly_leave_room_to_other_addresses(stack: Stack, pixmill: Served) -> None:
    file_id = pixmill.files.upload(bytes(30_000_000), name="large.bin").id
    with clients(stack, 24, archive_request(file_id)) as slow:
        # The refused requests are answered; then all slots of this address are taken.
        starts = [connection.recv(12) for connection in slow]

        archive = pixmill.http.get(f"{FILES}/archive?id={pixmill.files.upload(b'a', name='a.txt').id}")

    assert starts.count(b"HTTP/1.1 200") == 6
    assert starts.count(b"HTTP/1.1 503") == 18
    assert archive.status_code == 200


def test_an_address_has_64_listeners_and_others_have_theirs(stack: Stack, pixmill: Served) -> None:
    with clients(stack, 66, f"GET {TASKS}/events HTTP/1.1\r\nHost: localhost\r\n\r\n") as listening:
        answers = [connection.recv(10_000).lower() for connection in listening]

        with pixmill.http.stream("GET", f"{TASKS}/events") as events:
            assert events.status_code == 200

    refused = [answer for answer in answers if answer.startswith(b"http/1.1 503")]
    assert len(refused) == 2
    assert all(b"retry-after: 5" in answer and b"application/problem+json" in answer for answer in refused)
    assert sum(answer.startswith(b"http/1.1 200") for answer in answers) == 64


@pytest.mark.parametrize("extension", [".x\r\nX-Injected: yes", ".\u202egpj.exe", ".\u0001\u000b\u007f"])
def test_the_extension_of_a_copy_cannot_disguise_or_break_a_download(
    pixmill: Served, stack: Stack, extension: str
) -> None:
    source = pixmill.files.upload(b"a", name="a.txt")

    copy = pixmill.http.post(f"{FILES}/{source.id}/copy", json={"name": "a", "extension": extension}).json()

    asked = f"GET {FILES}/{copy['id']}/download HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    head = received(stack.url, asked.encode()).partition(b"\r\n\r\n")[0].decode("latin-1")
    assert head.startswith("HTTP/1.1 200")
    assert "\nX-Injected" not in head
    assert head.isprintable() or set(head) - set("\r\n") == {c for c in head if c.isprintable()}
    assert "%E2%80%AE" not in head
