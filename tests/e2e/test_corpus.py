"""A thousand whole and damaged image files of many formats: each task finishes or fails with a reason.

They are the images of Pillow's own tests and the seeds of ``tests.fuzz.seeds``; ``scripts/fetch-corpus`` collects them
in ``.corpus``.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixmill.client.answers import Task

from tests.support.client import FILES, TASKS, Served, ended_task
from tests.support.environment import PROJECT
from tests.support.stacks import Stack

pytestmark = pytest.mark.thorough

CORPUS = PROJECT / ".corpus"
STEPS = [{"algorithm": "rotate", "params": {"angle": 5}}, {"algorithm": "saturation", "params": {"amount": 20}}]
BATCHES: dict[str, dict[str, object]] = {
    "thumbnail": {"algorithm": "thumbnail", "params": {"crop": True, "output": {"format": "webp"}}},
    "pipeline": {"algorithm": "pipeline", "params": {"steps": STEPS}},
    "info": {"algorithm": "info"},
}
UNCLEAR = re.compile(r"crash|unexpected error|took longer|/|Traceback")
"""Words in error messages that do not explain what is wrong with the image."""


@pytest.fixture(scope="module")
def corpus(embedded: Stack) -> Iterator[tuple[Served, dict[int, Path]]]:
    """Return a client, and the files of the corpus by their ids."""
    with Served(embedded.url) as pixmill:
        uploaded = {}
        for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
            response = pixmill.http.put(f"{FILES}/", params={"name": path.name}, content=path.read_bytes())
            assert response.status_code == 201, (path.name, response.text)
            uploaded[int(response.json()["id"])] = path
        yield pixmill, uploaded


@pytest.mark.parametrize("batch", BATCHES)
def test_every_file_ends_finished_or_in_a_clear_error(corpus: tuple[Served, dict[int, Path]], batch: str) -> None:
    pixmill, files = corpus
    assert len(files) > 1000, "run scripts/fetch-corpus"

    body = {"file_ids": list(files), "cache": False, **BATCHES[batch]}
    task_ids = pixmill.http.post(f"{TASKS}/", json=body).json()["task_ids"]
    # Wait in the order of the tasks, so that the timeout restarts with each.
    tasks = [ended_task(pixmill, task_id) for task_id in task_ids]

    unclear = [(files[task.source_id].name, task.error) for task in tasks if is_unclear(task)]
    assert unclear == []
    assert Counter(task.status for task in tasks)["finished"] > 350


def is_unclear(task: Task) -> bool:
    return task.status == "error" and UNCLEAR.search(str(task.error)) is not None


def test_errors_are_short(corpus: tuple[Served, dict[int, Path]]) -> None:
    pixmill, files = corpus

    errors = pixmill.http.get(f"{TASKS}/", params={"status": "error", "algorithm": "info"}).json()

    reasons = {str(task["error"]) for task in errors if int(task["source_id"]) in files}
    assert all(10 < len(reason) < 200 for reason in reasons), reasons
