"""Conditional and range requests (RFC 9110)."""

import asyncio
from pathlib import Path

import pytest
from image_processor.render.routers.responses import disposition, file_response, is_unchanged
from service_kit.problems import Problem
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

CONTENT = bytes(range(100))
TAG = '"key"'


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw})


def sent(response: Response) -> bytes:
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    async def receive() -> Message:
        return await asyncio.Future[Message]()

    asyncio.run(response({"type": "http", "method": "GET"}, receive, send))
    return bytes(body)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-9", CONTENT[:10], "bytes 0-9/100"),
        ("bytes=90-", CONTENT[90:], "bytes 90-99/100"),
        ("bytes=90-1000", CONTENT[90:], "bytes 90-99/100"),
        ("bytes=-10", CONTENT[-10:], "bytes 90-99/100"),
        ("bytes=-1000", CONTENT, "bytes 0-99/100"),
    ],
)
def test_a_single_range_is_sent(file: Path, wanted: str, expected: bytes, content_range: str) -> None:
    response = file_response(request(range=wanted), file, 100, {}, TAG)

    assert response.status_code == 206
    assert response.headers["Content-Range"] == content_range
    assert sent(response) == expected


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "lines=1-2"])
def test_other_ranges_are_ignored(file: Path, wanted: str) -> None:
    response = file_response(request(range=wanted), file, 100, {}, TAG)

    assert response.status_code == 200
    assert sent(response) == CONTENT


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_without_bytes_is_refused_with_the_size(file: Path, wanted: str) -> None:
    with pytest.raises(Problem) as problem:
        file_response(request(range=wanted), file, 100, {}, TAG)

    assert problem.value.status == 416
    assert problem.value.headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize(("if_range", "status"), [(TAG, 206), ('"other"', 200), (f"W/{TAG}", 200)])
def test_a_range_holds_for_the_version_that_it_names(file: Path, if_range: str, status: int) -> None:
    response = file_response(request(range="bytes=0-9", if_range=if_range), file, 100, {}, TAG)

    assert response.status_code == status


def test_a_large_file_is_sent_whole(tmp_path: Path) -> None:
    content = b"0123456789" * 100_000
    path = tmp_path / "large"
    path.write_bytes(content)

    response = file_response(request(), path, len(content), {}, TAG)

    assert sent(response) == content


def test_head_has_the_length_and_no_body(file: Path) -> None:
    response = file_response(request("HEAD"), file, 100, {}, TAG)

    assert response.headers["Content-Length"] == "100"
    assert sent(response) == b""


@pytest.mark.parametrize(
    ("headers", "unchanged"),
    [
        ({"if_none_match": TAG}, True),
        ({"if_none_match": f'"a", W/{TAG}'}, True),
        ({"if_none_match": "*"}, True),
        ({"if_none_match": '"a"'}, False),
        ({"if_modified_since": "Thu, 01 Jan 1970 00:16:40 GMT"}, True),
        ({"if_modified_since": "Thu, 01 Jan 1970 00:16:39 GMT"}, False),
        ({"if_modified_since": "nonsense"}, False),
        ({"if_modified_since": "Thu, 01 Jan 99999 00:16:40 GMT"}, False),
        # If both are given, the ETag decides (RFC 9110, 13.2.2).
        ({"if_none_match": '"a"', "if_modified_since": "Thu, 01 Jan 1970 00:16:40 GMT"}, False),
        ({}, False),
    ],
)
def test_a_known_version_is_not_sent_again(headers: dict[str, str], unchanged: bool) -> None:
    assert is_unchanged(request(**headers), "key", 1000) == unchanged


def test_a_file_name_has_a_form_for_old_clients() -> None:
    assert disposition("inline", 'é"a.webp') == "inline; filename=\"__a.webp\"; filename*=UTF-8''%C3%A9%22a.webp"


def test_a_file_name_may_have_other_bytes_than_utf_8() -> None:
    assert disposition("inline", "\udcff") == "inline; filename=\"_\"; filename*=UTF-8''%3F"
