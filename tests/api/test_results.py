"""The worker's client for file-storage: each key has exactly one result."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from image_processor.services.files.client import SMALL_BYTES, FileStorage, NewFile, ResultRevokedError

from tests.support.client import CERTIFICATES, FILES, Served, assert_problem
from tests.support.stacks import Stack


@pytest.fixture
def storage(stack: Stack) -> Iterator[FileStorage]:
    with httpx2.Client(base_url=f"{stack.url}{FILES}", trust_env=False, verify=CERTIFICATES) as http:
        yield FileStorage(http)


def store(storage: FileStorage, path: Path, key: str) -> int:
    [answer] = storage.store([NewFile(path, "result.txt", key)])
    assert isinstance(answer, int)
    return answer


@pytest.fixture
def key() -> str:
    return uuid4().hex


def test_the_result_of_the_first_attempt_stays(storage: FileStorage, pixmill: Served, tmp_path: Path, key: str) -> None:
    (tmp_path / "first").write_bytes(b"by one encoder")
    (tmp_path / "second").write_bytes(b"by another")

    first = store(storage, tmp_path / "first", key)
    second = store(storage, tmp_path / "second", key)

    assert first == second
    assert pixmill.files.read(first) == b"by one encoder"


def test_many_results_are_stored_each_under_its_own_name(
    storage: FileStorage, pixmill: Served, tmp_path: Path, key: str
) -> None:
    contents = [b"", b"small", b"small", b"other", bytes(SMALL_BYTES + 1), bytes(SMALL_BYTES + 2)]
    files = [NewFile(tmp_path / str(n), f'a "quoted" {n} 50%22.png', f"{key}-{n}") for n in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.path.write_bytes(content)

    stored = storage.store(files)

    assert len(set(stored)) == len(contents)
    assert [pixmill.files.read(file_id) for file_id in stored if isinstance(file_id, int)] == contents
    names = [pixmill.http.get(f"{FILES}/{file_id}").json()["name"] for file_id in stored]
    assert names == [f'a "quoted" {n} 50%22' for n in range(len(contents))]
    assert storage.store(files) == stored


def test_a_revoked_key_does_not_affect_other_results(
    storage: FileStorage, pixmill: Served, tmp_path: Path, key: str
) -> None:
    files = [NewFile(tmp_path / str(n), f"{n}.txt", f"{key}-{n}") for n in range(3)]
    for file in files:
        file.path.write_text(file.name)
    storage.revoke(f"{key}-1")

    first, revoked, last = storage.store(files)

    assert isinstance(revoked, ResultRevokedError)
    assert isinstance(first, int) and isinstance(last, int)
    assert [pixmill.files.read(first), pixmill.files.read(last)] == [b"0.txt", b"2.txt"]


def test_a_revoked_key_stores_no_result(storage: FileStorage, pixmill: Served, tmp_path: Path, key: str) -> None:
    (tmp_path / "result").write_bytes(b"unwanted")
    made = store(storage, tmp_path / "result", key)

    storage.revoke(key)

    [answer] = storage.store([NewFile(tmp_path / "result", "result.txt", key)])
    assert isinstance(answer, ResultRevokedError)
    assert_problem(pixmill.http.get(f"{FILES}/{made}"), 404, "no file")


def test_a_file_is_found_by_its_key(storage: FileStorage, pixmill: Served, tmp_path: Path, key: str) -> None:
    (tmp_path / "result").write_bytes(b"x")
    made = store(storage, tmp_path / "result", key)

    assert pixmill.http.get(f"{FILES}/idempotency-keys/{key}").json()["id"] == made
    assert_problem(pixmill.http.get(f"{FILES}/idempotency-keys/{uuid4().hex}"), 404, "No file was created")
