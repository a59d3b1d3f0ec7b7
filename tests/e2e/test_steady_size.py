"""A server in daily use keeps its size: thirty simulated days, each of which lasts seconds."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.client import FILES, TASKS, Served, ended_task, stored_so_far
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.servers import query
from tests.support.stacks import EmbeddedStack, FullStack, start
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(3600)]

DAYS = 10
"""Days before the first measurement; twice as many follow."""
DAY_SECONDS = 10
FILES_A_DAY = 40
KEPT_DAYS = 2
"""How long files and tasks are kept; events are kept for at least a minute, which is six simulated days."""
GROWTH = 1.5
"""Maximum ratio of the second size to the first; what is never removed would triple. VACUUM runs irregularly."""

_kept = str(KEPT_DAYS * DAY_SECONDS)
RETENTION = {
    "FILE_STORAGE_TRASH__SECONDS": str(DAY_SECONDS),
    "FILE_STORAGE_EVENTS__KEEP_SECONDS": "60",
    "WORKER_RELAY__KEEP_EVENTS_SECONDS": "60",
    "WORKER_RELAY__KEEP_TASKS_SECONDS": _kept,
    "WORKER_RELAY__KEEP_CACHE_SECONDS": _kept,
    "ACCESS_AUDIT__KEEP_SECONDS": _kept,
}
_numbers = count()


# With the names of the shared stacks, one runner would run these tests after all others of the stack.
@pytest.fixture(params=[pytest.param(name, id=f"new-{name}") for name in ("full", "embedded")])
def stack(request: pytest.FixtureRequest) -> Iterator[FullStack | EmbeddedStack]:
    stack = start(request.param, temporary_folder("steady"), RETENTION)
    yield stack
    stack.stop()


def upload(pixmill: Served, name: str, **fields: str) -> int:
    """Upload a picture; return the id of its file."""
    stored = pixmill.http.post(f"{FILES}/", files={"file": (name, picture())}, data=fields)
    return int(stored.raise_for_status().json()["id"])


def use_for_a_day(pixmill: Served) -> None:
    """Upload, process and delete files; nothing is kept for long.

    Half of the files expire. The others are processed and deleted, as they must not expire before, however slow it is.
    """
    ids: list[int] = []
    for _ in range(FILES_A_DAY // 2):
        # By forms: the published client sends keys, which the server keeps for a day that is not simulated.
        upload(pixmill, "expires.jpg", expires_in=_kept)
        ids.append(upload(pixmill, "a.jpg"))
    created = pixmill.http.post(f"{TASKS}/", json={"file_ids": ids, "algorithm": "flip", "expires_in": int(_kept)})
    assert created.status_code == 201, created.text
    for task_id in created.json()["task_ids"][-5:]:
        assert ended_task(pixmill, task_id).status == "finished"
    deleted = pixmill.http.post("/api/file-server/delete", json={"ids": ids})
    assert deleted.json()["deleted"] == len(ids), deleted.text


def use_for(days: int, pixmill: Served) -> None:
    """Use the server for these days, and wait until it has removed all files and tasks."""
    for _ in range(days):
        ends = time.monotonic() + DAY_SECONDS
        use_for_a_day(pixmill)
        time.sleep(max(0.0, ends - time.monotonic()))
    wait_until(lambda: stored_so_far(pixmill) == (0, 0), "all files and tasks are removed")


def picture() -> bytes:
    return photo(64 + next(_numbers) % 512, 48, format="JPEG", quality=95)


def database_bytes(stack: FullStack | EmbeddedStack) -> int:
    if isinstance(stack, FullStack):
        sizes = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN"
        system = "(SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')"
        return int(query(stack.postgres_port, f"{sizes} {system}"))
    return sum(path.stat().st_size for path in stack.data.glob("*.db*"))


def bytes_in(folder: Path) -> int:
    return sum(size for path in folder.rglob("*") if (size := _size_of(path)) is not None)


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:  # the server removed it
        return None


def test_thirty_days_of_use_leave_the_size_as_it_is(stack: FullStack | EmbeddedStack) -> None:
    with Served(stack.url) as pixmill:
        use_for(DAYS, pixmill)
        wait_until(lambda: bytes_in(stack.files) == 0, "no file leaves bytes")
        before = database_bytes(stack)

        use_for(2 * DAYS, pixmill)

        wait_until(lambda: bytes_in(stack.files) == 0, "no file leaves bytes")
        assert database_bytes(stack) <= GROWTH * before
