"""Resumable uploads (tus 1.0.0)."""

import hashlib
import os
import socket
from base64 import b64encode
from collections.abc import Callable

import httpx2
import pytest

from tests.support.client import FILES, Served, assert_problem
from tests.support.images import photo
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks

UPLOADS = f"{FILES}/uploads/"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
CONTENT = bytes(range(256)) * 2000


def metadata(**values: str) -> dict[str, str]:
    return {"Upload-Metadata": ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())}


def begin(pixmill: Served, **headers: str) -> str:
    sent = TUS | {name.replace("_", "-"): value for name, value in headers.items()}
    response = pixmill.http.post(UPLOADS, headers=sent)
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def patch(pixmill: Served, url: str, offset: int, content: bytes, **headers: str) -> httpx2.Response:
    sent = TUS | BYTES | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): v for name, v in headers.items()}
    return pixmill.http.patch(url, content=content, headers=sent)


def head(pixmill: Served, url: str) -> httpx2.Response:
    return pixmill.http.head(url, headers=TUS)


def checksum(algorithm: str, content: bytes) -> str:
    return f"{algorithm} {b64encode(hashlib.new(algorithm, content).digest()).decode()}"


@pytest.mark.parametrize("url", [UPLOADS, f"{UPLOADS}x"])
def test_options_lists_the_extensions(pixmill: Served, url: str) -> None:
    response = pixmill.http.options(url)

    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert set(response.headers["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    }
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,md5,sha256"
    assert int(response.headers["Tus-Max-Size"]) > 0


def test_uploads_need_no_slash_at_the_end(pixmill: Served) -> None:
    response = pixmill.http.post(UPLOADS.rstrip("/"), headers=TUS | {"Upload-Length": "3"})

    assert response.status_code == 201, response.text


def test_an_upload_in_pieces_is_a_file(pixmill: Served) -> None:
    described = metadata(filename="Отчёт.BIN", comment="in pieces")
    url = begin(pixmill, Upload_Length=str(len(CONTENT)), **described)

    first = patch(pixmill, url, 0, CONTENT[:300_000])
    between = head(pixmill, url)
    last = patch(pixmill, url, 300_000, CONTENT[300_000:])

    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "300000")
    assert between.headers["Upload-Offset"] == "300000"
    assert between.headers["Upload-Length"] == str(len(CONTENT))
    assert between.headers["Upload-Metadata"] == described["Upload-Metadata"]
    assert between.headers["Cache-Control"] == "no-store"
    assert "Pixmill-File-Id" not in between.headers
    file = pixmill.http.get(last.headers["Content-Location"]).json()
    assert str(file["id"]) == last.headers["Pixmill-File-Id"]
    assert (file["name"], file["extension"], file["comment"]) == ("Отчёт", ".bin", "in pieces")
    assert pixmill.files.read(file["id"]) == CONTENT


def test_a_finished_upload_still_names_its_file(pixmill: Served) -> None:
    url = begin(pixmill, Upload_Length="3")
    done = patch(pixmill, url, 0, b"abc")

    again = head(pixmill, url)

    assert (again.headers["Upload-Offset"], again.headers["Upload-Length"]) == ("3", "3")
    assert again.headers["Pixmill-File-Id"] == done.headers["Pixmill-File-Id"]


def test_uploads_with_the_same_idempotency_key_are_one_file(pixmill: Served) -> None:
    key = os.urandom(8).hex()
    ids = set()
    for _ in range(2):
        url = begin(pixmill, Upload_Length="3", **metadata(filename="a.bin", idempotency_key=key))
        ids.add(patch(pixmill, url, 0, b"abc").headers["Pixmill-File-Id"])

    used = pixmill.http.get(f"{FILES}/idempotency-keys/{key}").json()
    assert ids == {str(used["id"])}


def test_an_upload_may_begin_with_its_bytes(pixmill: Served) -> None:
    content = photo(30, 20)
    headers = TUS | BYTES | {"Upload-Length": str(len(content))} | metadata(filename="p.png")

    response = pixmill.http.post(UPLOADS, content=content, headers=headers)

    assert (response.status_code, response.headers["Upload-Offset"]) == (201, str(len(content)))
    assert pixmill.http.get(response.headers["Content-Location"]).json()["media_type"] == "image/png"


def test_an_empty_upload_is_a_file_at_once(pixmill: Served) -> None:
    response = pixmill.http.post(UPLOADS, headers=TUS | {"Upload-Length": "0"})

    assert pixmill.files.read(int(response.headers["Pixmill-File-Id"])) == b""


def test_the_length_may_be_declared_later_but_only_once(pixmill: Served) -> None:
    url = begin(pixmill, Upload_Defer_Length="1")
    patch(pixmill, url, 0, b"abc")
    before = head(pixmill, url)

    declared = patch(pixmill, url, 3, b"d", Upload_Length="6")
    changed = patch(pixmill, url, 4, b"e", Upload_Length="7")
    last = patch(pixmill, url, 4, b"ef")

    assert (before.headers["Upload-Defer-Length"], "Upload-Length" in before.headers) == ("1", False)
    assert declared.headers["Upload-Offset"] == "4"
    assert_problem(changed, 400, "6 bytes")
    assert pixmill.files.read(int(last.headers["Pixmill-File-Id"])) == b"abcdef"


def test_a_length_below_the_received_bytes_is_refused(pixmill: Served) -> None:
    url = begin(pixmill, Upload_Defer_Length="1")
    patch(pixmill, url, 0, b"12345")

    refused = patch(pixmill, url, 5, b"", Upload_Length="3")

    assert_problem(refused, 400, "already has 5 bytes")
    state = head(pixmill, url)
    assert (state.headers["Upload-Offset"], state.headers["Upload-Defer-Length"]) == ("5", "1")


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "sha256"])
def test_a_checksum_keeps_or_discards_a_piece(pixmill: Served, algorithm: str) -> None:
    url = begin(pixmill, Upload_Length="6")

    wrong = patch(pixmill, url, 0, b"abX", Upload_Checksum=checksum(algorithm, b"abc"))
    offset = head(pixmill, url).headers["Upload-Offset"]
    right = patch(pixmill, url, 0, b"abc", Upload_Checksum=checksum(algorithm, b"abc"))

    assert_problem(wrong, 460, "again")
    assert offset == "0"
    assert (right.status_code, right.headers["Upload-Offset"]) == (204, "3")


