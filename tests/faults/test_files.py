"""Files are uploaded, copied and deleted while processes die and ``gc`` and ``fsck`` run."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.breakage import kill_file_storage, kill_nginx, kill_postgres
from tests.faults.file_load import FileLoad, differences_from_expected, running
from tests.support.processes import children_of
from tests.support.proxy import Faults, proxy
from tests.support.stacks import FullStack

pytestmark = pytest.mark.thorough

SECONDS = 20
LOADS = 8
LOSSES = Faults(cut=0.6, within=2_000_000, swallow=0.2, duplicate=0.2)
"""Each connection may lose an answer, because the processes seldom die between a commit and its answer."""
YOUNG_SECONDS = 15
"""Younger bytes may belong to a request that waits for a restart of a process or the database."""


def kill_child(stack: FullStack, rng: random.Random) -> None:
    """Kill one of file-storage's processes; its master replaces it."""
    children = children_of(stack.file_storage.popen.pid)
    with suppress(ProcessLookupError):
        os.kill(rng.choice(children), signal.SIGKILL)


def reload(stack: FullStack, _rng: random.Random) -> None:
    """Reload file-storage, as an operator does for new settings."""
    stack.file_storage.popen.send_signal(signal.SIGHUP)


BREAKAGES = (kill_child, reload, kill_file_storage, kill_nginx, kill_postgres)


def log_of_maintenance(stack: FullStack) -> Iterator[dict[str, object]]:
    """Run ``gc`` and ``fsck`` as an operator does; yield their log entries."""
    for name in ("gc", "fsck"):
        yield from map(json.loads, stack.maintain(name, YOUNG_SECONDS).stderr.splitlines())


@pytest.mark.timeout(SECONDS + 600)
def test_exactly_the_acknowledged_files_are_stored_when_processes_die_and_gc_runs(stack: FullStack) -> None:
    rng = random.Random(1)
    entries: list[dict[str, object]] = []

    with proxy(stack.url, LOSSES) as between:
        loads = [FileLoad(between.url, f"files-{number}") for number in range(LOADS)]
        with running(loads):
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                rng.choice(BREAKAGES)(stack, rng)
                entries += log_of_maintenance(stack)
            stack.await_ready()

    assert min(between.happened.values()) > 0
    assert sum(len(load.files) + len(load.deleted) for load in loads) > 10
    assert [error for load in loads for error in load.errors] == []
    assert differences_from_expected(stack, loads) == []
    assert {entry["event"] for entry in entries} >= {"files checked", "garbage collected"}
    assert [entry for entry in entries if entry["event"] in ("blob lost", "blob miscounted")] == []
    stack.check_files()
    assert stack.stored_blobs() == stack.named_blobs()
