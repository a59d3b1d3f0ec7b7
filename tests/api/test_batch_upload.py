"""Uploads of many files in one request, on both stacks."""

import json
from collections.abc import Mapping
from uuid import uuid4

import httpx2
import pytest

from tests.support.client import FILES, Served, assert_problem

pytestmark = pytest.mark.both_stacks


def post_batch(pixmill: Served, *contents: bytes, json_part: object = None) -> httpx2.Response:
    files = [("file", (f"{n}.txt", content)) for n, content in enumerate(contents)]
    return pixmill.http.post(
        f"{FILES}/batch", files=files, data={} if json_part is None else {"json": json.dumps(json_part)}
    )


def count(pixmill: Served) -> int:
    return len(pixmill.http.get(f"{FILES}/").json())


def test_each_part_becomes_a_file(pixmill: Served) -> None:
    response = post_batch(pixmill, b"one", b"two", b"three")

    assert response.status_code == 200
    files = [item["file"] for item in response.json()["files"]]
    assert [(file["name"], file["extension"], file["size"]) for file in files] == [
        ("0", ".txt", 3),
        ("1", ".txt", 3),
        ("2", ".txt", 5),
    ]
    assert [pixmill.files.read(file["id"]) for file in files] == [b"one", b"two", b"three"]


def test_names_and_comments_are_in_the_order_of_the_files(pixmill: Served) -> None:
    json_part = [{"name": "Берег"}, {"comment": "the second"}]

    first, second = (item["file"] for item in post_batch(pixmill, b"1", b"2", json_part=json_part).json()["files"])

    assert (first["name"], first["comment"]) == ("Берег", "")
    assert (second["name"], second["comment"]) == ("1", "the second")


def test_every_file_may_have_the_longest_comment(pixmill: Served) -> None:
    comment = "🏖" * 10_000

    files = post_batch(pixmill, *[b"x"] * 100, json_part=[{"comment": comment}] * 100).json()["files"]

    assert [item["file"]["comment"] for item in files] == [comment] * 100


def test_the_same_keys_give_the_same_files(pixmill: Served) -> None:
    json_part = [{"idempotency_key": uuid4().hex} for _ in range(3)]

    first = post_batch(pixmill, b"1", b"2", b"3", json_part=json_part).json()
    again = post_batch(pixmill, b"1", b"2", b"3", json_part=json_part).json()

    assert again == first


def test_a_key_used_for_other_bytes_does_not_affect_other_files(pixmill: Served) -> None:
    json_part = [{"idempotency_key": uuid4().hex}, {}]
    post_batch(pixmill, b"before", b"x", json_part=json_part)

    refused, stored = post_batch(pixmill, b"now", b"other", json_part=json_part).json()["files"]

    assert (refused["problem"]["status"], refused["problem"]["type"]) == (
        422,
        "urn:pixmill:problem:idempotency-key-reused",
    )
    assert pixmill.files.read(stored["file"]["id"]) == b"other"


def test_shared_bytes_stay_until_the_last_file_is_deleted(pixmill: Served) -> None:
    content = uuid4().bytes
    first, second = (item["file"]["id"] for item in post_batch(pixmill, content, content).json()["files"])

    pixmill.http.delete(f"{FILES}/{first}").raise_for_status()

    assert pixmill.files.read(second) == content


def test_an_invalid_batch_is_refused_and_nothing_is_stored(pixmill: Served) -> None:
    key = {"idempotency_key": "the same"}
    before = count(pixmill)

    assert_problem(post_batch(pixmill, *[b"x"] * 101), 400, "may have at most 100")
    assert_problem(post_batch(pixmill, b"1", b"2", json_part=[key, key]), 422, "the same idempotency_key")
    assert_problem(post_batch(pixmill, b"1", b"2", json_part=[{}]), 422, "files: 2, and objects in its JSON part: 1;")
    assert_problem(post_batch(pixmill, b"1", json_part={"name": "x"}), 422, "list")
    assert_problem(
        post_batch(pixmill, b"1", json_part=[{"nam": "x"}]), 422, "fields are: name, comment, folder, expires_in, "
    )
    assert_problem(post_batch(pixmill, b"1", json_part=[{"title": "x"}]), 422, "/0/title")
    assert_problem(post_batch(pixmill, b"1", json_part=[{"title": "x" * 14_000_000}]), 413, "13107200 bytes together")
    assert_problem(pixmill.http.post(f"{FILES}/batch", files={"photo": b"x"}), 400, "name that part 'file'")
    assert_problem(pixmill.http.post(f"{FILES}/batch", files={"file": ("x", b"x")}, data={"name": "y"}), 400, "'name'")
    assert_problem(pixmill.http.post(f"{FILES}/batch", content=b"x"), 415, "multipart/form-data")
    assert count(pixmill) == before


def post_copies(pixmill: Served, *copies: Mapping[str, object]) -> httpx2.Response:
    return pixmill.http.post(f"{FILES}/copies", json={"copies": copies})


def test_many_files_are_copied_at_once(pixmill: Served) -> None:
    content = uuid4().bytes
    first, second = pixmill.files.upload(content, name="a.jpg"), pixmill.files.upload(b"another", name="b.png")

    response = post_copies(
        pixmill,
        {"file_id": first.id},
        {"file_id": second.id, "name": "renamed"},
        {"file_id": first.id, "extension": ".webp"},
    )

    assert response.status_code == 200, response.text
    copies = [item["file"] for item in response.json()["files"]]
    assert [copy["name"] + copy["extension"] for copy in copies] == ["a.jpg", "renamed.png", "a.webp"]
    for source in (first, second):
        pixmill.http.delete(f"{FILES}/{source.id}").raise_for_status()
    assert [pixmill.files.read(copy["id"]) for copy in copies] == [content, b"another", content]


def test_the_same_keys_give_the_same_copies(pixmill: Served) -> None:
    source = pixmill.files.upload(uuid4().bytes, name="a.jpg").id
    wanted: list[dict[str, object]] = [{"file_id": source, "idempotency_key": uuid4().hex} for _ in range(3)]

    assert post_copies(pixmill, *wanted).json() == post_copies(pixmill, *wanted).json()


def test_a_copy_of_a_missing_file_does_not_affect_other_copies(pixmill: Served) -> None:
    source = pixmill.files.upload(b"bytes", name="a.jpg").id

    missing, made = post_copies(pixmill, {"file_id": 2**40}, {"file_id": source}).json()["files"]

    assert (missing["problem"]["status"], missing["problem"]["type"]) == (404, "urn:pixmill:problem:file-not-found")
    assert pixmill.files.read(made["file"]["id"]) == b"bytes"


def test_invalid_copies_are_refused_and_none_is_made(pixmill: Served) -> None:
    source = pixmill.files.upload(b"bytes", name="a.jpg").id
    before = count(pixmill)
    key = {"file_id": source, "idempotency_key": "the same"}

    assert_problem(post_copies(pixmill), 422, "at least 1 item")
    assert_problem(post_copies(pixmill, *[{"file_id": source}] * 101), 422, "at most 100 items")
    assert_problem(post_copies(pixmill, key, key), 422, "the same idempotency_key")
    assert_problem(
        post_copies(pixmill, {"file_id": source, "nam": "x"}), 422, "fields are: name, extension, folder, expires_in, "
    )
    assert count(pixmill) == before