@pytest.mark.parametrize("value", ["crc32 AAAA", "sha1", "sha1 not-base64!", ""])
def test_an_unknown_checksum_is_refused(pixmill: Served, value: str) -> None:
    url = begin(pixmill, Upload_Length="3")

    assert patch(pixmill, url, 0, b"abc", Upload_Checksum=value).status_code == 400
    assert head(pixmill, url).headers["Upload-Offset"] == "0"


def test_parts_are_concatenated(pixmill: Served) -> None:
    parts = [begin(pixmill, Upload_Length="3", Upload_Concat="partial") for _ in range(2)]
    for url, content in zip(parts, (b"abc", b"def"), strict=True):
        assert "Pixmill-File-Id" not in patch(pixmill, url, 0, content).headers
    concat = f"final;{parts[1]} {pixmill.http.base_url}{parts[0]}"

    final = pixmill.http.post(UPLOADS, headers=TUS | {"Upload-Concat": concat} | metadata(filename="whole.txt"))

    assert final.status_code == 201
    assert pixmill.files.read(int(final.headers["Pixmill-File-Id"])) == b"defabc"
    state = head(pixmill, final.headers["Location"])
    assert (state.headers["Upload-Concat"], state.headers["Upload-Length"]) == (concat, "6")
    assert head(pixmill, parts[0]).headers["Upload-Concat"] == "partial"
    assert_problem(patch(pixmill, final.headers["Location"], 6, b""), 403, "accepts no bytes")


def test_only_complete_parts_are_concatenated(pixmill: Served) -> None:
    part = begin(pixmill, Upload_Length="3", Upload_Concat="partial")
    whole = begin(pixmill, Upload_Length="3")

    for url in (part, whole):
        response = pixmill.http.post(UPLOADS, headers=TUS | {"Upload-Concat": f"final;{url}"})
        assert_problem(response, 400, url.rsplit("/", 1)[1])


