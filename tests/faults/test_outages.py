"""Outages: responses while a part is unavailable, and the recovery."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.task_load import TaskLoad
from tests.support.client import FILES, ONCE, TASKS, Served, assert_problem, ended_task, http
from tests.support.environment import LEASE
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.leftovers import disk_name
from tests.support.stacks import FullStack, start

MIB = 1024 * 1024


@pytest.fixture
def stack(strict: FullStack) -> FullStack:
    return strict


def test_without_rabbitmq_tasks_are_accepted_and_run_later(stack: FullStack, pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png")
    stack.await_saved_queue()
    stack.rabbitmq.kill()

    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [source.id], "algorithm": "flip"})
    stack.rabbitmq.start()

    assert response.status_code == 201
    assert ended_task(pixmill, response.json()["task_ids"][0]).status == "finished"


def test_a_worker_logs_the_loss_of_rabbitmq_as_json(stack: FullStack) -> None:
    stack.await_saved_queue()
    stack.rabbitmq.kill()
    stack.rabbitmq.start()

    lines = stack.worker.logged("broker lost")

    assert {json.loads(line)["level"] for line in lines} == {"warning"}


def test_without_postgresql_responses_are_503_with_retry_after(stack: FullStack, pixmill: Served) -> None:
    stack.postgres.stop()
    try:
        refused = [pixmill.http.get(f"{TASKS}/"), pixmill.http.get(f"{FILES}/1")]
    finally:
        stack.postgres.start()

    for response in refused:
        assert_problem(response, 503, "try again")
        assert int(response.headers["Retry-After"]) > 0
    stack.await_ready()


@pytest.mark.thorough
def test_services_started_before_postgresql_wait_for_it(stack: FullStack, pixmill: Served) -> None:
    services = (stack.file_storage, stack.image_processor)
    stack.postgres.stop()
    for service in services:
        service.stop()
        service.start()
    time.sleep(3)
    stack.postgres.start()
    stack.await_ready()

    assert [service.popen.poll() for service in services] == [None, None]
    assert [service.log.read_text().count("Traceback") for service in services] == [0, 0]
    source = pixmill.files.upload(photo(), name="p.png")
    assert ended_task(pixmill, pixmill.run([source.id], "flip").task_ids[0]).status == "finished"


def test_without_file_storage_responses_are_503_with_retry_after(stack: FullStack, pixmill: Served) -> None:
    stack.file_storage.kill()
    responses = [pixmill.http.get(f"{FILES}/")]
    # For the second, nginx first asks whether there is enough space.
    responses += [pixmill.http.put(f"{FILES}/a.bin", content=bytes(size)) for size in (1, 15_000_000)]
    responses.append(pixmill.http.post(f"{TASKS}/", json={"file_ids": [1], "algorithm": "flip"}))
    stack.file_storage.start()
    stack.await_ready()

    for response in responses:
        assert_problem(response, 503, "try again")
        assert response.headers["Retry-After"] == "5"


@pytest.mark.thorough
def test_without_file_storage_tasks_wait(stack: FullStack, pixmill: Served) -> None:
    sources = [pixmill.files.upload(photo(90 + n, 50), name=f"{n}.png").id for n in range(10)]
    task_ids = pixmill.run(sources, "pause", params={"seconds": 0.5}).task_ids
    stack.file_storage.kill()
    time.sleep(3)
    statuses = {task["status"] for task in pixmill.http.get(f"{TASKS}/", params={"id": task_ids}).json()}
    stack.file_storage.start()

    assert statuses <= {"pending", "processing", "finished"}
    assert {ended_task(pixmill, task_id).status for task_id in task_ids} == {"finished"}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of ``size`` bytes at ``folder``; return the path for a file that fills it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", disk_name(), str(folder)], check=True)
    try:
        yield folder / "filler"
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(filler: Path) -> None:
    """Fill the file system of a file to the last block."""
    with filler.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    continue


@pytest.mark.thorough
@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a file system")
def test_a_full_disk_answers_507_and_loses_no_task() -> None:
    folder = temporary_folder("full-disk")
    with small_disk(folder / "files", 4 * MIB) as filler:
        started = start("full", folder, LEASE | {"FILE_STORAGE_STORAGE__RESERVE_BYTES": "0"})
        assert isinstance(started, FullStack)
        try:
            load = TaskLoad(started, "full-disk")
            filler.write_bytes(bytes(4 * MIB - 200 * 1024))
            load.create_batches()
            time.sleep(2)
            with Served(started.url) as client:
                form = client.http.post(f"{FILES}/", files={"file": ("large.bin", bytes(MIB))})
                raw = client.http.put(f"{FILES}/large.bin", content=bytes(MIB))
            assert_problem(form, 507, "no room")
            assert_problem(raw, 507, "no room")
            filler.unlink()

            assert {task.status for task in load.check()} == {"finished"}
        finally:
            started.stop()


@pytest.mark.thorough
@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a file system")
def test_a_disk_that_is_full_to_the_last_byte_is_reported_by_the_embedded_stack_and_leaves_nothing() -> None:
    folder = temporary_folder("full-embedded")
    with small_disk(folder / "data", 60 * MIB) as filler:
        started = start("embedded", folder, {"FILE_STORAGE_STORAGE__RESERVE_BYTES": "0"})
        try:
            with Served(started.url) as client:
                source = client.files.upload(photo(600, 400), name="p.png").id
                sources = [client.files.upload(photo(400 + n, 300), name=f"{n}.png").id for n in range(10)]
                waiting = client.run(sources, "convert", params={"format": "avif"}).task_ids
                # Make sure that the render service has started.
                assert client.http.get(f"{TASKS}/thumbnails/{source}/128").status_code == 200
                fill(filler)
                form = client.http.post(f"{FILES}/", files={"file": ("large.bin", os.urandom(MIB))})
                raw = client.http.put(f"{FILES}/large.bin", content=os.urandom(MIB))
                announced = {"Tus-Resumable": "1.0.0", "Upload-Length": str(MIB)}
                tus = client.http.post(f"{FILES}/uploads/", headers=announced)
                task = client.http.post(f"{TASKS}/", json={"file_ids": [source], "algorithm": "flip", "params": {}})
                render = client.http.get(f"{TASKS}/thumbnails/{source}/512")
                kept = client.http.get(f"{FILES}/{source}")
                filler.unlink()
                again = client.files.upload(os.urandom(MIB), name="again.bin")

                for refused in (form, raw, tus):
                    assert_problem(refused, 507, "no room")
                assert_problem(task, 507, "full")
                assert_problem(render, 503, "full")
                assert kept.status_code == 200
                assert {ended_task(client, task_id).status for task_id in waiting} == {"finished"}
                assert client.http.get(f"{TASKS}/thumbnails/{source}/512").status_code == 200
                assert {file["id"] for file in client.http.get(f"{FILES}/").json()} >= {source, again.id}
            assert list((started.files / "staging").iterdir()) == []
        finally:
            started.stop()


@pytest.mark.thorough
@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a file system")
def test_tasks_wait_while_a_workers_disk_is_full() -> None:
    folder = temporary_folder("full-scratch")
    with small_disk(folder / "scratch-worker", 64 * MIB) as filler:
        started = start("full", folder, LEASE)
        try:
            fill(filler)
            with Served(started.url) as client:
                source = client.files.upload(photo(600, 400), name="p.png").id
                algorithms: dict[str, dict[str, object]] = {"flip": {}, "convert": {"format": "avif"}, "histogram": {}}
                task_ids = [
                    client.run([source], name, params=params).task_ids[0] for name, params in algorithms.items()
                ]
                time.sleep(5)
                waiting = [client.http.get(f"{TASKS}/{task_id}").json() for task_id in task_ids]
                filler.unlink()

                assert {task["status"] for task in waiting} <= {"pending", "processing"}
                assert {ended_task(client, task_id).status for task_id in task_ids} == {"finished"}
        finally:
            started.stop()


@pytest.mark.thorough
def test_a_rolling_restart_refuses_no_request_and_fails_no_task(stack: FullStack) -> None:
    load = TaskLoad(stack, "rolling", ONCE)
    statuses: list[int] = []
    ended = threading.Event()

    def send_requests() -> None:
        while not ended.wait(0.02):
            for place in (FILES, TASKS):
                url = f"{stack.url}{place}/?limit=1"
                statuses.append(http.get(url, timeout=120).status_code)

    sender = threading.Thread(target=send_requests)
    sender.start()
    with load.running():
        for service in (stack.file_storage, stack.image_processor, stack.nginx):
            service.popen.send_signal(signal.SIGHUP)
            time.sleep(4)
        stack.worker.stop()
        stack.worker.start()
        time.sleep(1)
    ended.set()
    sender.join()

    assert load.refused == {}
    assert set(statuses) == {200}
    assert {task.status for task in load.check()} == {"finished"}
