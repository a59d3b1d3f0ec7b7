"""Server-Sent Events (WHATWG HTML, 9.2) for changes of tasks, as they are committed."""

import json
import time
from collections.abc import AsyncIterator, Callable

import structlog
from service_kit import response_headers
from service_kit.access.gate import Gate
from service_kit.access.principals import Principal, Scope
from service_kit.errors import DomainError
from service_kit.languages import Language, headers_of, language_of
from service_kit.problems import Problem, database_unavailable, problem_of
from service_kit.texts import sentence
from sqlalchemy.exc import SQLAlchemyError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from image_processor.models import TaskEvent, TaskStatus
from image_processor.routers.admission import admitted
from image_processor.routers.statuses import STATUSES
from image_processor.services.causes import problem_document
from image_processor.services.tasks.event_stream import (
    MAX_IDS,
    EventStream,
    Listeners,
    ListenerTooSlowError,
    Subscription,
)
from image_processor.services.tasks.events import Position, position_of

log = structlog.get_logger()

PING_SECONDS = 15
"""Between two comments that keep an idle connection open."""
READMIT_SECONDS = 10
"""After this time a listener's key is looked at again, before it gets an event."""
RECONNECT_MILLISECONDS = 1000
"""Delay before a client reconnects."""


class _Stream(EventSourceResponse):
    """A response that calls ``on_end`` when it has ended, even if the client went before the first event."""

    def __init__(
        self,
        content: AsyncIterator[ServerSentEvent],
        *,
        on_end: Callable[[], None],
        ping: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(content, ping=ping, headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


class EventRoutes:
    """The endpoint over one event stream.

    :param gate: decides who may listen.
    """

    def __init__(self, stream: EventStream, gate: Gate) -> None:
        self._stream = stream
        self._gate = gate
        self._listeners = Listeners()

    async def events(self, request: Request) -> Response:
        """``GET /api/image-processing/events?id=…&id=…`` with ``Last-Event-ID``."""
        try:
            principal = await admitted(self._gate, request, Scope.TASKS_READ)
            return await self._listen(request, principal)
        except Problem as problem:
            return _problem_response(request, problem)
        except DomainError as error:
            return _problem_response(request, problem_of(error, STATUSES))
        except SQLAlchemyError as error:
            log.error("database unavailable", error=str(error))
            return _problem_response(request, database_unavailable())

    async def _listen(self, request: Request, principal: Principal) -> Response:
        position, task_ids = _position(request), _task_ids(request)
        self._listeners.enter(principal)
        try:
            subscription = await self._stream.subscribe(principal, position, task_ids)
        except BaseException:
            self._listeners.leave(principal)
            raise
        return _Stream(
            self._sse_events(subscription, request),
            on_end=lambda: self._listeners.leave(principal),
            ping=PING_SECONDS,
            headers={
                "X-Accel-Buffering": "no",
                **response_headers.API,
                **headers_of(language_of(request.headers.get("Accept-Language"))),
            },
        )

    async def _sse_events(self, subscription: Subscription, request: Request) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="listening", retry=RECONNECT_MILLISECONDS)
        admitted_at = time.monotonic()
        language = language_of(request.headers.get("Accept-Language"))
        try:
            async for event in self._stream.follow(subscription):
                if time.monotonic() > admitted_at + READMIT_SECONDS:
                    # A key that has ended since gets no more events.
                    await admitted(self._gate, request, Scope.TASKS_READ)
                    admitted_at = time.monotonic()
                data = json.dumps(_as_json(event, language), ensure_ascii=False)
                yield ServerSentEvent(data=data, event="task", id=str(position_of(event)))
        except (ListenerTooSlowError, Problem):
            # The response ends; the client reconnects with the last id that it saw.
            return


async def refuse_method(request: Request, _error: Exception) -> Response:
    """Respond with 405, as the API does."""
    detail = sentence("{method} is not allowed here.", method=request.method)
    response = _problem_response(request, Problem("method-not-allowed", 405, detail))
    response.headers["Allow"] = "GET, HEAD"
    return response


def _problem_response(request: Request, problem: Problem) -> Response:
    language = language_of(request.headers.get("Accept-Language"))
    headers = {**problem.headers, **response_headers.API, **headers_of(language)}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return JSONResponse(problem.document(language), problem.status, headers, media_type="application/problem+json")


def _position(request: Request) -> Position | None:
    text = request.headers.get("Last-Event-ID") or request.query_params.get("last_event_id")
    if not text:
        return None
    try:
        return Position.parse(text)
    except ValueError as error:
        raise Problem(
            "invalid-event-id", 400, sentence("Last-Event-ID must be the id of an event of this stream.")
        ) from error


def _task_ids(request: Request) -> set[int]:
    texts = request.query_params.getlist("id")
    if len(texts) > MAX_IDS or not all(text.isascii() and text.isdecimal() and len(text) < 19 for text in texts):
        raise Problem(
            "invalid-fields", 422, sentence("The query takes at most {limit} task ids: ?id=1&id=2", limit=MAX_IDS)
        )
    return {int(text) for text in texts}


def _as_json(event: TaskEvent, language: Language) -> dict[str, object]:
    document: dict[str, object] = {"id": event.task_id, "status": event.status, "result_id": event.result_id}
    if event.status == TaskStatus.ERROR:
        document["error"] = event.error
        document["problem"] = problem_document(event.error_problem, language)
    return document
