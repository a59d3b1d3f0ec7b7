"""Restarts of each docker-compose service while tasks run: no task is lost, and each has exactly one result."""

import os
import subprocess
import time
from collections.abc import Sequence

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served, http, is_ready
from tests.support.images import photo
from tests.support.waiting import wait_until

SERVICES = ["worker", "nginx", "image-processor", "file-storage", "rabbitmq", "postgres"]
RECOVERY_SECONDS = 150


def restart(service: str, url: str) -> None:
    subprocess.run(["docker-compose", "restart", "--timeout", "20", service], check=True, capture_output=True)
    wait_until(lambda: all(is_ready(f"{url}{place}") for place in (FILES, TASKS)), "both services are ready")


def await_all(url: str, task_ids: Sequence[int]) -> list[dict[str, object]]:
    deadline = time.monotonic() + RECOVERY_SECONDS
    tasks: list[dict[str, object]] = []
    while time.monotonic() < deadline:
        try:
            page = f"{url}{TASKS}/?after={task_ids[0] - 1}"
            listed = http.get(page, timeout=10)
            tasks = listed.raise_for_status().json()
        except (httpx2.HTTPError, ValueError):
            time.sleep(0.5)
            continue
        if all(task["status"] in ("finished", "error") for task in tasks):
            return tasks
        time.sleep(0.5)
    raise AssertionError([task for task in tasks if task["status"] not in ("finished", "error")])


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_loses_no_task(pixmill: Served, service: str) -> None:
    name = f"restart-{service}"
    ids = [pixmill.files.upload(photo(2000, 1500, format="JPEG"), name=f"{name}.jpg").id for _ in range(20)]
    task_ids = pixmill.run(ids, "resize", params={"width": 900}).task_ids

    restart(service, os.environ["PIXMILL_URL"])
    tasks = await_all(os.environ["PIXMILL_URL"], task_ids)

    assert [task["status"] for task in tasks] == ["finished"] * 20, tasks
    files = http.get(f"{os.environ['PIXMILL_URL']}{FILES}/").json()
    results = [file["id"] for file in files if file["name"] == name and file["id"] not in ids]
    assert set(results) == {task["result_id"] for task in tasks}
    assert len(results) == len(tasks)
