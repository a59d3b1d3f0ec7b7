"""Results go from disk to a real file-storage; what was stored leaves the disk and can be reused."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from file_storage.app import create_app as create_file_server
from image_processor.services.files.client import FileStorage
from image_processor.services.jobs.attempts import ResultFile
from image_processor.services.jobs.outcomes import Failed, Finished, Outcome, Postponed
from image_processor.services.jobs.result_cache import CacheHit, ResultCache
from image_processor.services.jobs.result_upload import ResultUpload
from service_kit.database import Database

from tests.support.applications import configure_applications
from tests.support.claims import claim_of
from tests.support.environment import WORKER_SECRET


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    """Return a client of file-storage with the secret of a worker."""
    configure_applications(monkeypatch, "result-upload")
    headers = {"Authorization": f"Bearer {WORKER_SECRET}", "X-Pixmill-Owner": "ann", "X-Pixmill-Sees": "all"}
    transport = httpx2.WSGITransport(app=create_file_server())
    with httpx2.Client(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


def stored(files: httpx2.Client, outcome: Outcome) -> dict[str, object]:
    """Return the row of a task's result."""
    assert isinstance(outcome, Finished)
    [file] = files.post("/lookup", json={"ids": [outcome.result_id]}).raise_for_status().json()["files"]
    return dict(file)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def result_in(folder: Path, content: bytes, extension: str | None = None, key: str | None = None) -> ResultFile:
    path = folder / digest(content)
    path.write_bytes(content)
    return ResultFile(path, extension, key)


def test_a_stored_result_leaves_the_disk_and_is_a_file(
    database: Database, files: httpx2.Client, tmp_path: Path
) -> None:
    result = result_in(tmp_path, b"result")

    [ended] = ResultUpload(FileStorage(files), ResultCache(database)).store([(claim_of(1), result)])

    assert stored(files, ended.outcome)["sha256"] == digest(b"result")
    assert not result.path.exists()


def test_the_result_of_a_file_with_the_longest_name_is_stored(
    database: Database, files: httpx2.Client, tmp_path: Path
) -> None:
    claim = replace(claim_of(1), source_name="n" * 255, source_extension="." + "e" * 254)
    other = replace(claim, task_id=2, result_key="other")
    small, large = result_in(tmp_path, b"small"), result_in(tmp_path, b"large" * 200_000)
    alone, together = ResultUpload(FileStorage(files), ResultCache(database)), [(claim, small), (other, large)]

    ended = alone.store(together)

    names = [(row["name"], row["extension"]) for row in (stored(files, each.outcome) for each in ended)]
    assert names == [(claim.source_name, claim.source_extension)] * 2


def test_the_result_of_a_long_name_with_two_dots_in_its_extension_is_stored(
    database: Database, files: httpx2.Client, tmp_path: Path
) -> None:
    claim = replace(claim_of(1), source_name="n" * 253, source_extension=".foo.jpg")

    [ended] = ResultUpload(FileStorage(files), ResultCache(database)).store([(claim, result_in(tmp_path, b"result"))])

    row = stored(files, ended.outcome)
    assert (row["name"], row["extension"]) == ("n" * 251 + ".foo", ".jpg")


@pytest.mark.parametrize(("extension", "expected"), [(None, ".jpg"), (".png", ".png")])
def test_a_result_has_the_extension_of_its_format_or_else_of_the_source(
    database: Database, files: httpx2.Client, tmp_path: Path, extension: str | None, expected: str
) -> None:
    upload = ResultUpload(FileStorage(files), ResultCache(database))

    [ended] = upload.store([(claim_of(1), result_in(tmp_path, b"result", extension))])

    file = stored(files, ended.outcome)
    assert (file["name"], file["extension"]) == ("p", expected)


def test_only_results_with_a_key_that_were_stored_can_be_reused(
    database: Database, files: httpx2.Client, tmp_path: Path
) -> None:
    FileStorage(files).acting_for("ann").revoke("key-2")
    cache = ResultCache(database)
    results = [
        (claim_of(1), result_in(tmp_path, b"first", ".png", "cached")),
        (claim_of(2), result_in(tmp_path, b"second", ".png", "refused")),
        (claim_of(3), result_in(tmp_path, b"third", ".png", None)),
    ]

    ended = ResultUpload(FileStorage(files), cache).store(results)

    first = ended[0].outcome
    assert isinstance(first, Finished)
    assert cache.find(["cached", "refused"]) == {"cached": CacheHit(first.result_id, ".png")}


def test_a_failure_affects_only_its_own_task(database: Database, files: httpx2.Client, tmp_path: Path) -> None:
    FileStorage(files).acting_for("ann").revoke("key-2")
    results = [(claim_of(task_id), result_in(tmp_path, bytes([task_id]))) for task_id in (1, 2, 3)]

    ended = ResultUpload(FileStorage(files), ResultCache(database)).store(results)

    assert [isinstance(end.outcome, Finished) for end in ended] == [True, False, True]
    assert not any(result.path.exists() for _, result in results)


def test_an_attempt_without_a_result_keeps_its_outcome_and_its_place(
    database: Database, files: httpx2.Client, tmp_path: Path
) -> None:
    failed = Failed("The image is damaged.")

    first, second, third = ResultUpload(FileStorage(files), ResultCache(database)).store(
        [(claim_of(1), result_in(tmp_path, b"1")), (claim_of(2), failed), (claim_of(3), result_in(tmp_path, b"3"))]
    )

    assert second.outcome == failed
    assert [stored(files, end.outcome)["sha256"] for end in (first, third)] == [digest(b"1"), digest(b"3")]


def test_a_result_waits_while_file_storage_does_not_answer(database: Database, tmp_path: Path) -> None:
    cache = ResultCache(database)
    with httpx2.Client(base_url="http://127.0.0.1:1") as away:
        [ended] = ResultUpload(FileStorage(away), cache).store([(claim_of(1), result_in(tmp_path, b"1", None, "key"))])

    assert isinstance(ended.outcome, Postponed)
    assert cache.find(["key"]) == {}
