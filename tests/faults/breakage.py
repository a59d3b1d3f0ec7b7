"""Breakages by name: each breaks a part of a full stack and restores it."""

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from tests.support.environment import LEASE_SECONDS
from tests.support.processes import Process, children_of
from tests.support.stacks import FullStack

Breakage = Callable[[FullStack, random.Random], None]


def kill_worker_children(stack: FullStack, rng: random.Random) -> None:
    """Kill the worker's processes a few times."""
    for _ in range(3):
        for child in children_of(stack.worker.popen.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(rng.uniform(0.3, 0.8))


def kill_worker(stack: FullStack, rng: random.Random) -> None:
    stack.worker.kill()
    time.sleep(rng.uniform(0.1, 1))
    stack.worker.start()


def stop_worker(stack: FullStack, rng: random.Random) -> None:
    stack.worker.stop()
    stack.worker.start()


def kill_file_storage(stack: FullStack, rng: random.Random) -> None:
    _kill_and_start(stack.file_storage, rng)


def kill_image_processor(stack: FullStack, rng: random.Random) -> None:
    _kill_and_start(stack.image_processor, rng)


def kill_rabbitmq(stack: FullStack, rng: random.Random) -> None:
    _kill_and_start(stack.rabbitmq, rng)


def stop_rabbitmq(stack: FullStack, rng: random.Random) -> None:
    stack.rabbitmq.stop()
    time.sleep(rng.uniform(0.5, 2))
    stack.rabbitmq.start()


def kill_postgres(stack: FullStack, rng: random.Random) -> None:
    _kill_and_start(stack.postgres, rng)


def stop_postgres(stack: FullStack, rng: random.Random) -> None:
    stack.postgres.stop()
    time.sleep(rng.uniform(0.5, 2))
    stack.postgres.start()


def kill_nginx(stack: FullStack, rng: random.Random) -> None:
    _kill_and_start(stack.nginx, rng)


def freeze_worker(stack: FullStack, rng: random.Random) -> None:
    """Freeze a worker until its leases expire and another takes over; then let the stale worker continue."""
    group = os.getpgid(stack.worker.popen.pid)
    os.killpg(group, signal.SIGSTOP)
    other = stack.start_worker("other-worker")
    time.sleep(LEASE_SECONDS + rng.uniform(2, 4))
    os.killpg(group, signal.SIGCONT)
    time.sleep(2)
    other.stop()


BREAKAGES: Mapping[str, Breakage] = {
    breakage.__name__: breakage
    for breakage in (
        kill_worker_children,
        kill_worker,
        stop_worker,
        kill_file_storage,
        kill_image_processor,
        kill_rabbitmq,
        stop_rabbitmq,
        kill_postgres,
        stop_postgres,
        kill_nginx,
        freeze_worker,
    )
}


def _kill_and_start(process: Process, rng: random.Random) -> None:
    process.kill()
    time.sleep(rng.uniform(0.1, 1.5))
    process.start()
