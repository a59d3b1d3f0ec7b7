"""Sends committed changes as Server-Sent Events (WHATWG HTML, 9.2)."""

import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as ConnectionScope

from service_kit import response_headers
from service_kit.access.asgi_gate import ApiApplication, admitted
from service_kit.access.cors import Cors
from service_kit.access.gate import Gate
from service_kit.access.principals import Principal, Scope
from service_kit.database_problems import database_failed
from service_kit.errors import DomainError, FieldError
from service_kit.events.rows import AnyEvent, Choice, Position, position_of
from service_kit.events.stream import EventStream, Listeners, ListenerTooSlowError, Subscription
from service_kit.field_errors import MAX_ERRORS, summary_of
from service_kit.languages import Language, headers_of, language_of
from service_kit.numbers import whole_number
from service_kit.problems import Problem, problem_of
from service_kit.texts import counted, sentence

log = structlog.get_logger()

PING_SECONDS = 15
"""Seconds between two comments, which keep an idle connection open."""
READMIT_SECONDS = 10
"""Seconds after which a listener's key is checked again, even without an event: a stream with a revoked key would
occupy one of few places."""
RECONNECT_MILLISECONDS = 1000
"""Delay before a client reconnects."""
MAX_IDS = 1000
"""Maximum number of ids in a listener's filter."""
MAX_TEXTS = 10_000
"""Maximum number of encoded events that are kept: some pages of returning listeners, and a few megabytes."""
STATUSES = {"too-many-listeners": 429}


