"""``python -m bench.waits``: waiting times of clients while other clients are slow or RabbitMQ is unavailable.

Compares the time of an upload on an idle stack with that while slow clients are connected, in the same run, on both
stacks. Also measures the POST of a batch without RabbitMQ, the end of a cancelled task, and the stop of `make run`.
Exits with 1 if a limit is exceeded.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.client import FILES, TASKS, Served
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
MAX_SLOWDOWN = 20
"""Maximum time of an upload while slow clients are connected, as a multiple of an idle stack's."""
BATCH_SECONDS = 1
"""Limit for the POST of a batch without RabbitMQ."""
CANCEL_SECONDS = 2
"""Limit from cancelling a task until its process is gone."""
STOP_SECONDS = 10
"""Limit from stopping `make run` until all its processes are gone."""

LISTED = 1000
LIST_READERS = 40
RANGES = "Range: bytes=0-0,9-"
SETTLED_SECONDS = 1
"""Wait until the server has accepted the requests of all slow clients."""


class Measured(NamedTuple):
    """A waiting time and its limit."""

    what: str
    value: float
    limit: float


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def upload_seconds(client: Served) -> float:
    """Return the median time of several uploads, run one after the other."""
    return statistics.median(
        seconds_of(lambda: client.http.post(f"{FILES}/", files={"file": ("quick.bin", b"quick")}))
        for _ in range(UPLOADS)
    )


def with_slow_clients(stack: Stack, client: Served) -> Iterator[Measured]:
    """Yield the time of an upload with each kind of slow clients, as a multiple of the idle stack's."""
    large = client.files.upload(os.urandom(30_000_000), name="large.bin").id
    kinds = {"downloads": [download_request(large)] * SLOW_CLIENTS}
    kinds["conditional ranges"] = [download_request(large, f"If-Match: *\r\n{RANGES}")] * SLOW_CLIENTS
    if isinstance(stack, FullStack):
        # In `make run`, each of these clients occupies a uWSGI thread.
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
            yield Measured(f"upload during slow {kind}, times idle", upload_seconds(client) / idle, MAX_SLOWDOWN)


def resumable_uploads(client: Served) -> list[str]:
    """Start resumable uploads; return for each a request that sends only its beginning."""
    begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
    urls = [client.http.post(f"{FILES}/uploads/", headers=begin).headers["Location"] for _ in range(SLOW_CLIENTS)]
    return [resumable_upload(url) for url in urls]


def long_list(client: Served) -> str:
    """Store enough files for their list to exceed the socket buffers; return the request for the list."""
    for number in range(LISTED):
        client.files.upload(b"listed", name=f"{number}.txt", comment="c" * 10_000)
    return f"GET {FILES}/ HTTP/1.1\r\nHost: x\r\n\r\n"


def cancelling(stack: Stack, client: Served) -> Measured:
    """Measure the time from cancelling a task until its process in the worker is gone."""
    source = client.files.upload(photo(), name="p.png").id
    [task_id] = client.run([source], "pause", params={"seconds": 60}).task_ids
    wait_until(lambda: client.http.get(f"{TASKS}/{task_id}").json()["status"] == "processing", "the task runs")

    def cancel() -> None:
        client.http.post(f"{TASKS}/{task_id}/cancel").raise_for_status()
        wait_until(lambda: not list(stack.scratch.glob("*/")), "the scratch folder is empty")

    return Measured("cancelled task until its process is gone, seconds", seconds_of(cancel), CANCEL_SECONDS)


def without_rabbitmq(stack: FullStack, client: Served) -> Measured:
    """Measure the POST of a batch while RabbitMQ is down."""
    source = client.files.upload(photo(), name="p.png").id
    stack.rabbitmq.kill()
    try:
        seconds = seconds_of(lambda: client.run([source], "flip"))
    finally:
        stack.rabbitmq.start()
    return Measured("batch without RabbitMQ, seconds", seconds, BATCH_SECONDS)


def waits(name: str) -> Iterator[Measured]:
    """Start the stack with that name and yield its waiting times."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stack = start(name, Path(folder), MISBEHAVING)
        try:
            with Served(stack.url) as client:
                yield cancelling(stack, client)
                yield from with_slow_clients(stack, client)
                if isinstance(stack, FullStack):
                    yield without_rabbitmq(stack, client)
        finally:
            seconds = seconds_of(stack.stop)
        if name == "embedded":
            yield Measured("`make run` until all of it has stopped, seconds", seconds, STOP_SECONDS)


def main() -> int:
    is_slow = False
    for name in STACKS:
        for what, value, limit in waits(name):
            is_slow |= value > limit
            print(f"{name}: {what}: {value:.2f} (at most {limit:g}){'  TOO MUCH' if value > limit else ''}", flush=True)
    return int(is_slow)


if __name__ == "__main__":
    sys.exit(main())
