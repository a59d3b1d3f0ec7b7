"""Tasks that run during failures, and the checks afterwards."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pixmill import FileFilter, PixmillError, Retries, Task
from tests.support.client import Served
from tests.support.images import photo
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

SOURCES = 8
BATCHES = 5
RECOVERY_SECONDS = 150
PATIENT = Retries(attempts=40, first_seconds=0.2, most_seconds=2)
"""Retries for about a minute: longer than any part stays away."""


class TaskLoad:
    """Creates batches until it is stopped; every created batch must end.

    :param retries: of the requests that create batches.
    :ivar refused: the requests that failed after all retries.
    """

    def __init__(self, stack: FullStack, name: str, retries: Retries = PATIENT) -> None:
        self.stack = stack
        self.name = name
        self.task_ids: list[int] = []
        self.refused: Counter[str] = Counter()
        self._retries = retries
        self._width = 0
        self._stopped = threading.Event()
        with Served(stack.url) as pixmill:
            images = [photo(300 + n, 200, format="JPEG") for n in range(SOURCES)]
            self._sources = [pixmill.files.upload(image, name=f"{name}.jpg").id for image in images]
            self._files_before = set(pixmill.files.index().ids)

    @contextmanager
    def running(self, pause_seconds: float = 0.05) -> Iterator[None]:
        thread = threading.Thread(target=self._create_until_stopped, args=(pause_seconds,))
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def create_batches(self) -> None:
        """Create batches whose results are not cached."""
        self._width += 1
        for number in range(BATCHES):
            params = {"width": 50 + self._width % 100, "height": 40 + SOURCES * number}
            try:
                # A new client has no connection to a server that has restarted since.
                with Served(self.stack.url, retries=self._retries) as pixmill:
                    run = pixmill.run(self._sources, "resize", params=params, cache=False)
            except PixmillError as error:
                self.refused[repr(error)] += 1
            else:
                self.task_ids += run.task_ids

    def tasks(self) -> Sequence[Task]:
        """Wait until all tasks of this load have ended, and return them."""
        with Served(self.stack.url, retries=PATIENT) as pixmill:
            mine = [task.id for task in pixmill.tasks.list() if task.source_id in self._sources]
            return pixmill.resume(mine).ended(RECOVERY_SECONDS)

    def check(self) -> Sequence[Task]:
        """Check that every task has ended, each finished one with one result, and that no other file or blob is left.

        :returns: the tasks.
        """
        tasks = self.tasks()
        created = {task.id for task in tasks}
        assert created >= set(self.task_ids), "a task that was created is gone"
        # A request that failed may have created its tasks.
        assert self.refused or created == set(self.task_ids), "a retry has created its tasks twice"
        for task in tasks:
            assert task.status == "finished" or task.error, task
        results = [task.result_id for task in tasks if task.status == "finished"]
        self._await_files(set(results))
        assert len(set(results)) == len(results)
        self.stack.check_files()
        assert self.stack.stored_blobs() == self.stack.named_blobs()
        assert list((self.stack.files / "staging").iterdir()) == []
        return tasks

    def _await_files(self, results: set[int | None]) -> None:
        with Served(self.stack.url) as pixmill:
            # Uploads of cancelled and crashed tasks are deleted with a short delay.
            def results_stored() -> set[int]:
                named = {file.id for file in pixmill.files.list(FileFilter(name=self.name)) if file.name == self.name}
                return named - self._files_before

            wait_until(
                lambda: results_stored() == results, "each finished task has one result, and no other file is left"
            )

    def _create_until_stopped(self, pause_seconds: float) -> None:
        while not self._stopped.wait(pause_seconds):
            self.create_batches()
