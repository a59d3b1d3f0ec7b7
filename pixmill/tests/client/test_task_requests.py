"""The requests that the operations on tasks make."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

import pytest
from pixmill.client.exchange import Call, Exchange, Operation, Reply
from pixmill.client.tasks import MANY, TaskOperations

from pixmill import NotFoundError, Retries, TaskFilter

OPERATIONS = TaskOperations(Exchange(Retries()))

Outcome = TypeVar("Outcome")


Answer: TypeAlias = Mapping[str, object] | Sequence[Mapping[str, object]]
GONE: Mapping[str, object] = {"type": "urn:pixmill:problem:task-not-found", "detail": "There are no such tasks."}


def task(task_id: int) -> dict[str, object]:
    return {"id": task_id, "source_id": 1, "status": "finished", "algorithm": "flip"}


def answered(operation: Operation[Outcome], answers: Sequence[Answer]) -> tuple[Outcome, list[Call]]:
    """Return the result of an operation with these answers to its calls, and the calls."""
    calls, left = [], list(answers)
    effect = next(operation)
    while True:
        assert isinstance(effect, Call)
        calls.append(effect)
        try:
            answer = left.pop(0)
            status = 404 if answer is GONE else 200
            effect = operation.send(Reply(status, {}, json.dumps(answer).encode()))
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


@pytest.mark.parametrize("verb", ["cancel", "forget", "restart"])
def test_tasks_that_another_program_deletes_meanwhile_are_skipped(verb: str) -> None:
    parts: list[Answer] = [{"task_ids": [1, 2], "more": True}, GONE, [task(4)], {"task_ids": [4], "more": False}]

    changed, calls = answered(OPERATIONS.change_ids(verb, [1, 2, 3, 4]), parts)

    assert changed == [1, 2, 4]
    assert [call.body for call in calls if call.method == "POST"] == [
        b'{"ids": [1, 2, 3, 4]}',
        b'{"ids": [3, 4]}',
        b'{"ids": [4]}',
    ]


def test_the_end_of_the_remaining_tasks_is_the_end_of_the_request() -> None:
    changed, _ = answered(OPERATIONS.change_ids("forget", [1, 2, 3]), [{"task_ids": [1], "more": True}, GONE, []])

    assert changed == [1]


def test_the_ids_of_a_first_request_survive_that_the_tasks_of_a_second_are_gone() -> None:
    ids = range(1, MANY + 2)

    changed, _ = answered(OPERATIONS.change_ids("forget", ids), [{"task_ids": [1]}, GONE, []])

    assert changed == [1]


def test_a_server_that_refuses_tasks_that_exist_is_not_asked_forever() -> None:
    changed, _ = answered(OPERATIONS.change_ids("forget", [1, 2]), [{"task_ids": [1], "more": True}, GONE, [task(2)]])

    assert changed == [1]


def test_matching_tasks_whose_batch_is_deleted_meanwhile_are_the_changed_ones() -> None:
    parts = [{"task_ids": [2, 1], "more": True}, GONE]

    changed, _ = answered(OPERATIONS.change_matching("cancel", TaskFilter(batch_id=7)), parts)

    assert changed == [1, 2]


def test_a_batch_that_another_program_deletes_meanwhile_is_forgotten() -> None:
    forgotten, _ = answered(OPERATIONS.forget_batch(7), [{"forgotten": 5, "left": 3, "more": True}, GONE])

    assert (forgotten.forgotten, forgotten.left) == (5, 0)


def test_tasks_that_never_existed_are_an_error() -> None:
    operations: list[Operation[object]] = [
        OPERATIONS.forget_batch(7),
        OPERATIONS.change_ids("forget", [1]),
        OPERATIONS.change_matching("forget", TaskFilter(batch_id=7)),
    ]
    for operation in operations:
        with pytest.raises(NotFoundError):
            answered(operation, [GONE])
