"""The requests that the operations on tasks make."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

import pytest
from pixmill.client.exchange import Call, Exchange, Operation, Reply
from pixmill.client.tasks import TaskOperations

from pixmill import Retries, TaskFilter

OPERATIONS = TaskOperations(Exchange(Retries()))

Outcome = TypeVar("Outcome")


def answered(operation: Operation[Outcome], answers: Sequence[Mapping[str, object]]) -> tuple[Outcome, list[Call]]:
    """Return the result of an operation with these answers to its calls, and the calls."""
    calls, left = [], list(answers)
    effect = next(operation)
    while True:
        assert isinstance(effect, Call)
        calls.append(effect)
        try:
            effect = operation.send(Reply(200, {}, json.dumps(left.pop(0)).encode()))
        except StopIteration as end:
            result: Outcome = end.value
            return result, calls


@pytest.mark.parametrize("verb", ["cancel", "restart", "forget"])
def test_matching_tasks_are_changed_until_the_server_has_nothing_left_to_do(verb: str) -> None:
    parts = [{"task_ids": [1, 3], "more": True, "cursor": "0-3-9"}, {"task_ids": [2], "more": False}]

    changed, calls = answered(OPERATIONS.change_matching(verb, TaskFilter(algorithm="flip")), parts)

    assert changed == [1, 2, 3]
    assert [call.body for call in calls] == [b'{"algorithm": "flip"}', b'{"algorithm": "flip", "cursor": "0-3-9"}']


def test_a_server_without_cursors_is_asked_again_for_the_same_tasks() -> None:
    parts = [{"task_ids": [1, 3], "more": True}, {"task_ids": [2], "more": False}]

    changed, calls = answered(OPERATIONS.change_matching("cancel", TaskFilter(algorithm="flip")), parts)

    assert changed == [1, 2, 3]
    assert [call.body for call in calls] == [b'{"algorithm": "flip"}'] * 2


def test_ids_are_sent_until_all_are_changed_but_none_twice() -> None:
    parts = [{"task_ids": [1, 3], "more": True}, {"task_ids": [4], "more": False}]

    changed, calls = answered(OPERATIONS.change_ids("forget", [1, 2, 3, 4]), parts)

    assert changed == [1, 3, 4]
    assert [call.body for call in calls] == [b'{"ids": [1, 2, 3, 4]}', b'{"ids": [2, 4]}']


def test_a_server_that_does_not_know_of_more_is_asked_once() -> None:
    changed, calls = answered(OPERATIONS.change_ids("cancel", [1, 2]), [{"task_ids": [1]}])

    assert (changed, len(calls)) == ([1], 1)


def test_a_batch_is_forgotten_until_the_server_has_nothing_left_to_do() -> None:
    parts = [{"forgotten": 5, "left": 3, "more": True}, {"forgotten": 2, "left": 1, "more": False}]

    forgotten, calls = answered(OPERATIONS.forget_batch(7), parts)

    assert (forgotten.forgotten, forgotten.left) == (7, 1)
    assert [(call.method, call.path) for call in calls] == [("DELETE", "/api/image-processing/batches/7")] * 2
