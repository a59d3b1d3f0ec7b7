"""Event streams without network access: builds the requests and parses the lines."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from pixmill.client.answers import BatchEvent, FileEvent, Task, TaskEvent
from pixmill.client.exchange import Call, Exchange, Operation, Query, Reply, may_pass
from pixmill.client.problems import ProblemError, UnexpectedAnswerError, UnreachableError
from pixmill.client.tasks import TASKS, TaskOperations, check_all_exist
from pixmill.client.uploads import FILES

E = TypeVar("E")

EVENTS = "text/event-stream"
MAX_IDS = 1000
"""At most this many ids in a stream's filter; for more, the client filters the stream of all events itself."""


class Stream(ABC, Generic[E]):
    """An event stream from the server.

    :cvar path: the URL path of the stream.
    :cvar kind: the event name to accept.
    :param last_event_id: resume after this event.
    """

    path: str
    kind: str

    def __init__(self, exchange: Exchange, last_event_id: str | None = None) -> None:
        self._retries = exchange.retries
        self._last_event_id = last_event_id
        self._failures = 0
        self._fields: dict[str, str] = {}
        self._was_silent = False
        self._asked_seconds: float | None = None

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether no more events will come."""

    @property
    @abstractmethod
    def wants_states(self) -> bool:
        """Whether :meth:`states` may find changes that no event has reported."""

    @abstractmethod
    def states(self) -> Operation[Sequence[E]]:
        """Query the server for changes without an event."""

    @abstractmethod
    def _query(self) -> Query:
        """Return the query with the stream's filter."""

    @abstractmethod
    def _taken(self, document: Mapping[str, object], event_id: str) -> Iterator[E]:
        """Yield the event in a JSON object, if it is wanted."""

    def call(self) -> Call:
        """Return the call that opens the stream."""
        headers = {"Accept": EVENTS}
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        return Call("GET", self.path, self._query(), headers, repeatable=True)

    def opened(self, reply: Reply) -> None:
        """Process the head of the response.

        :raises ProblemError: the server refuses the stream.
        :raises UnexpectedAnswerError: the answer is not a stream of events, whose lines would all be ignored.
        """
        self._fields = {}
        if reply.is_success:
            media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != EVENTS:
                raise UnexpectedAnswerError(f"the answer is not events but '{media_type}'; is this a Pixmill?")
            return
        problem = reply.problem()
        if may_pass(self.call(), problem):
            raise UnreachableError(str(problem)) from problem
        raise problem

    def line(self, line: str) -> Iterator[E]:
        """Yield the event, if any, that a line of the stream completes."""
        self._failures = 0
        if line:
            name, _, value = line.partition(":")
            # A comment has no event name; the server sends comments at the start and while idle. The lines of several
            # `data` fields would be joined, but Pixmill sends only one.
            if name == "retry":
                self._take_retry(value.removeprefix(" "))
            elif name:
                self._fields[name] = value.removeprefix(" ")
            else:
                self._was_silent = True
            return
        fields, self._fields = self._fields, {}
        if "id" in fields:
            self._last_event_id = fields["id"]
        if fields.get("event") == self.kind and "data" in fields:
            yield from self._taken(_parsed(fields["data"]), fields.get("id", ""))

    def lost(self, error: UnreachableError) -> float:
        """Return the pause before the next connection attempt: at least the stream's ``retry``.

        :raises UnreachableError: the stream was lost too often without a single line in between.
        """
        self._failures += 1
        if self._failures >= self._retries.attempts:
            problem = error.__cause__
            raise problem if isinstance(problem, ProblemError) else error
        return self._retries.pause(self._failures, self._asked_seconds).seconds

    def _take_retry(self, milliseconds: str) -> None:
        if milliseconds.isascii() and milliseconds.isdigit():
            self._asked_seconds = int(milliseconds) / 1000


