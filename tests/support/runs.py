"""Files and ended runs that the tests of the page show."""

from tests.support.client import FILES, TASKS, Served
from tests.support.waiting import wait_until


def names_stored(pixmill: Served, name: str) -> list[object]:
    return [file["name"] for file in pixmill.http.get(f"{FILES}/", params={"name": name, "sort": "name"}).json()]


def copies_of(pixmill: Served, file_id: int, name: str, count: int) -> list[int]:
    """Copy a file; return the ids of the copies."""
    wanted = {"copies": [{"file_id": file_id, "name": name}] * count}
    copied = pixmill.http.post(f"{FILES}/copies", json=wanted).raise_for_status().json()["files"]
    return [int(copy["file"]["id"]) for copy in copied]


def ended_run(pixmill: Served, *file_ids: object) -> int:
    """Return the id of a batch that has flipped these files."""
    wanted = {"file_ids": file_ids, "algorithm": "flip"}
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    batch = f"{TASKS}/batches/{batch_id}"
    wait_until(lambda: pixmill.http.get(batch).json()["status"] == "ended", "all tasks have ended")
    return int(batch_id)


def run_of_failures(pixmill: Served, name: str) -> int:
    """Return the id of a batch of 101 tasks, one more than a page shows, which have all failed."""
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id, *copies_of(pixmill, file_id, name, 100)], "algorithm": "flip"}
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    failed = f"{TASKS}/batches/{batch_id}"
    wait_until(lambda: pixmill.http.get(failed).json()["counts"]["error"] == 101, "all tasks have failed")
    return int(batch_id)
