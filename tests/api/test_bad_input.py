"""Hostile and invalid requests: each gets a clear problem and leaves no data."""

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.client import FILES, TASKS, Served, assert_problem, ended_task, stored_so_far
from tests.support.environment import MAX_UPLOAD
from tests.support.images import photo, png_bomb
from tests.support.stacks import Stack

BOUNDARY = "b0undary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture
def unchanged(pixmill: Served, stack: Stack) -> Iterator[None]:
    """Check that the test leaves no file, no task and no staging file."""
    before = stored_so_far(pixmill)
    yield
    assert stored_so_far(pixmill) == before
    if stack.files.is_absolute():
        assert list((stack.files / "staging").iterdir()) == []


def part(name: str, filename: str | None, content: bytes) -> bytes:
    suffix = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()

BAD_UPLOADS = {
    "no file part": (part("comment", None, b"x") + END, 400, "no file"),
    "file without file name": (part("file", None, b"x") + END, 400, "file name"),
    "two file parts": (part("file", "a", b"1") + part("file", "b", b"2") + END, 400, "may have at most 1"),
    "file in another part": (part("photo", "a", b"1") + END, 400, "name that part"),
    "truncated": (part("file", "a", b"x" * 1000), 400, "ends early"),
    "no multipart at all": (b"hello", 400, "malformed"),
    "empty": (b"", 400, "malformed"),
    "unknown field": (part("file", "a", b"1") + part("color", None, b"red") + END, 422, "color"),
    "the JSON part is not JSON": (part("file", "a", b"1") + part("json", None, b"{") + END, 400, "JSON"),
    "name of 1000 characters": (part("file", "a" * 1000, b"1") + END, 422, "1000 characters"),
    "name of nothing": (part("file", "a.txt", b"1") + part("name", None, b"\x00\x01") + END, 422, "visible"),
    "fields too long": (
        part("file", "a", b"1") + part("f", None, b"x" * 80_000) + part("g", None, b"x" * 80_000) + END,
        413,
        "131072 bytes together",
    ),
    "too many parts": (b"".join(part(f"f{n}", None, b"") for n in range(99)) + END, 413, "parts"),
}


@pytest.mark.both_stacks
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("body", "status", "word"), BAD_UPLOADS.values(), ids=BAD_UPLOADS.keys())
def test_bad_uploads_are_refused(pixmill: Served, body: bytes, status: int, word: str) -> None:
    response = pixmill.http.post(f"{FILES}/", content=body, headers=MULTIPART)

    assert_problem(response, status, word)


@pytest.mark.both_stacks
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("content_type", "content"), [("application/json", b"{}"), ("text/plain", b"{}"), ("image/jpeg", bytes(4_000_000))]
)
def test_an_upload_of_another_content_type_is_refused(pixmill: Served, content_type: str, content: bytes) -> None:
    response = pixmill.http.post(f"{FILES}/", content=content, headers={"Content-Type": content_type})

    assert_problem(response, 415, "multipart/form-data")


@pytest.mark.both_stacks
@pytest.mark.usefixtures("unchanged")
def test_an_upload_over_the_limit_is_refused(pixmill: Served, stack: Stack) -> None:
    if stack.name == "remote":
        pytest.skip("its limit is 5 GiB")

    response = pixmill.http.post(f"{FILES}/", files={"file": ("large.bin", bytes(MAX_UPLOAD + 2 * 1024 * 1024))})

    assert_problem(response, 413, "bytes")


@pytest.mark.both_stacks
@pytest.mark.usefixtures("unchanged")
def test_a_client_that_disconnects_leaves_nothing(pixmill: Served, stack: Stack) -> None:
    address = urlsplit(stack.url)
    lines = [
        f"POST {FILES}/ HTTP/1.1",
        "Host: localhost",
        "Content-Length: 100000",
        f"Content-Type: {MULTIPART['Content-Type']}",
    ]
    head = "\r\n".join([*lines, "", ""])

    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + part("file", "a", b"x" * 5000))

    assert pixmill.http.get(f"{FILES}/").status_code == 200


@pytest.mark.parametrize(
    ("client_name", "name", "extension"),
    [
        ("../../etc/passwd", "passwd", ""),
        ("a\x00b\x1f.txt", "ab", ".txt"),
        ("photo\u202egpj.exe", "photogpj", ".exe"),
        ("👩‍👧 семья 家族.JPG", "👩‍👧 семья 家族", ".jpg"),
        ("C:\\Users\\me\\pic.jpg", "pic", ".jpg"),
        ("a\\b.txt", "b", ".txt"),
        (".bashrc", ".bashrc", ""),
        ("archive.tar.gz", "archive.tar", ".gz"),
    ],
)
def test_names_are_cleaned_and_unicode_survives(pixmill: Served, client_name: str, name: str, extension: str) -> None:
    body = part("file", client_name, b"x") + END

    file = pixmill.http.post(f"{FILES}/", content=body, headers=MULTIPART).json()

    assert (file["name"], file["extension"]) == (name, extension)


