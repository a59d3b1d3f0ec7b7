"""The Python client against a running Pixmill."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixmill.client import Client, PixmillError

from tests.support.images import photo
from tests.support.stacks import Stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def test_an_uploaded_file_comes_back_byte_by_byte(client: Client, tmp_path: Path) -> None:
    content = os.urandom(1_000_000)
    (tmp_path / "имя.bin").write_bytes(content)

    file = client.upload(tmp_path / "имя.bin", comment="random")
    client.download(file.id, tmp_path / "back.bin")

    assert (file.name, file.extension, file.comment, file.size) == ("имя", ".bin", "random", 1_000_000)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "back.bin").read_bytes() == content


def test_a_batch_is_waited_for_and_its_results_are_files(client: Client) -> None:
    sources = [client.upload(photo(), f"{number}.png").id for number in range(3)]

    task_ids = client.create_tasks(sources, "flip")
    ended = list(client.wait(task_ids, timeout_seconds=120))

    assert sorted(task.id for task in ended) == sorted(task_ids)
    assert {task.status for task in ended} == {"finished"}
    assert {task.source_id for task in ended} == set(sources)


def test_a_task_in_error_says_why(client: Client) -> None:
    [task] = client.wait(client.create_tasks([client.upload(b"no image", "a.jpg").id], "flip"), timeout_seconds=120)

    assert task.status == "error"
    assert task.error


def test_a_refusal_has_its_status_kind_and_detail(client: Client, tmp_path: Path) -> None:
    with pytest.raises(PixmillError, match="There is no file 9999999999") as refused:
        client.download(9_999_999_999, tmp_path / "nothing")

    assert (refused.value.status, refused.value.kind) == (404, "file-not-found")
    assert list(tmp_path.iterdir()) == []


def test_tasks_that_do_not_end_in_time_are_a_timeout(client: Client) -> None:
    unknown = 9_999_999_999

    with pytest.raises(TimeoutError, match="1 of 1 tasks"):
        list(client.wait([unknown], timeout_seconds=0))