class Feed(Stream[TaskEvent]):
    """The changes of some tasks until all have ended, or of all tasks forever.

    :param task_ids: ``None`` for all tasks.
    :param batch_id: the batch that consists of these tasks, if any.
    """

    path = f"{TASKS}/events"
    kind = "task"

    def __init__(
        self,
        exchange: Exchange,
        task_ids: Collection[int] | None = None,
        last_event_id: str | None = None,
        batch_id: int | None = None,
    ) -> None:
        super().__init__(exchange, last_event_id)
        self._tasks = TaskOperations(exchange)
        self._batch_id = batch_id
        self._wanted = None if task_ids is None else frozenset(task_ids)
        self._left = set(self._wanted or ())

    @property
    def has_ended(self) -> bool:
        return self._wanted is not None and not self._left

    @property
    def wants_states(self) -> bool:
        """Whether tasks may have ended without an event: before the stream began, or while it was silent."""
        return self._was_silent and self._wanted is not None

    def states(self) -> Operation[Sequence[TaskEvent]]:
        """Return the tasks that have already ended.

        :raises NotFoundError: a task was deleted.
        """
        self._was_silent = False
        asked = sorted(self._left)
        if self._batch_id is None:
            found = yield from self._tasks.states(asked)
        else:
            found = yield from self._tasks.of_batch(self._batch_id)
        check_all_exist(asked, found)
        ended = [_event_of(task) for task in found if task.has_ended and task.id in self._left]
        self._left -= {event.task_id for event in ended}
        return ended

    def _query(self) -> Query:
        if self._batch_id is not None:
            return [("batch_id", str(self._batch_id))]
        few = self._wanted if self._wanted is not None and len(self._wanted) <= MAX_IDS else ()
        return [("id", str(task_id)) for task_id in sorted(few)]

    def _taken(self, document: Mapping[str, object], event_id: str) -> Iterator[TaskEvent]:
        event = TaskEvent.of({**document, "task_id": document.get("id"), "event_id": event_id})
        if self._wanted is not None and event.task_id not in self._left:
            return
        if event.has_ended:
            self._left.discard(event.task_id)
        yield event


class _EndlessStream(Stream[E]):
    """An endless stream that reports each event once."""

    @property
    def has_ended(self) -> bool:
        return False

    @property
    def wants_states(self) -> bool:
        return False

    def states(self) -> Operation[Sequence[E]]:
        yield from ()
        return ()


class FileFeed(_EndlessStream[FileEvent]):
    """The changes of files, without an end.

    :param file_ids: at most 1,000; empty for all files.
    """

    path = f"{FILES}/events"
    kind = "file"

    def __init__(self, exchange: Exchange, file_ids: Collection[int] = (), last_event_id: str | None = None) -> None:
        super().__init__(exchange, last_event_id)
        self._wanted = sorted(file_ids)

    def _query(self) -> Query:
        return [("id", str(file_id)) for file_id in self._wanted]

    def _taken(self, document: Mapping[str, object], event_id: str) -> Iterator[FileEvent]:
        yield FileEvent.of({**document, "file_id": document.get("id"), "event_id": event_id})


class BatchFeed(_EndlessStream[BatchEvent]):
    """The ends of batches, without an end.

    :param batch_id: ``None`` for all batches.
    """

    path = f"{TASKS}/events"
    kind = "batch"

    def __init__(self, exchange: Exchange, batch_id: int | None = None, last_event_id: str | None = None) -> None:
        super().__init__(exchange, last_event_id)
        self._batch_id = batch_id

    def _query(self) -> Query:
        return [] if self._batch_id is None else [("batch_id", str(self._batch_id))]

    def _taken(self, document: Mapping[str, object], event_id: str) -> Iterator[BatchEvent]:
        yield BatchEvent.of({**document, "batch_id": document.get("id"), "event_id": event_id})


def _parsed(data: str) -> Mapping[str, object]:
    try:
        document: object = json.loads(data)
    except ValueError as error:
        raise UnexpectedAnswerError(f"an event is not JSON but {data:.80}") from error
    if not isinstance(document, dict):
        raise UnexpectedAnswerError(f"an event is not an object but {data:.80}")
    return document


def _event_of(task: Task) -> TaskEvent:
    return TaskEvent(
        task_id=task.id,
        status=task.status,
        result_id=task.result_id,
        error=task.error,
        batch_id=task.batch_id,
        problem=task.problem,
    )
