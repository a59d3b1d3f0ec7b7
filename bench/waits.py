"""``python -m bench.waits``: how long people wait while something else is slow or away.

Compares the time of an upload on an idle stack with its time while slow clients wait, in one run, on both stacks.
Measures how long a batch takes without RabbitMQ, how soon a cancelled task ends, and how soon `make run` has stopped.
Exits with 1 where a limit is passed.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.client import FILES, TASKS, Pixmill
from tests.support.environment import MISBEHAVING
from tests.support.images import photo
from tests.support.slow_clients import (
    SLOW_CLIENTS,
    SLOW_UPLOAD,
    archive_request,
    download_request,
    resumable_upload,
    slow_clients,
)
from tests.support.stacks import STACKS, FullStack, Stack, start
from tests.support.waiting import wait_until

UPLOADS = 20
TIMES_IDLE = 20
"""An upload may take so many times as long beside slow clients as on an idle stack."""
BATCH_SECONDS = 1
CANCEL_SECONDS = 2
STOP_SECONDS = 10

LISTED = 1000
LIST_READERS = 40
RANGES = "Range: bytes=0-0,9-"
SETTLED_SECONDS = 1
"""Until the server has taken all slow clients' requests."""


class Measured(NamedTuple):
    """How long somebody waited, and how long they may."""

    what: str
    value: float
    limit: float


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def upload_seconds(client: Pixmill) -> float:
    """Return the median of some uploads, one after the other."""
    return statistics.median(seconds_of(lambda: client.upload("quick.bin", b"quick")) for _ in range(UPLOADS))


def beside(stack: Stack, client: Pixmill) -> Iterator[Measured]:
    """Give the time of an upload beside each kind of slow clients, as a multiple of that on the idle stack."""
    large = client.upload("large.bin", os.urandom(30_000_000))["id"]
    kinds = {"downloads": [download_request(large)] * SLOW_CLIENTS}
    kinds["conditional ranges"] = [download_request(large, f"If-Match: *\r\n{RANGES}")] * SLOW_CLIENTS
    if isinstance(stack, FullStack):
        # In `make run` each of these holds a thread of uWSGI.
        kinds["uploads"] = [SLOW_UPLOAD] * SLOW_CLIENTS
        kinds["resumable uploads"] = resumable_uploads(client)
        kinds["archives"] = [archive_request(large)] * SLOW_CLIENTS
        kinds["lists"] = [long_list(client)] * LIST_READERS
    upload_seconds(client)
    idle = upload_seconds(client)
    print(f"{stack.name}: an upload takes {idle * 1000:.1f} ms")
    for kind, requests in kinds.items():
        with slow_clients(stack, requests):
            time.sleep(SETTLED_SECONDS)
            yield Measured(f"upload beside slow {kind}, times idle", upload_seconds(client) / idle, TIMES_IDLE)


def resumable_uploads(client: Pixmill) -> list[str]:
    """Begin resumable uploads; return a request for each that goes no further than its beginning."""
    begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
    urls = [client.http.post(f"{FILES}/uploads/", headers=begin).headers["Location"] for _ in range(SLOW_CLIENTS)]
    return [resumable_upload(url) for url in urls]


def long_list(client: Pixmill) -> str:
    """Store more files than a connection holds a list of; return the request for the list."""
    for number in range(LISTED):
        client.upload(f"{number}.txt", b"listed", comment="c" * 10_000)
    return f"GET {FILES}/ HTTP/1.1\r\nHost: x\r\n\r\n"


def cancelling(stack: Stack, client: Pixmill) -> Measured:
    """Measure from the request to cancel a task until nothing is left of it in the worker."""
    source = client.upload("p.png", photo())["id"]
    [task_id] = client.create_tasks([source], "pause", {"seconds": 60})
    wait_until(lambda: client.http.get(f"{TASKS}/{task_id}").json()["status"] == "processing", "the task runs")

    def cancel() -> None:
        client.http.post(f"{TASKS}/{task_id}/cancel").raise_for_status()
        wait_until(lambda: not list(stack.scratch.glob("*/")), "the scratch folder is empty")

    return Measured("cancelled task until its process is gone, seconds", seconds_of(cancel), CANCEL_SECONDS)


def without_rabbitmq(stack: FullStack, client: Pixmill) -> Measured:
    """Measure how long a batch takes to be answered while RabbitMQ is away."""
    source = client.upload("p.png", photo())["id"]
    stack.rabbitmq.kill()
    try:
        seconds = seconds_of(lambda: client.create_tasks([source], "flip"))
    finally:
        stack.rabbitmq.start()
    return Measured("batch without RabbitMQ, seconds", seconds, BATCH_SECONDS)


def waits(name: str) -> Iterator[Measured]:
    """Start the stack of that name and give what people wait for on it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stack = start(name, Path(folder), MISBEHAVING)
        try:
            with Pixmill(stack.url) as client:
                yield cancelling(stack, client)
                yield from beside(stack, client)
                if isinstance(stack, FullStack):
                    yield without_rabbitmq(stack, client)
        finally:
            seconds = seconds_of(stack.stop)
        if name == "embedded":
            yield Measured("`make run` until all of it has stopped, seconds", seconds, STOP_SECONDS)


def main() -> int:
    too_much = False
    for name in STACKS:
        for what, value, limit in waits(name):
            too_much |= value > limit
            print(f"{name}: {what}: {value:.2f} (at most {limit:g}){'  TOO MUCH' if value > limit else ''}", flush=True)
    return int(too_much)


if __name__ == "__main__":
    sys.exit(main())