class _Stream(EventSourceResponse):
    """A response that calls ``on_end`` when it ends, even if the client disconnects before the first event."""

    def __init__(
        self,
        content: AsyncIterator[ServerSentEvent | bytes],
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


@dataclass(frozen=True)
class Kind(Generic[AnyEvent]):
    """How events of one kind appear to clients.

    :param name: their type in the stream, such as ``task``.
    :param scope: the scope that a listener's key needs.
    :param choice: returns the events that match the query's filters; raises a :class:`Problem` if a filter is invalid.
    :param as_json: returns an event's data.
    :param name_of: returns the type of an event, for a table with events of several types.
    """

    name: str
    scope: Scope
    choice: Callable[[QueryParams], Choice[AnyEvent]]
    as_json: Callable[[AnyEvent, Language], Mapping[str, object]]
    filters: tuple[str, ...] = ("id",)
    name_of: Callable[[AnyEvent], str] | None = None


class EventRoutes(Generic[AnyEvent]):
    """The HTTP endpoint of an event stream.

    :param gate: checks the listeners' keys.
    """

    def __init__(self, stream: EventStream[AnyEvent], kind: Kind[AnyEvent], gate: Gate) -> None:
        self._stream = stream
        self._kind = kind
        self._gate = gate
        self._listeners = Listeners()
        self._texts: OrderedDict[tuple[Position, Language], bytes] = OrderedDict()
        """The newest encoded events: each is encoded once for all listeners, also for those that come back."""

    async def events(self, request: Request) -> Response:
        """Answer ``GET …/events`` with the filters of the query and ``Last-Event-ID``."""
        try:
            principal = await admitted(self._gate, request, self._kind.scope)
            return await self._listen(request, principal)
        except Problem as problem:
            return _problem_response(request, problem)
        except DomainError as error:
            return _problem_response(request, problem_of(error, STATUSES))
        except SQLAlchemyError as error:
            log.error("database unavailable", error=str(error))
            return _problem_response(request, database_failed(error))

    async def _listen(self, request: Request, principal: Principal) -> Response:
        _refuse_unknown(request.query_params, (*self._kind.filters, "last_event_id"))
        position, choice = _position(request), self._kind.choice(request.query_params)
        self._listeners.enter(principal)
        try:
            subscription = await self._stream.subscribe(principal, position, choice)
        except BaseException:
            self._listeners.leave(principal)
            raise
        return _Stream(
            self._sse_events(subscription, request),
            on_end=lambda: self._end(principal, subscription),
            ping=PING_SECONDS,
            headers={"X-Accel-Buffering": "no", **response_headers.API, **headers_of(_language(request))},
        )

    def _end(self, principal: Principal, subscription: Subscription[AnyEvent]) -> None:
        self._stream.unsubscribe(subscription)
        self._listeners.leave(principal)

    async def _sse_events(
        self, subscription: Subscription[AnyEvent], request: Request
    ) -> AsyncIterator[ServerSentEvent | bytes]:
        yield ServerSentEvent(comment="listening", retry=RECONNECT_MILLISECONDS)
        admitted_at = time.monotonic()
        language = _language(request)
        try:
            async for events in self._stream.follow(subscription, READMIT_SECONDS):
                is_due = not events or time.monotonic() > admitted_at + READMIT_SECONDS
                if is_due and await self._is_readmitted(request, events):
                    admitted_at = time.monotonic()
                if events:
                    yield b"".join(self._encoded(event, language) for event in events)
        except (ListenerTooSlowError, Problem):
            # End the response; the client reconnects with the last id that it saw.
            return

    async def _is_readmitted(self, request: Request, events: Sequence[AnyEvent]) -> bool:
        """Return whether the key of a listener is still valid.

        If the gate cannot find out, return ``False`` without events; with events, raise its problem.

        :raises Problem: the listener may not get the events.
        """
        try:
            await admitted(self._gate, request, self._kind.scope, counts=False)
        except Problem as problem:
            # If an outage of the database ended the silent streams, all their clients would reconnect at once.
            if events or problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return False
        return True

    def _encoded(self, event: AnyEvent, language: Language) -> bytes:
        position = position_of(event)
        encoded = self._texts.get((position, language))
        if encoded is None:
            data = json.dumps(self._kind.as_json(event, language), ensure_ascii=False)
            name = self._kind.name if self._kind.name_of is None else self._kind.name_of(event)
            encoded = ServerSentEvent(data=data, event=name, id=str(position)).encode()
            self._texts[position, language] = encoded
            if len(self._texts) > MAX_TEXTS:
                self._texts.popitem(last=False)
        return encoded


def application(base_path: str, routes: EventRoutes[AnyEvent], cors: Cors) -> Starlette:
    """Return the application that serves a stream.

    :param base_path: the path of the service, such as ``/api/image-processing``.
    """
    paths = (f"{base_path}/events", f"{base_path}/events/")
    return ApiApplication(cors, [Route(path, routes.events) for path in paths], {405: _refuse_method})


async def _refuse_method(request: Request, _error: Exception) -> Response:
    """Respond with 405, as the API does."""
    detail = sentence("{method} is not allowed here.", method=request.method)
    response = _problem_response(request, Problem("method-not-allowed", 405, detail))
    response.headers["Allow"] = "GET, HEAD"
    return response


def _language(request: Request) -> Language:
    return language_of(request.headers.get("Accept-Language"))


def _problem_response(request: Request, problem: Problem) -> Response:
    language = _language(request)
    headers = {**problem.headers, **response_headers.API, **headers_of(language)}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return JSONResponse(problem.document(language), problem.status, headers, media_type="application/problem+json")


def _refuse_unknown(query: QueryParams, known: Collection[str]) -> None:
    detail = sentence("Unknown field; the fields are: {fields}", fields=", ".join(known))
    errors = [
        FieldError(pointer=f"/{name}", detail=detail, code="extra_forbidden") for name in query if name not in known
    ]
    if errors:
        raise Problem("invalid-fields", 422, summary_of(errors[:1]), errors[:MAX_ERRORS])


def id_in(query: QueryParams, name: str) -> int | None:
    """Return the id in a query parameter, or ``None`` if the parameter is missing.

    :raises Problem: 422, the parameter is repeated or is not an id.
    """
    texts = query.getlist(name)
    if len(texts) > 1 or not all(map(_is_id, texts)):
        raise _not_one_id(name)
    return int(texts[0]) if texts else None


def _not_one_id(name: str) -> Problem:
    detail = sentence("The query takes one id: ?{name}=1", name=name)
    return Problem("invalid-fields", 422, detail, [FieldError(pointer=f"/{name}", detail=detail, code="not_one_id")])


def _is_id(text: str) -> bool:
    return bool(whole_number(text))


def _position(request: Request) -> Position | None:
    if len(request.query_params.getlist("last_event_id")) > 1:
        raise _not_one_id("last_event_id")
    text = request.headers.get("Last-Event-ID") or request.query_params.get("last_event_id")
    if not text:
        return None
    try:
        return Position.parse(text)
    except ValueError as error:
        raise Problem(
            "invalid-event-id", 400, sentence("Last-Event-ID must be the id of an event of this stream.")
        ) from error


def ids_in(query: QueryParams) -> frozenset[int]:
    """Return the ids in ``?id=1&id=2``.

    :raises Problem: 422, there are too many ids or one is invalid.
    """
    texts = query.getlist("id")
    if len(texts) > MAX_IDS or not all(map(_is_id, texts)):
        detail = counted(
            "The query takes at most {limit} id: ?id=1&id=2",
            "The query takes at most {limit} ids: ?id=1&id=2",
            "limit",
            limit=MAX_IDS,
        )
        raise Problem("invalid-fields", 422, detail, [FieldError(pointer="/id", detail=detail, code="not_ids")])
    return frozenset(int(text) for text in texts)
