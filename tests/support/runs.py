"""Files and ended runs that the tests of the page show."""

from pixmill import FileFilter
from tests.support.client import FILES, Served
from tests.support.waiting import wait_until


def names_stored(pixmill: Served, name: str) -> list[str]:
    return [file.name for file in pixmill.files.list(FileFilter(name=name, sort="name"))]


def copies_of(pixmill: Served, file_id: int, name: str, count: int) -> list[int]:
    """Copy a file in one request, which the published client does not send; return the ids of the copies."""
    wanted = {"copies": [{"file_id": file_id, "name": name}] * count}
    copied = pixmill.http.post(f"{FILES}/copies", json=wanted).raise_for_status().json()["files"]
    return [int(copy["file"]["id"]) for copy in copied]


def ended_run(pixmill: Served, *file_ids: int) -> int:
    """Return the id of a batch that has flipped these files."""
    run = pixmill.run(file_ids, "flip")
    wait_until(lambda: run.progress().has_ended, "all tasks have ended")
    return run.progress().id


def run_of_failures(pixmill: Served, name: str) -> int:
    """Return the id of a batch of 101 tasks, one more than a page shows, which have all failed."""
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    run = pixmill.run([file_id, *copies_of(pixmill, file_id, name, 100)], "flip")
    wait_until(lambda: run.progress().counts["error"] == 101, "all tasks have failed")
    return run.progress().id
