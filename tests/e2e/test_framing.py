"""Message framing (RFC 9112, 6): messages have exactly the declared number of bytes."""

import fcntl
import itertools
import socket
import struct
import termios
from collections.abc import Callable
from functools import cache

import httpx2
import pytest

from tests.support.client import FILES, Served, stored_so_far
from tests.support.raw_http import CLOSE, answers, received
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

SIZE = 300_000
CONTENT = bytes(range(250)) * (SIZE // 250)

HOST = "Host: localhost\r\n"
PUT = f"PUT {FILES}/a.bin HTTP/1.1\r\n{HOST}Connection: close\r\n"
GET = f"GET {FILES}/?limit=1 HTTP/1.1\r\n{HOST}"
CHUNKED = f"{PUT}Transfer-Encoding: chunked\r\n\r\n"


@cache
def places(url: str) -> dict[str, str]:
    """Return each way of downloading a file from the stack at this URL."""
    with Served(url) as client:
        file_id = client.files.upload(CONTENT, name="a.txt").id
        link = client.http.post(f"{FILES}/{file_id}/links", json={}).headers["Location"]
    path = f"{FILES}/{file_id}/download"
    return {"download": path, "inline": f"{path}?disposition=inline", "link": httpx2.URL(link).raw_path.decode()}


@pytest.mark.both_stacks
def test_chunked_json_may_be_as_long_as_any_other(stack: Stack) -> None:
    padding = iter([b" " * 100_000] * 15)

    with Served(stack.url) as client:
        found = client.http.post(
            f"{FILES}/lookup",
            content=itertools.chain([b'{"sha256": ["' + b"0" * 64 + b'"]'], padding, [b"}"]),
            headers={"Content-Type": "application/json"},
        )

    assert found.status_code == 200, found.text


@pytest.mark.both_stacks
@pytest.mark.parametrize("place", ["download", "inline", "link"])
@pytest.mark.parametrize(
    ("method", "header", "status"),
    [
        ("GET", "Accept: */*", 200),
        ("GET", "Range: bytes=0-0", 206),
        ("GET", "Range: bytes=1000-1999", 206),
        ("GET", f"Range: bytes=1000-{SIZE - 2}", 206),
        ("GET", f"Range: bytes={SIZE - 1}-", 206),
        ("GET", "Range: bytes=-7", 206),
        ("GET", "Range: bytes=0-0,1000-1999,-7", 206),
        ("GET", f"Range: bytes={SIZE}-", 416),
        ("GET", "If-None-Match: *", 304),
        ("GET", 'If-Match: "other"', 412),
        ("HEAD", "Accept: */*", 200),
        ("HEAD", "Range: bytes=0-0", 200),
    ],
)
def test_a_download_has_as_many_bytes_as_its_content_length(
    stack: Stack, place: str, method: str, header: str, status: int
) -> None:
    request = f"{method} {places(stack.url)[place]} HTTP/1.1\r\n{HOST}{header}\r\n"

    # Surplus bytes of the first response would appear at the start of the second.
    came = received(stack.url, f"{request}\r\n".encode(), f"{request}{CLOSE}".encode())

    first, second = answers(came, method, method)
    assert (first.status, second.status) == (status, status)
    assert len(first.body) == len(second.body)


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    "length",
    [
        *("+5", "0x5", "-5", "5.0", "0_5", "5 x", "five", "9" * 25),
        *("5\r\nContent-Length: 3", "5\r\nX: y\r\ncontent-length: 5", "5, 3", "5, 5"),
    ],
)
def test_an_unreadable_or_repeated_length_is_refused(stack: Stack, length: str) -> None:
    came = received(stack.url, f"{PUT}Content-Length: {length}\r\n\r\nhello".encode())

    [answer] = answers(came, "PUT")
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.both_stacks
def test_a_repeated_length_of_a_later_request_is_refused(stack: Stack) -> None:
    repeated = f"PUT {FILES}/a.bin HTTP/1.1\r\n{HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"

    came = received(stack.url, f"{GET}\r\n{repeated}".encode())

    first, second = answers(came, "GET", "PUT")
    assert (first.status, second.status) == (200, 400)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (f"{PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400),
        (f"{PUT}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 501),
        (f"{PUT}Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 501),
        (f"{CHUNKED}5\r\nhello\r\n0\r\n\r\n".replace("1.1", "1.0", 1), 400),
        (f"{CHUNKED}0x5\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}-5\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}zz\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}5\r\nhelloworld\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}{'f' * 30}\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}{'f' * 18}\r\nhello\r\n0\r\n\r\n", 400),
        (f"{CHUNKED}5;a\0b\r\nhello\r\n0\r\n\r\n", 400),
        (f"GET {FILES}/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (f"{PUT}Content-Length : 5\r\n\r\nhello", 400),
        (f"{GET}X-A: b\rc\r\n\r\n", 400),
        (f"{GET}X-A: b\0c\r\n\r\n", 400),
        (f"{GET}garbage\r\n\r\n", 400),
        (f"{GET}: x\r\n\r\n", 400),
        (f"GET {FILES}/\r\n\r\n", 400),
        (f"GET {FILES}/?name=a b HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"GET  {FILES}/ HTTP/1.1\r\n{HOST}\r\n", 400),
        (f"GET {FILES}/ HTTP/1.1\r\n\r\n", 400),
        (f"{GET}Host: y\r\n\r\n", 400),
        (f"GET {FILES}/ HTTP/2.0\r\n{HOST}\r\n", 505),
        (f"{GET}X-A: {'a' * 40_000}\r\n\r\n", 431),
        (f"GET {FILES}/?name={'a' * 40_000} HTTP/1.1\r\n{HOST}\r\n", 414),
        ("\x16\x03\x01\x02\0\1\0\1\xfc\3\3\r\n\r\n", 400),
    ],
)
def test_an_invalid_request_is_refused_and_the_connection_closed(
    embedded: Stack, request_text: str, status: int
) -> None:
    with Served(embedded.url) as client:
        before = stored_so_far(client)

        [answer] = answers(received(embedded.url, request_text.encode("latin-1")), "GET")

        assert answer.status == status
        assert (answer.headers["content-type"], answer.headers["connection"]) == ("application/problem+json", "close")
        assert stored_so_far(client) == before


@pytest.mark.parametrize(
    "request_text",
    [
        f"{CHUNKED}5\r\nhello\r\n0\r\n\r\n",
        f"{CHUNKED}2;name=value\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: x\r\n\r\n",
        f"{CHUNKED}00005\r\nhello\r\n000\r\n\r\n",
        f"{PUT}Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        f"\r\n{PUT}Content-Length: 5\r\n\r\nhello",
        f"{PUT}Content-Length: 5\r\n\r\nhello".replace("PUT /", "PUT http://localhost/"),
        f"{PUT}Content-Length: 5\r\n\r\nhello".replace("\r\n", "\n"),
        f"PUT {FILES}/a.bin HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
        f"{PUT}Content-Length: 5\r\n\r\nhello".replace("a.bin", "имя.bin"),
    ],
)
def test_every_valid_form_of_a_request_is_accepted(embedded: Stack, request_text: str) -> None:
    [answer] = answers(received(embedded.url, request_text.encode()), "PUT")

    assert (answer.status, b'"size":5' in answer.body) == (201, True)


@pytest.mark.both_stacks
def test_a_chunked_body_that_breaks_off_is_not_stored(stack: Stack, pixmill: Served) -> None:
    before = stored_so_far(pixmill)
    address = httpx2.URL(stack.url)

    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(f"{CHUNKED}5\r\nhello\r\n".encode())
        wait_until(_received_by_the_server(connection), "the server has read all bytes")

    assert stored_so_far(pixmill) == before


def _received_by_the_server(connection: socket.socket) -> Callable[[], bool]:
    """Return a function that checks whether the kernel has sent everything."""
    return lambda: struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0] == 0