BAD_TASKS: dict[str, tuple[object, int, str]] = {
    "an array": ([1], 422, "dictionary"),
    "null": (None, 422, "dictionary"),
    "no keys": ({}, 422, "file_ids"),
    "unknown key": ({"file_ids": [1], "algorithm": "flip", "colour": 1}, 422, "colour"),
    "file_ids empty": ({"file_ids": [], "algorithm": "flip"}, 422, "file_ids"),
    "file_ids repeated": ({"file_ids": [1, 1], "algorithm": "flip"}, 422, "once"),
    "file_ids too many": ({"file_ids": list(range(1, 10_002)), "algorithm": "flip"}, 422, "10000"),
    "file_ids negative": ({"file_ids": [-1], "algorithm": "flip"}, 422, "greater"),
    "file_ids text": ({"file_ids": ["1"], "algorithm": "flip"}, 422, "integer"),
    "file_ids float": ({"file_ids": [1.5], "algorithm": "flip"}, 422, "integer"),
    "file_ids true": ({"file_ids": [True], "algorithm": "flip"}, 422, "integer"),
    "file_ids beyond 2^63": ({"file_ids": [2**63], "algorithm": "flip"}, 422, "less than"),
    "file_ids unknown": ({"file_ids": [999_999_999], "algorithm": "flip"}, 404, "999999999"),
    "algorithm unknown": ({"file_ids": [1], "algorithm": "magic"}, 422, "magic"),
    "params missing": ({"file_ids": [1], "algorithm": "resize"}, 422, "width"),
    "params unknown": ({"file_ids": [1], "algorithm": "flip", "params": {"speed": 1}}, 422, "speed"),
    "params not an object": ({"file_ids": [1], "algorithm": "flip", "params": 3}, 422, "params"),
    "width 0": ({"file_ids": [1], "algorithm": "resize", "params": {"width": 0}}, 422, "width"),
    "width 16385": ({"file_ids": [1], "algorithm": "resize", "params": {"width": 16385}}, 422, "width"),
    "width text": ({"file_ids": [1], "algorithm": "resize", "params": {"width": "128"}}, 422, "width"),
    "direction diagonal": ({"file_ids": [1], "algorithm": "flip", "params": {"direction": "up"}}, 422, "direction"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("body", "status", "word"), BAD_TASKS.values(), ids=BAD_TASKS.keys())
def test_bad_batches_are_refused(pixmill: Served, body: object, status: int, word: str) -> None:
    response = pixmill.http.post(f"{TASKS}/", content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert_problem(response, status, word)


@pytest.mark.both_stacks
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "open", "not UTF-8", "deep"])
def test_a_body_that_is_not_json_is_refused(pixmill: Served, body: bytes) -> None:
    response = pixmill.http.post(f"{TASKS}/", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "JSON")


@pytest.mark.usefixtures("unchanged")
def test_a_batch_of_another_content_type_is_refused(pixmill: Served) -> None:
    response = pixmill.http.post(f"{TASKS}/", content=b"{}", headers={"Content-Type": "text/plain"})

    assert_problem(response, 415, "application/json")


@pytest.mark.usefixtures("unchanged")
def test_a_batch_with_an_unknown_file_creates_no_task(pixmill: Served) -> None:
    known = [file["id"] for file in pixmill.http.get(f"{FILES}/").json()][:2]

    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [*known, 987_654_321], "algorithm": "flip"})

    assert_problem(response, 404, "987654321")


@pytest.mark.both_stacks
@pytest.mark.parametrize("place", [FILES, TASKS])
@pytest.mark.parametrize("file_id", ["0", "999999999", str(2**63), "9" * 300])
def test_unknown_ids_get_404(pixmill: Served, place: str, file_id: str) -> None:
    assert_problem(pixmill.http.get(f"{place}/{file_id}"), 404, "there is no")


@pytest.mark.both_stacks
@pytest.mark.parametrize("path", [f"{FILES}/x", f"{FILES}/-1", f"{TASKS}/1/2/3"])
def test_unknown_paths_get_404(pixmill: Served, path: str) -> None:
    assert_problem(pixmill.http.get(path), 404, "nothing")


@pytest.mark.both_stacks
def test_another_method_gets_405_with_allow(pixmill: Served) -> None:
    response = pixmill.http.put(f"{TASKS}/", content=b"")

    assert_problem(response, 405, "PUT")
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=3"])
@pytest.mark.parametrize("place", [FILES, TASKS])
def test_a_wrong_query_is_refused(pixmill: Served, place: str, query: str) -> None:
    assert_problem(pixmill.http.get(f"{place}/?{query}"), 422, query.split("=")[0])


