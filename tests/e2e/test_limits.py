"""Limits of tasks, with algorithms that exceed them, and limits of storage; other tasks are not affected."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.support.client import FILES, TASKS, Served, ended_task, stored_so_far
from tests.support.environment import STRICT
from tests.support.folders import temporary_folder
from tests.support.images import encoded, photo
from tests.support.raw_http import assert_refused, begun
from tests.support.stacks import FullStack, Stack, start
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=["strict", pytest.param("embedded", marks=pytest.mark.thorough)])
def limited(request: pytest.FixtureRequest) -> Iterator[Stack]:
    if request.param == "strict":
        yield request.getfixturevalue("strict")
        return
    stack = start(request.param, temporary_folder("limits"), STRICT)
    yield stack
    stack.stop()


@pytest.fixture
def pixmill(limited: Stack) -> Iterator[Served]:
    with Served(limited.url) as client:
        yield client


def await_status(pixmill: Served, task_id: int, status: str) -> None:
    wait_until(lambda: pixmill.http.get(f"{TASKS}/{task_id}").json()["status"] == status, f"the task is {status}")


def lines_of(log: Path, words: str) -> list[str]:
    return [line for line in log.read_text().splitlines() if words in line]


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        pytest.param("crash", "Gave up after 3 crashes: the task crashed its process", marks=pytest.mark.thorough),
        pytest.param("break_out", "Gave up after 3 crashes: the task crashed its process", marks=pytest.mark.thorough),
        ("hang", "Gave up: it took longer than 8 seconds. Make the image smaller first"),
        ("hoard", "The image needs more memory than a worker may use."),
    ],
)
def test_a_task_that_exceeds_a_limit_ends_in_error_and_others_finish(
    pixmill: Served, algorithm: str, words: str
) -> None:
    source_id = pixmill.files.upload(photo(), name="p.png").id

    bad = pixmill.run([source_id], algorithm).task_ids[0]
    good = [pixmill.run([source_id], "resize", params={"width": 10 + n}).task_ids[0] for n in range(20)]

    assert {ended_task(pixmill, task_id).status for task_id in good} == {"finished"}
    task = ended_task(pixmill, bad)
    assert task.status == "error"
    assert words in str(task.error)


def test_a_picture_that_takes_a_process_over_runs_nothing_outside_the_sandbox(pixmill: Served, limited: Stack) -> None:
    created = limited.folder / "created"
    source_id = pixmill.files.upload(photo(), name="p.png").id

    bad = pixmill.run([source_id], "break_out", params={"path": str(created)}).task_ids[0]
    wait_until(lambda: "message of a process refused" in limited.worker_log.read_text(), "the message is refused")
    pixmill.http.post(f"{TASKS}/{bad}/cancel")
    good = pixmill.run([source_id], "resize", params={"width": 10}).task_ids[0]

    assert ended_task(pixmill, good).status == "finished"
    assert not created.exists()


def test_a_task_of_files_that_are_too_large_together_ends_in_error(pixmill: Served) -> None:
    noise = numpy.random.default_rng(1).integers(0, 255, (100, 100, 3), dtype="uint8")
    large = encoded(Image.fromarray(noise), "PNG")
    assert len(large) < 100_000 < 4 * len(large)
    first, *others = [pixmill.files.upload(large, name="p.png").id for _ in range(4)]

    task = ended_task(pixmill, pixmill.run([first], "montage", params={"others": others}).task_ids[0])

    assert task.status == "error"
    assert "the limit is" in str(task.error)


def folders_in(scratch: Path) -> set[str]:
    return {path.name for path in scratch.glob("*/")}


@pytest.mark.thorough
def test_a_killed_task_leaves_nothing_in_the_scratch_folder(pixmill: Served, limited: Stack) -> None:
    # Other tests of this stack may have killed a worker, whose folders are deleted after some minutes.
    before = folders_in(limited.scratch)
    task_id = pixmill.run([pixmill.files.upload(photo(), name="p.png").id], "hang").task_ids[0]

    assert ended_task(pixmill, task_id).status == "error"

    wait_until(lambda: folders_in(limited.scratch) <= before, "the scratch folder has no folder of a task")


def test_a_cancelled_task_is_stopped_and_leaves_no_result(pixmill: Served, limited: Stack) -> None:
    files_before, folders_before = stored_so_far(pixmill)[0], folders_in(limited.scratch)
    source_id = pixmill.files.upload(photo(200, 100), name="p.png").id
    task_id = pixmill.run([source_id], "hang").task_ids[0]
    await_status(pixmill, task_id, "processing")

    cancelled = pixmill.http.post(f"{TASKS}/{task_id}/cancel").json()
    wait_until(lambda: folders_in(limited.scratch) <= folders_before, "the scratch folder has no folder of a task")

    assert cancelled["status"] == "cancelled"
    stopped = lines_of(limited.worker_log, "cancelled task stopped")
    assert sum(f'"task_id": {task_id},' in line for line in stopped) == 1
    time.sleep(2)  # long enough for another attempt to start
    assert pixmill.http.get(f"{TASKS}/{task_id}").json()["status"] == "cancelled"
    assert stored_so_far(pixmill)[0] == files_before + 1


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (f"PUT {FILES}/a.bin", "image/png"),
        (f"POST {FILES}/?name=a.bin", "image/png"),
        (f"POST {FILES}/batch", "multipart/form-data; boundary=x"),
    ],
)
def test_an_upload_over_the_quota_is_refused_before_it_is_sent(strict: FullStack, target: str, kind: str) -> None:
    with begun(strict.url, target, 50_000_000, headers={"Content-Type": kind}) as connection:
        assert_refused(connection, b"507", b"quota-exceeded")


def test_an_upload_within_the_quota_is_stored(strict: FullStack) -> None:
    with Served(strict.url) as client:
        # Large enough that nginx first checks the free space.
        stored = client.http.put(f"{FILES}/a.bin", content=bytes(12_000_000))

    assert stored.status_code == 201
