"""Downloads after RFC 9110 and RFC 6266."""

import re

import pytest

from tests.client import FILES, Pixmill, assert_problem

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def url(pixmill: Pixmill) -> str:
    return f"{FILES}/{pixmill.upload('данные.bin', CONTENT)['id']}/download"


def test_a_download_tells_its_name_and_kind(pixmill: Pixmill, url: str) -> None:
    headers = pixmill.http.get(url).headers

    assert headers["Content-Length"] == str(len(CONTENT))
    assert "filename*=UTF-8''%D0%B4%D0%B0%D0%BD%D0%BD%D1%8B%D0%B5.bin" in headers["Content-Disposition"]
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]{64}"', headers["ETag"])
    assert "X-Accel-Redirect" not in headers and "X-Sendfile" not in headers


def test_head_is_get_without_the_body(pixmill: Pixmill, url: str) -> None:
    head = pixmill.http.head(url)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition"):
        assert head.headers[name] == pixmill.http.get(url).headers[name]


@pytest.mark.parametrize(
    ("wanted", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10000-", 10_000, 10_240),
        ("bytes=-7", 10_233, 10_240),
        ("bytes=0-99999", 0, 10_240),
    ],
)
def test_a_range_answers_206(pixmill: Pixmill, url: str, wanted: str, first: int, stop: int) -> None:
    response = pixmill.http.get(url, headers={"Range": wanted})

    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{stop - 1}/10240"
    assert response.content == CONTENT[first:stop]


def test_several_ranges_answer_multipart(pixmill: Pixmill, url: str) -> None:
    response = pixmill.http.get(url, headers={"Range": "bytes=0-4,100-109"})

    assert response.status_code == 206
    assert response.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert len(response.content) == int(response.headers["Content-Length"])
    for first, stop in ((0, 5), (100, 110)):
        head = f"Content-Range: bytes {first}-{stop - 1}/10240\r\n\r\n".encode()
        assert head + CONTENT[first:stop] + b"\r\n--" in response.content


def test_a_range_outside_answers_416(pixmill: Pixmill, url: str) -> None:
    response = pixmill.http.get(url, headers={"Range": "bytes=10240-"})

    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */10240"


@pytest.mark.parametrize("wanted", ["bytes=9-5", "lines=1-2", "bytes=x"])
def test_a_range_that_is_none_answers_the_whole(pixmill: Pixmill, url: str, wanted: str) -> None:
    response = pixmill.http.get(url, headers={"Range": wanted})

    assert (response.status_code, response.content) == (200, CONTENT)


def test_if_range_decides_between_part_and_whole(pixmill: Pixmill, url: str) -> None:
    etag = pixmill.http.get(url).headers["ETag"]

    part = pixmill.http.get(url, headers={"Range": "bytes=0-4", "If-Range": etag})
    whole = pixmill.http.get(url, headers={"Range": "bytes=0-4", "If-Range": '"another"'})

    assert (part.status_code, part.content) == (206, CONTENT[:5])
    assert (whole.status_code, whole.content) == (200, CONTENT)


def test_what_the_client_has_is_not_sent_again(pixmill: Pixmill, url: str) -> None:
    etag = pixmill.http.get(url).headers["ETag"]

    response = pixmill.http.get(url, headers={"If-None-Match": etag})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == etag


def test_a_missing_file_answers_a_problem(pixmill: Pixmill) -> None:
    assert_problem(pixmill.http.get(f"{FILES}/999999999/download"), 404, "999999999")
