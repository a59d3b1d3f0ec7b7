"""Uploads that arrive at the same time and are stored together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event

import svcs
from file_storage.models import File
from file_storage.services.files import FileService
from file_storage.services.names import FileName
from file_storage.services.storing import DISK_THREADS, NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import event

from tests.support.waiting import STATE_SECONDS, wait_until

BOB, EVE = (Principal(name, WRITER, limits=Limits(bytes=100)) for name in ("bob", "eve"))


def uploaded_at_once(
    services: svcs.Container, uploads: Sequence[tuple[Principal, bytes, str | None]]
) -> list[Future[File]]:
    """Store files with these owners, bytes and keys, in threads that wait for each other."""
    storing, staging = services.get(StoringService, Staging)

    def upload(principal: Principal, content: bytes, key: str | None) -> File:
        with staging.stage() as staged:
            staged.write(content)
            return storing.store(principal, NewFile(staged, FileName(content[:5].decode(), ".txt"), "", key))

    with ThreadPoolExecutor(len(uploads)) as clients, ExitStack() as turns:
        for principal in {principal for principal, _, _ in uploads}:
            turns.enter_context(storing._group_commit._turn(principal))
        stored = [clients.submit(upload, *arguments) for arguments in uploads]
        wait_until(lambda: len(storing._group_commit._waiting) == len(uploads), "all of them wait")
    return stored


@contextmanager
def commits(services: svcs.Container) -> Iterator[list[str]]:
    """Collect an entry for each commit during the block."""
    seen: list[str] = []
    engine = services.get(Database).engine

    def note(_connection: object) -> None:
        seen.append("commit")

    event.listen(engine, "commit", note)
    yield seen
    event.remove(engine, "commit", note)


def test_they_share_a_commit(services: svcs.Container) -> None:
    services.get(StoringService).check_room(LOCAL, 0)
    contents = [f"{number:05}".encode() for number in range(6)]

    with commits(services) as seen:
        stored = uploaded_at_once(services, [(LOCAL, content, None) for content in contents])

    files = [future.result() for future in stored]
    assert [(file.name.encode(), services.get(FileService).open(file).read()) for file in files] == [
        (content, content) for content in contents
    ]
    assert seen == ["commit"]


def test_equal_bytes_become_files_of_one_blob(services: svcs.Container) -> None:
    stored = uploaded_at_once(services, [(LOCAL, b"equal", None)] * 3)
    assert len({(future.result().id, future.result().sha256) for future in stored}) == 3
    assert len({future.result().sha256 for future in stored}) == 1


def test_a_key_makes_one_file(services: svcs.Container) -> None:
    stored = uploaded_at_once(services, [(LOCAL, b"equal", "a-key")] * 2 + [(LOCAL, b"other", "another")])
    first, again, other = [future.result().id for future in stored]
    assert (first == again, first == other) == (True, False)


def test_each_file_is_of_its_owner(services: svcs.Container) -> None:
    stored = uploaded_at_once(services, [(BOB, b"first", None), (EVE, b"other", None), (BOB, b"third", None)])
    assert [future.result().owner for future in stored] == ["bob", "eve", "bob"]


def test_they_do_not_wait_for_bytes_that_become_durable(services: svcs.Container) -> None:
    storing, is_durable = services.get(StoringService), Event()
    others = [storing._disk.submit(is_durable.wait, STATE_SECONDS) for _ in range(DISK_THREADS)]

    stored = uploaded_at_once(services, [(LOCAL, b"first", None), (LOCAL, b"other", None)])

    assert {future.result().name for future in stored} == {"first", "other"}
    assert not any(other.done() for other in others)
    is_durable.set()


def test_one_above_the_quota_takes_no_other_with_it(services: svcs.Container) -> None:
    stored = uploaded_at_once(services, [(BOB, bytes([65 + number]) * 40, None) for number in range(3)])

    errors = [future.exception() for future in stored]
    refused = [error.kind for error in errors if isinstance(error, DomainError)]
    assert (refused, errors.count(None)) == (["quota-exceeded"], 2)