def test_a_terminated_upload_is_deleted_and_its_file_stays(pixmill: Served) -> None:
    unfinished, finished = begin(pixmill, Upload_Length="3"), begin(pixmill, Upload_Length="3")
    file_id = patch(pixmill, finished, 0, b"abc").headers["Pixmill-File-Id"]

    for url in (unfinished, finished):
        assert pixmill.http.delete(url, headers=TUS).status_code == 204
        assert head(pixmill, url).status_code == 404

    assert pixmill.files.read(int(file_id)) == b"abc"


def test_methods_may_be_overridden(pixmill: Served) -> None:
    url = begin(pixmill, Upload_Length="3")
    headers = TUS | BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    response = pixmill.http.post(url, content=b"abc", headers=headers)

    assert (response.status_code, response.headers["Upload-Offset"]) == (204, "3")


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_is_refused(pixmill: Served, version: dict[str, str]) -> None:
    response = pixmill.http.post(UPLOADS, headers=version | {"Upload-Length": "3"})

    assert_problem(response, 412, "1.0.0")
    assert response.headers["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "3", "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "999999999999"}, 413),
        ({"Upload-Length": "3", "Upload-Metadata": "filename !"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "filename gA=="}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "filename Li4u"}, 422),
        ({"Upload-Length": "3", "Upload-Concat": "other"}, 400),
        ({"Upload-Concat": "final;"}, 400),
        ({"Upload-Concat": f"final;{UPLOADS}nothing"}, 404),
        ({"Upload-Concat": f"final;{UPLOADS}nothing", "Upload-Length": "3"}, 400),
    ],
)
def test_an_invalid_creation_is_refused(pixmill: Served, headers: dict[str, str], status: int) -> None:
    assert_problem(pixmill.http.post(UPLOADS, headers=TUS | headers), status, "")


def test_an_invalid_patch_is_refused(pixmill: Served) -> None:
    url = begin(pixmill, Upload_Length="6")
    patch(pixmill, url, 0, b"abc")

    assert_problem(patch(pixmill, url, 2, b"cd"), 409, "3 bytes")
    assert_problem(patch(pixmill, url, 3, b"defg"), 413, "6 bytes")
    assert_problem(patch(pixmill, url, 3, b"d", Content_Type="text/plain"), 415, "offset+octet-stream")
    assert_problem(pixmill.http.patch(url, headers=TUS | BYTES, content=b"d"), 400, "Upload-Offset")
    assert_problem(patch(pixmill, f"{UPLOADS}nothing", 0, b"abc"), 404, "begin a new one")
    assert head(pixmill, url).headers["Upload-Offset"] == "3"


def test_bytes_received_before_a_broken_connection_are_stored(pixmill: Served, stack: Stack) -> None:
    url = begin(pixmill, Upload_Length=str(len(CONTENT)))

    with _half_sent(stack, url, CONTENT[:200_000]):
        wait_until(lambda: _offset(pixmill, url) > 100_000, "most bytes are stored")

    offset = _offset(pixmill, url)
    assert offset <= 200_000
    rest = _when_free(lambda: patch(pixmill, url, offset, CONTENT[offset:]))
    assert pixmill.files.read(int(rest.headers["Pixmill-File-Id"])) == CONTENT


def test_the_second_of_two_concurrent_writers_gets_423(pixmill: Served, stack: Stack) -> None:
    url = begin(pixmill, Upload_Length=str(len(CONTENT)))

    with _half_sent(stack, url, CONTENT[:200_000]):
        offset = wait_until(lambda: _offset(pixmill, url), "the first writer has begun")
        assert_problem(patch(pixmill, url, offset, CONTENT[offset:]), 423, "another request")


def _offset(pixmill: Served, url: str) -> int:
    return int(head(pixmill, url).headers["Upload-Offset"])


def _when_free(attempt: Callable[[], httpx2.Response]) -> httpx2.Response:
    def unless_locked() -> httpx2.Response | None:
        response = attempt()
        return None if response.status_code == 423 else response

    response = wait_until(unless_locked, "the other request has ended")
    assert response.status_code == 204, response.text
    return response


def _half_sent(stack: Stack, url: str, content: bytes) -> socket.socket:
    """Start a PATCH of the whole content and stop after ``content``; return the connection."""
    address = httpx2.URL(stack.url)
    client = socket.create_connection((address.host, address.port or 80))
    head = (
        f"PATCH {url} HTTP/1.1\r\nHost: {address.host}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    )
    client.sendall(head.encode() + content)
    return client
