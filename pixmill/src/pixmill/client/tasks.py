"""Operations on tasks, and what the server offers."""

from collections.abc import Mapping, Sequence
from time import monotonic

from pixmill.client.answers import Algorithm, Preset, Task
from pixmill.client.exchange import Call, Exchange, Operation, Pause, get, json_call
from pixmill.client.paging import following
from pixmill.client.problems import NotFoundError, ProblemError

TASKS = "/api/image-processing"

IDS_PER_REQUEST = 500
"""Task ids in a request for their states: they must fit into its line."""
POLL_SECONDS = 0.05
MAX_POLL_SECONDS = 1.0
PAGE = 1000


class TaskOperations:
    """What a client does with tasks."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def create(self, body: Mapping[str, object]) -> Operation[list[int]]:
        """Create a batch; a lost answer is an error, as the server would create it twice."""
        reply = yield from self._exchange.send(json_call("POST", f"{TASKS}/", body))
        return reply.ids("task_ids")

    def get(self, task_id: int) -> Operation[Task]:
        reply = yield from self._exchange.send(get(f"{TASKS}/{task_id}"))
        return Task.of(reply.json())

    def page(self, call: Call) -> Operation[tuple[list[Task], Call | None]]:
        reply = yield from self._exchange.send(call)
        return [Task.of(row) for row in reply.rows()], following(call, reply)

    def states(self, task_ids: Sequence[int]) -> Operation[list[Task]]:
        """Return the existing tasks with these ids."""
        found: list[Task] = []
        for first in range(0, len(task_ids), IDS_PER_REQUEST):
            query = [("id", str(task_id)) for task_id in task_ids[first : first + IDS_PER_REQUEST]]
            reply = yield from self._exchange.send(get(f"{TASKS}/", query))
            found += [Task.of(row) for row in reply.rows()]
        return found

    def wait(self, task_ids: Sequence[int], timeout: float | None) -> Operation[list[Task]]:
        """Return the tasks in this order when all have ended.

        :raises TimeoutError: not all have ended in time.
        :raises NotFoundError: somebody has deleted one.
        """
        ended: dict[int, Task] = {}
        left, pause = list(task_ids), POLL_SECONDS
        deadline = None if timeout is None else monotonic() + timeout
        while left:
            # A few at a time: those that were created first end first.
            asked = left[:IDS_PER_REQUEST]
            found = yield from self.states(asked)
            check_all_exist(asked, found)
            now = [task for task in found if task.has_ended]
            ended |= {task.id: task for task in now}
            left = [task_id for task_id in left if task_id not in ended]
            if left and deadline is not None and monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(task_ids)} tasks have not ended in {timeout:g} s")
            pause = POLL_SECONDS if now else min(2 * pause, MAX_POLL_SECONDS)
            if left and len(now) < IDS_PER_REQUEST:
                yield Pause(pause)
        return [ended[task_id] for task_id in task_ids]

    def cancel(self, task_id: int) -> Operation[Task]:
        return (yield from self._changed(task_id, "cancel"))

    def restart(self, task_id: int) -> Operation[Task]:
        return (yield from self._changed(task_id, "restart"))

    def restart_all(self, status: str, algorithm: str | None) -> Operation[list[int]]:
        """Restart all tasks in a state; of a second attempt they would not be in it any more."""
        body = {"status": status} | ({} if algorithm is None else {"algorithm": algorithm})
        reply = yield from self._exchange.send(json_call("POST", f"{TASKS}/restart", body))
        return reply.ids("task_ids")

    def cancel_each(self, task_ids: Sequence[int]) -> Operation[list[Task]]:
        """Cancel what has not ended; return the tasks that this cancelled."""
        return (yield from self._each(task_ids, "cancel", "task-not-cancellable"))

    def restart_each(self, task_ids: Sequence[int]) -> Operation[list[Task]]:
        """Restart what ended without a result; return these tasks."""
        return (yield from self._each(task_ids, "restart", "task-not-restartable"))

    def delete(self, task_id: int) -> Operation[None]:
        yield from self._exchange.send(Call("DELETE", f"{TASKS}/{task_id}"))

    def algorithms(self) -> Operation[list[Algorithm]]:
        reply = yield from self._exchange.send(get(f"{TASKS}/algorithms"))
        return [Algorithm.of(row) for row in reply.rows()]

    def presets(self) -> Operation[list[Preset]]:
        reply = yield from self._exchange.send(get(f"{TASKS}/presets"))
        return [Preset.of(row) for row in reply.rows()]

    def _changed(self, task_id: int, verb: str) -> Operation[Task]:
        reply = yield from self._exchange.send(Call("POST", f"{TASKS}/{task_id}/{verb}"))
        return Task.of(reply.json())

    def _each(self, task_ids: Sequence[int], verb: str, refusal: str) -> Operation[list[Task]]:
        changed = []
        for task_id in task_ids:
            try:
                changed.append((yield from self._changed(task_id, verb)))
            except ProblemError as problem:
                if problem.kind != refusal:
                    raise
        return changed


def check_all_exist(task_ids: Sequence[int], found: Sequence[Task]) -> None:
    """Check that no task was deleted: it would never end.

    :raises NotFoundError: one was.
    """
    missing = sorted(set(task_ids) - {task.id for task in found})
    if missing:
        detail = f"There is no task {missing[0]}; somebody may have deleted it."
        raise NotFoundError(404, "urn:pixmill:problem:task-not-found", "Not Found", detail)


def tasks_call(status: str | None, algorithm: str | None, source_id: int | None, ids: Sequence[int]) -> Call:
    """Return the call for the first page of a list."""
    given = {"status": status, "algorithm": algorithm, "source_id": source_id}
    query = [(name, str(value)) for name, value in given.items() if value is not None]
    query += [("id", str(task_id)) for task_id in ids]
    return get(f"{TASKS}/", [*query, ("limit", str(PAGE))])
