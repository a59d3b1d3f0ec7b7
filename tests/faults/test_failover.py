"""The primary PostgreSQL dies under load and its synchronous standby takes over."""

import json
import time

import pytest

from tests.faults.file_load import FileLoad, differences_from_expected, running
from tests.faults.task_load import TaskLoad
from tests.support.client import TASKS, Served
from tests.support.environment import LEASE
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.processes import Process, kill_all, skip_where_missing
from tests.support.receiver import Receiver
from tests.support.stacks import FullStack, ReplicatedStack

pytestmark = pytest.mark.thorough

FILE_LOADS = 4
LOAD_SECONDS = 5
"""Seconds of load before the primary dies, and again after the standby has taken over."""


def services_of(stack: FullStack) -> list[Process]:
    return [stack.file_storage, stack.image_processor, stack.worker, stack.webhooks, stack.render]


def started_stack() -> ReplicatedStack:
    folder = temporary_folder("failover")
    with skip_where_missing():
        try:
            return ReplicatedStack(folder, LEASE)
        except BaseException:
            kill_all(folder)
            raise


def test_a_failover_to_a_synchronous_standby_loses_nothing_that_was_answered() -> None:
    stack = started_stack()
    try:
        load = TaskLoad(stack, "failover")
        file_loads = [FileLoad(stack.url, f"failover-{number}") for number in range(FILE_LOADS)]
        with running(file_loads), load.running():
            time.sleep(LOAD_SECONDS)
            stack.postgres.kill()
            confirmed_before = list(load.task_ids)
            stack.promote_standby()
            stack.await_ready()
            time.sleep(LOAD_SECONDS)
        with Receiver() as receiver, Served(stack.url) as pixmill:
            source = pixmill.files.upload(photo(), name="later.png")
            later_ids = pixmill.http.post(
                f"{TASKS}/", json={"file_ids": [source.id], "algorithm": "flip", "callback_url": receiver.url}
            ).json()["task_ids"]
            receiver.await_count(1)
            [(_, webhook)] = receiver.received

        confirmed_after = [*load.task_ids[len(confirmed_before) :], *later_ids]
        assert confirmed_before
        assert len(confirmed_after) > 1
        assert len({*confirmed_before, *confirmed_after}) == len(confirmed_before) + len(confirmed_after), (
            "an id was given twice"
        )
        assert {task.status for task in load.check()} == {"finished"}
        assert json.loads(webhook)["task"]["id"] == later_ids[0]
        file_ids = [file_id for file_load in file_loads for file_id in (*file_load.files, *file_load.deleted)]
        assert len(set(file_ids)) == len(file_ids) > 0, "an id was given twice"
        assert [error for file_load in file_loads for error in file_load.errors] == []
        assert differences_from_expected(stack, file_loads) == []
        assert [service.popen.poll() for service in services_of(stack)] == [None] * len(services_of(stack))
    finally:
        stack.stop()
