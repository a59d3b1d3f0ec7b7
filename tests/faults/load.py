"""Tasks that run during failures, and the checks afterwards."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.support.client import FILES, TASKS, Served, http
from tests.support.images import photo
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

SOURCES = 8
BATCH = 40
RECOVERY_SECONDS = 150


class Load:
    """Posts batches until it is stopped; every batch answered with 201 must end."""

    def __init__(self, stack: FullStack, name: str) -> None:
        self.stack = stack
        self.name = name
        self.task_ids: list[int] = []
        self.refused: Counter[str] = Counter()
        self._width = 0
        self._stopped = threading.Event()
        with Served(stack.url) as pixmill:
            images = [photo(300 + n, 200, format="JPEG") for n in range(SOURCES)]
            self._sources = [pixmill.files.upload(image, name=f"{name}.jpg").id for image in images]
        self._files_before = {file["id"] for file in self._get(f"{FILES}/")}

    @contextmanager
    def running(self, pause_seconds: float = 0.05) -> Iterator[None]:
        thread = threading.Thread(target=self._post_batches, args=(pause_seconds,))
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def post_batch(self) -> None:
        """Post a batch whose results are not cached."""
        self._width += 1
        file_ids = (self._sources * (BATCH // SOURCES + 1))[:BATCH]
        for start in range(0, BATCH, SOURCES):
            body = {
                "file_ids": file_ids[start : start + SOURCES],
                "algorithm": "resize",
                "params": {"width": 50 + self._width % 100, "height": 40 + start},
                "cache": False,
            }
            try:
                url = f"{self.stack.url}{TASKS}/"
                response = http.post(url, json=body, timeout=30)
            except httpx2.HTTPError as error:
                self.refused[repr(error)] += 1
                continue
            if response.status_code == 201:
                self.task_ids += response.json()["task_ids"]
            else:
                self.refused[f"{response.status_code}: {response.text}"] += 1

    def tasks(self) -> list[dict[str, object]]:
        """Wait until all tasks of this load have ended, and return them."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        unfinished: list[dict[str, object]] = []
        while time.monotonic() < deadline:
            try:
                mine = [task for task in self._get(f"{TASKS}/") if task["source_id"] in self._sources]
            except (httpx2.HTTPError, ValueError):
                time.sleep(0.5)
                continue
            unfinished = [task for task in mine if task["status"] in ("pending", "processing")]
            if not unfinished:
                return mine
            time.sleep(0.2)
        raise AssertionError(f"{len(unfinished)} tasks are stuck: {unfinished[:5]}")

    def check(self) -> list[dict[str, object]]:
        """Check that every task has ended, each finished one with one result, and that no other file or blob is left.

        :returns: the tasks.
        """
        tasks = self.tasks()
        assert {task["id"] for task in tasks} >= set(self.task_ids), "a task that was created is gone"
        for task in tasks:
            assert task["status"] == "finished" or task["error"], task
        results = [task["result_id"] for task in tasks if task["status"] == "finished"]
        self._await_files(set(results))
        assert len(set(results)) == len(results)
        self.stack.check_files()
        assert self.stack.stored_blobs() == self.stack.named_blobs()
        assert list((self.stack.files / "staging").iterdir()) == []
        return tasks

    def _await_files(self, results: set[object]) -> None:
        # Uploads of cancelled and crashed tasks are deleted with a short delay.
        def results_stored() -> set[object]:
            return {file["id"] for file in self._get(f"{FILES}/") if file["name"] == self.name} - self._files_before

        wait_until(lambda: results_stored() == results, "each finished task has one result, and no other file is left")

    def _post_batches(self, pause_seconds: float) -> None:
        while not self._stopped.wait(pause_seconds):
            self.post_batch()

    def _get(self, path: str) -> list[dict[str, object]]:
        response = http.get(f"{self.stack.url}{path}")
        listed: list[dict[str, object]] = response.raise_for_status().json()
        return listed
