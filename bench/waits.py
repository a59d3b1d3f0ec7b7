"""``python -m bench.waits``: how long people wait while something else is slow or away.

Compares the time of an upload on an idle stack with its time while a hundred slow clients wait, in one run. Measures
how long a batch takes without RabbitMQ, how soon a cancelled task ends, and how soon all of `make run` has stopped.
Exits with 1 where a limit is passed.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.client import TASKS, Pixmill
from tests.support.environment import MISBEHAVING
from tests.support.images import photo
from tests.support.slow_clients import SLOW_CLIENTS, SLOW_UPLOAD, archive_request, download_request, slow_clients
from tests.support.stacks import FullStack, start
from tests.support.waiting import wait_until

UPLOADS = 20
AT_MOST: Mapping[str, float] = {
    "upload beside slow uploads, times that of an idle stack": 20,
    "upload beside slow downloads, times that of an idle stack": 20,
    "upload beside slow archives, times that of an idle stack": 20,
    "batch without RabbitMQ, seconds": 1,
    "cancelled task until its process is gone, seconds": 2,
    "`make run` until all of it has stopped, seconds": 10,
}


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def upload_seconds(client: Pixmill) -> float:
    """The median of some uploads, one after the other."""
    return statistics.median(seconds_of(lambda: client.upload("quick.bin", b"quick")) for _ in range(UPLOADS))


def beside_slow(stack: FullStack, client: Pixmill, request: str, idle: float) -> float:
    """The time of an upload beside slow clients, as a multiple of ``idle``."""
    with slow_clients(stack, [request] * SLOW_CLIENTS):
        time.sleep(1)  # until the server has taken all of them
        return upload_seconds(client) / idle


def cancelling(stack: FullStack, client: Pixmill) -> float:
    """Seconds from the request to cancel a task until nothing is left of it in the worker."""
    source = client.upload("p.png", photo())["id"]
    [task_id] = client.create_tasks([source], "pause", {"seconds": 60})
    wait_until(lambda: client.http.get(f"{TASKS}/{task_id}").json()["status"] == "processing", "the task runs")

    def cancel() -> None:
        client.http.post(f"{TASKS}/{task_id}/cancel").raise_for_status()
        wait_until(lambda: not list(stack.scratch.glob("*/")), "the scratch folder is empty")

    return seconds_of(cancel)


def without_rabbitmq(stack: FullStack, client: Pixmill) -> float:
    """Seconds until a batch is answered while RabbitMQ is away."""
    source = client.upload("p.png", photo())["id"]
    stack.rabbitmq.kill()
    try:
        return seconds_of(lambda: client.create_tasks([source], "flip"))
    finally:
        stack.rabbitmq.start()


def stopping() -> float:
    """Seconds from SIGTERM until nothing of ``make run`` runs any more."""
    with tempfile.TemporaryDirectory() as folder:
        stack = start("embedded", Path(folder))
        return seconds_of(stack.stop)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stack = start("full", Path(folder), MISBEHAVING)
        assert isinstance(stack, FullStack)
        try:
            with Pixmill(stack.url) as client:
                large = client.upload("large.bin", os.urandom(30_000_000))["id"]
                upload_seconds(client)
                idle = upload_seconds(client)
                print(f"upload on an idle stack: {idle * 1000:.1f} ms")
                found = [
                    beside_slow(stack, client, SLOW_UPLOAD, idle),
                    beside_slow(stack, client, download_request(large), idle),
                    beside_slow(stack, client, archive_request(large), idle),
                    without_rabbitmq(stack, client),
                    cancelling(stack, client),
                ]
        finally:
            stack.stop()
    found.append(stopping())
    for (what, limit), value in zip(AT_MOST.items(), found, strict=True):
        print(f"{what}: {value:.2f} (at most {limit:g}){'' if value <= limit else '  TOO MUCH'}")
    return int(any(value > limit for value, limit in zip(found, AT_MOST.values(), strict=True)))


if __name__ == "__main__":
    sys.exit(main())