@pytest.mark.parametrize("place", [FILES, TASKS])
def test_the_error_for_a_misspelled_parameter_lists_the_parameters(pixmill: Served, place: str) -> None:
    assert_problem(pixmill.http.get(f"{place}/?limits=3"), 422, "/limits: Unknown field; the fields are: limit, ")


@pytest.mark.both_stacks
@pytest.mark.parametrize(("language", "expected"), [("en", "Input should be"), ("ru", "Допустимые значения:")])
@pytest.mark.parametrize("operation", ["cancel", "restart", "forget"])
def test_the_error_for_a_wrong_state_lists_the_states(
    pixmill: Served, operation: str, language: str, expected: str
) -> None:
    response = pixmill.http.post(
        f"{TASKS}/{operation}", json={"status": "ended"}, headers={"Accept-Language": language}
    )

    [error] = response.json()["errors"]
    assert (response.status_code, error["pointer"]) == (422, "/status")
    assert error["detail"].startswith(f"{expected} '")
    assert not re.search("[<>]|TaskStatus", response.text)


@pytest.mark.parametrize("field", ["name", "extension", "media_type"])
def test_a_filter_with_a_nul_is_refused(pixmill: Served, field: str) -> None:
    assert_problem(pixmill.http.get(f"{FILES}/", params={field: "a\0b"}), 422, field)


def test_a_comment_with_a_nul_is_refused(pixmill: Served) -> None:
    file_id = pixmill.files.upload(b"x", name="a.txt").id

    assert_problem(
        pixmill.http.post(f"{FILES}/", files={"file": ("a.txt", b"x")}, data={"comment": "a\0b"}), 422, "comment"
    )
    assert_problem(pixmill.http.patch(f"{FILES}/{file_id}", json={"comment": "a\0b"}), 422, "comment")
    assert_problem(pixmill.http.put(f"{FILES}/", params={"name": "a", "comment": "a\0b"}), 422, "comment")


@pytest.mark.both_stacks
@pytest.mark.parametrize("target", ["?name=...", "?name=a.bin&colour=red", "a.bin?colour=red"])
def test_a_large_refused_body_gets_its_response(pixmill: Served, target: str) -> None:
    assert_problem(pixmill.http.put(f"{FILES}/{target}", content=bytes(20_000_000)), 422, "")


@pytest.mark.parametrize("after", [-1, 2**63])
def test_an_impossible_cursor_is_refused(pixmill: Served, after: int) -> None:
    assert_problem(pixmill.http.get(f"{TASKS}/?after={after}"), 422, "after")
    assert_problem(pixmill.http.get(f"{FILES}/?after={after}"), 404, "Link header")


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "x" * 256}, {"size": 3}, {"name": 3}, []])
def test_a_wrong_change_is_refused(pixmill: Served, body: object) -> None:
    file = pixmill.files.upload(b"x", name="a.txt")

    response = pixmill.http.patch(f"{FILES}/{file.id}", json=body)

    assert_problem(response, 422, "")
    assert pixmill.files.get(file.id) == file


def test_only_a_task_in_error_can_be_restarted(pixmill: Served) -> None:
    task = ended_task(pixmill, pixmill.run([pixmill.files.upload(photo(), name="p.png").id], "flip").task_ids[0])

    assert_problem(pixmill.http.post(f"{TASKS}/{task.id}/restart"), 409, "finished")
    assert_problem(pixmill.http.post(f"{TASKS}/999999999/restart"), 404, "999999999")


SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" width="100" height="20"><text y="15">&x;</text></svg>"""
BAD_IMAGES = {
    "text renamed .jpg": ("text.jpg", lambda: b"just text", "not an image"),
    "empty": ("empty.jpg", lambda: b"", "not an image"),
    "truncated JPEG": ("cut.jpg", lambda: photo(400, 300, format="JPEG")[:6000], "the file is truncated"),
    "PNG bomb": ("bomb.png", png_bomb, "2,500,000,000 pixels"),
    "SVG with an external entity": ("evil.svg", lambda: SVG, "undefined entity"),
}


@pytest.mark.parametrize(("name", "make", "word"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_images_end_in_error_and_leave_no_file(pixmill: Served, name: str, make, word: str) -> None:  # type: ignore[no-untyped-def]  # a lambda of the table
    source = pixmill.files.upload(make(), name=name)
    files_before = stored_so_far(pixmill)[0]

    task = ended_task(pixmill, pixmill.run([source.id], "flip").task_ids[0])

    assert task.status == "error"
    assert word in str(task.error)
    assert "/" not in str(task.error), "the error must not contain a path of the server"
    assert stored_so_far(pixmill)[0] == files_before
