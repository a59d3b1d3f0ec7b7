"""Operations on tasks, batches, algorithms and presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from pixmill.client.answers import Algorithm, Batch, Forgotten, Metadata, Preset, Task, TaskStats
from pixmill.client.exchange import Call, Exchange, Operation, Pause, get, has_more, json_call
from pixmill.client.paging import PAGE, following
from pixmill.client.problems import NotFoundError, PixmillError

TASKS = "/api/image-processing"

IDS_PER_REQUEST = 500
"""Maximum number of task ids in a query: they must fit into the request line."""
MANY = 10_000
"""Maximum number of ids in a request body."""
POLL_SECONDS = 0.05
MAX_POLL_SECONDS = 1.0
BATCHES_PAGE = 100


@dataclass(frozen=True)
class Created:
    """The response to the creation of a batch."""

    batch_id: int | None
    task_ids: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """A filter for tasks; empty for all.

    :param status: several mean any of them.
    """

    batch_id: int | None = None
    status: str | Sequence[str] | None = None
    algorithm: str | None = None

    def as_json(self) -> dict[str, object]:
        given = {"batch_id": self.batch_id, "status": self.status, "algorithm": self.algorithm}
        return {
            name: list(value) if isinstance(value, list | tuple) else value
            for name, value in given.items()
            if value is not None
        }


class RunFailedError(PixmillError):
    """Tasks of a run failed or were cancelled, or their results were deleted.

    :ivar failed: these tasks.
    :ivar saved: the saved results of the other tasks.
    """

    def __init__(self, failed: Sequence[Task], saved: Sequence[Path] = ()) -> None:
        first, *others = sorted({_no_result(task) for task in failed})
        tasks = "1 task has" if len(failed) == 1 else f"{len(failed)} tasks have"
        more = {0: "", 1: " (and 1 other reason)"}.get(len(others), f" (and {len(others)} other reasons)")
        super().__init__(f"{tasks} no result: {first}{more}")
        self.failed = failed
        self.saved = saved


def _no_result(task: Task) -> str:
    return task.reason or task.status if task.result_id is None else "somebody has deleted its result"


class TaskOperations:
    """The operations on tasks and batches."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def create(self, body: Mapping[str, object], key: str) -> Operation[Created]:
        """Create a batch; a retry with the same key after a lost response creates no second batch."""
        reply = yield from self._exchange.send(json_call("POST", f"{TASKS}/", body, key=key))
        batch = reply.member("batch_id")
        return Created(batch if isinstance(batch, int) else None, reply.ids("task_ids"))

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

    def of_batch(self, batch_id: int) -> Operation[list[Task]]:
        """Return the existing tasks of a batch, in the order of its files."""
        call: Call | None = get(f"{TASKS}/", [("batch_id", str(batch_id)), ("limit", str(PAGE))])
        found: list[Task] = []
        while call is not None:
            rows, call = yield from self.page(call)
            found += rows
        return found

    def wait(self, task_ids: Sequence[int], timeout: float | None) -> Operation[list[Task]]:
        """Wait until all tasks have ended, and return them in this order.

        :raises TimeoutError: some tasks have not ended in time.
        :raises NotFoundError: a task was deleted.
        """
        ended: dict[int, Task] = {}
        left, pause = list(task_ids), POLL_SECONDS
        deadline = None if timeout is None else monotonic() + timeout
        while left:
            # Poll a few at a time: tasks that were created first end first.
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

    def wait_for_batch(self, batch_id: int, task_ids: Sequence[int], timeout: float | None) -> Operation[list[Task]]:
        """Wait until all tasks of a batch have ended, polling only their count, and return them in this order.

        :raises TimeoutError: some tasks have not ended in time.
        :raises NotFoundError: a task was deleted.
        """
        pause = POLL_SECONDS
        deadline = None if timeout is None else monotonic() + timeout
        while not (batch := (yield from self.batch(batch_id))).has_ended:
            if deadline is not None and monotonic() > deadline:
                left = batch.tasks - batch.ended_tasks
                raise TimeoutError(f"{left} of {batch.tasks} tasks have not ended in {timeout:g} s")
            yield Pause(pause)
            pause = min(2 * pause, MAX_POLL_SECONDS)
        found = yield from self.of_batch(batch_id)
        check_all_exist(task_ids, found)
        tasks = {task.id: task for task in found}
        return [tasks[task_id] for task_id in task_ids]

    def cancel(self, task_id: int) -> Operation[Task]:
        return (yield from self._changed(task_id, "cancel"))

    def restart(self, task_id: int) -> Operation[Task]:
        return (yield from self._changed(task_id, "restart"))

    def change_matching(self, verb: str, wanted: TaskFilter) -> Operation[list[int]]:
        """Cancel, restart or forget the tasks that match; return the ids of the changed tasks in ascending order."""
        changed: set[int] = set()
        is_first, more, body = True, True, wanted.as_json()
        while more:
            try:
                ids, more, cursor = yield from self._bulk(verb, body)
            except NotFoundError:
                # Another program has deleted the rest, for example the whole batch, since the last request.
                if is_first:
                    raise
                break
            is_first = False
            changed.update(ids)
            # Otherwise the next request would find restarted tasks that have failed again.
            body |= {} if cursor is None else {"cursor": cursor}
        return sorted(changed)

    def change_ids(self, verb: str, task_ids: Sequence[int]) -> Operation[list[int]]:
        """Cancel, restart or forget tasks; return the ids of the changed tasks.

        :raises NotFoundError: a task of the first request does not exist; nothing is changed. Later requests skip
            tasks that do not exist.
        """
        changed: list[int] = []
        is_first = True
        for first in range(0, len(task_ids), MANY):
            left: Sequence[int] = task_ids[first : first + MANY]
            more = True
            while more and left:
                try:
                    ids, more, _ = yield from self._bulk(verb, {"ids": list(left)})
                except NotFoundError:
                    if is_first:
                        raise
                    # Another program has deleted some since the last request; the server has changed none of the rest.
                    existing = sorted(task.id for task in (yield from self.states(left)))
                    more, left = len(existing) < len(left), existing
                    continue
                is_first = False
                changed += ids
                # A forgotten id no longer exists, and a restarted task may have failed again.
                left = sorted(set(left) - set(ids))
        return changed

    def delete(self, task_id: int) -> Operation[None]:
        yield from self._exchange.send(Call("DELETE", f"{TASKS}/{task_id}"))

    def batch(self, batch_id: int) -> Operation[Batch]:
        return Batch.of((yield from self._exchange.send(get(f"{TASKS}/batches/{batch_id}"))).json())

    def batches_page(self, call: Call) -> Operation[tuple[list[Batch], Call | None]]:
        reply = yield from self._exchange.send(call)
        return [Batch.of(row) for row in reply.rows()], following(call, reply)

    def forget_batch(self, batch_id: int) -> Operation[Forgotten]:
        count, more = 0, True
        document: Mapping[str, object] = {}
        while more:
            try:
                reply = yield from self._exchange.send(Call("DELETE", f"{TASKS}/batches/{batch_id}"))
            except NotFoundError:
                # Another program has deleted the rest since the last request.
                if not document:
                    raise
                document, more = {**document, "left": 0, "more": False}, False
                continue
            part, more = Forgotten.of(reply.json()), has_more(reply)
            document = part.document
            count += part.forgotten
        return Forgotten.of({**document, "forgotten": count})

    def metadata(self, file_id: int, parts: Sequence[str]) -> Operation[Metadata]:
        query = [("parts", ",".join(parts))] if parts else []
        return Metadata.of((yield from self._exchange.send(get(f"{TASKS}/metadata/{file_id}", query))).json())

    def stats(self) -> Operation[TaskStats]:
        return TaskStats.of((yield from self._exchange.send(get(f"{TASKS}/stats"))).json())

    def save_preset(self, name: str, params: Mapping[str, object]) -> Operation[Preset]:
        call = json_call("PUT", _preset(name), {"params": dict(params)}, repeatable=True)
        return Preset.of((yield from self._exchange.send(call)).json())

    def delete_preset(self, name: str) -> Operation[None]:
        yield from self._exchange.send(Call("DELETE", _preset(name)))

    def algorithms(self) -> Operation[list[Algorithm]]:
        reply = yield from self._exchange.send(get(f"{TASKS}/algorithms"))
        return [Algorithm.of(row) for row in reply.rows()]

    def presets(self) -> Operation[list[Preset]]:
        reply = yield from self._exchange.send(get(f"{TASKS}/presets"))
        return [Preset.of(row) for row in reply.rows()]

    def _changed(self, task_id: int, verb: str) -> Operation[Task]:
        reply = yield from self._exchange.send(Call("POST", f"{TASKS}/{task_id}/{verb}"))
        return Task.of(reply.json())

    def _bulk(self, verb: str, body: Mapping[str, object]) -> Operation[tuple[list[int], bool, str | None]]:
        """Return the ids of the changed tasks, whether the server ended early, and where it continues."""
        # Not repeatable: at a second attempt the tasks have already changed state, and the response would omit them.
        reply = yield from self._exchange.send(json_call("POST", f"{TASKS}/{verb}", body))
        document = reply.json()
        cursor = document.get("cursor") if isinstance(document, Mapping) else None
        return reply.ids("task_ids"), has_more(reply), cursor if isinstance(cursor, str) else None


def check_all_exist(task_ids: Sequence[int], found: Sequence[Task]) -> None:
    """Check that no task was deleted: waiting for it would never end.

    :raises NotFoundError: a task was deleted.
    """
    missing = sorted(set(task_ids) - {task.id for task in found})
    if missing:
        detail = f"There is no task {missing[0]}; somebody may have deleted it."
        raise NotFoundError(404, "urn:pixmill:problem:task-not-found", "Not Found", detail)


def tasks_call(wanted: TaskFilter, source_id: int | None, ids: Sequence[int], cause: str | None, sort: str) -> Call:
    """Return the call for the first page of a list."""
    given = {**wanted.as_json(), "source_id": source_id, "id": list(ids), "cause": cause}
    query = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        query += [(name, str(item)) for item in values]
    return get(f"{TASKS}/", [*query, ("sort", sort), ("limit", str(PAGE))])


def batches_call(sort: str) -> Call:
    """Return the call for the first page of the batches."""
    return get(f"{TASKS}/batches", [("sort", sort), ("limit", str(BATCHES_PAGE))])


def _preset(name: str) -> str:
    return f"{TASKS}/presets/{quote(name, safe='')}"
