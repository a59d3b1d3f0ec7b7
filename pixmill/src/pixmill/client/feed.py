"""The stream of events of some tasks, without a network: what to ask for, and what lines mean."""

import json
from collections.abc import Collection, Iterator, Sequence

from pixmill.client.answers import Task, TaskEvent
from pixmill.client.exchange import Call, Exchange, Operation, Reply, may_pass
from pixmill.client.problems import ProblemError, UnexpectedAnswerError, UnreachableError
from pixmill.client.tasks import TASKS, TaskOperations, check_all_exist

MAX_IDS = 1000
"""Tasks to which a stream can be limited; of more the client takes what it wants from the stream of all."""


class Feed:
    """The changes of some tasks until all have ended, or of all tasks without an end.

    :param task_ids: ``None`` for all tasks.
    :param last_event_id: continue after this event.
    """

    def __init__(
        self, exchange: Exchange, task_ids: Collection[int] | None = None, last_event_id: str | None = None
    ) -> None:
        self._retries = exchange.retries
        self._tasks = TaskOperations(exchange)
        self._wanted = None if task_ids is None else frozenset(task_ids)
        self._left = set(self._wanted or ())
        self._last_event_id = last_event_id
        self._failures = 0
        self._fields: dict[str, str] = {}
        self._was_silent = False

    @property
    def has_ended(self) -> bool:
        return self._wanted is not None and not self._left

    @property
    def wants_states(self) -> bool:
        """Whether tasks may have ended without an event: before the stream began, or while it was silent."""
        return self._was_silent and self._wanted is not None

    def call(self) -> Call:
        """Return the call that opens the stream."""
        headers = {"Accept": "text/event-stream"}
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        few = self._wanted if self._wanted is not None and len(self._wanted) <= MAX_IDS else ()
        return Call(
            "GET", f"{TASKS}/events", [("id", str(task_id)) for task_id in sorted(few)], headers, repeatable=True
        )

    def opened(self, reply: Reply) -> None:
        """Take the head of the response.

        :raises ProblemError: the server refuses the stream.
        """
        self._fields = {}
        if reply.is_success:
            return
        problem = reply.problem()
        if may_pass(self.call(), problem):
            raise UnreachableError(str(problem)) from problem
        raise problem

    def states(self) -> Operation[Sequence[TaskEvent]]:
        """Return the tasks that have ended already.

        :raises NotFoundError: somebody has deleted one.
        """
        self._was_silent = False
        asked = sorted(self._left)
        found = yield from self._tasks.states(asked)
        check_all_exist(asked, found)
        ended = [_event_of(task) for task in found if task.has_ended]
        self._left -= {event.task_id for event in ended}
        return ended

    def line(self, line: str) -> Iterator[TaskEvent]:
        """Generate the event, if any, that a line of the stream completes."""
        self._failures = 0
        if line:
            name, _, value = line.partition(":")
            # A comment has no name, and comes first and when nothing happens. The lines of several `data` would be
            # joined, but Pixmill sends one.
            if name:
                self._fields[name] = value.removeprefix(" ")
            else:
                self._was_silent = True
            return
        fields, self._fields = self._fields, {}
        if "id" in fields:
            self._last_event_id = fields["id"]
        if fields.get("event") != "task" or "data" not in fields:
            return
        event = _parsed(fields["data"], fields.get("id", ""))
        if self._wanted is not None and event.task_id not in self._left:
            return
        if event.has_ended:
            self._left.discard(event.task_id)
        yield event

    def lost(self, error: UnreachableError) -> float:
        """Return the pause before the stream is opened again.

        :raises UnreachableError: it was lost too often without a line in between.
        """
        self._failures += 1
        if self._failures >= self._retries.attempts:
            problem = error.__cause__
            raise problem if isinstance(problem, ProblemError) else error
        return self._retries.pause(self._failures).seconds


def _parsed(data: str, event_id: str) -> TaskEvent:
    try:
        document: object = json.loads(data)
    except ValueError as error:
        raise UnexpectedAnswerError(f"an event is not JSON but {data:.80}") from error
    if not isinstance(document, dict):
        raise UnexpectedAnswerError(f"an event is no object but {data:.80}")
    return TaskEvent.of({**document, "task_id": document.get("id"), "event_id": event_id})


def _event_of(task: Task) -> TaskEvent:
    return TaskEvent(task_id=task.id, status=task.status, result_id=task.result_id, error=task.error)
