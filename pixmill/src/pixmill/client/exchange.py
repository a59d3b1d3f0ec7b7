"""Operations as generators of requests, without network access.

An operation yields an effect (a :class:`Call`, a :class:`Pause` or :class:`Work`) and receives the :class:`Reply`. A
driver executes the effects, synchronously or asynchronously (:mod:`pixmill.client.drivers`).
"""

import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeAlias, TypeVar

from pixmill.client.problems import (
    ProblemError,
    RedirectedError,
    UnexpectedAnswerError,
    UnreachableError,
    is_lasting,
    problem_of,
)

T = TypeVar("T")
Query: TypeAlias = Sequence[tuple[str, str]]

NEVER_ACTED_ON = frozenset({429})
"""Statuses of requests that the server has not started to process, so any request may be retried."""
PASSING = frozenset({429, 502, 503, 504})
"""Statuses of transient failures."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Statuses that send the client to another address (RFC 9110, 15.4)."""
PASSING_KINDS = frozenset({"idempotency-key-in-use", "upload-busy"})
"""Problems that occur while an earlier attempt, whose response was lost, is still running."""


class Sink(Protocol):
    """Receives a response's body chunk by chunk."""

    def begin(self, reply: "Reply") -> bool:
        """Receive the head of a response; return whether this sink, rather than the reply, takes the body."""

    def write(self, piece: bytes) -> None:
        """Receive the next chunk."""


@dataclass(frozen=True)
class Call:
    """A request.

    :param path: the path relative to the server's URL.
    :param repeatable: whether it may be retried after its response was lost.
    :param on_sent: called with the number of bytes of each chunk of the body that was sent.
    :param sink: takes the body of a successful response.
    """

    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = False
    on_sent: Callable[[int], None] | None = None
    sink: Sink | None = None


@dataclass(frozen=True)
class Reply:
    """A response.

    :param headers: names are in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    reason: str = ""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> object:
        """:raises UnexpectedAnswerError: the body is not JSON."""
        try:
            document: object = json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswerError(f"the answer is not JSON but {self.body!r:.80}; is this a Pixmill?") from error
        return document

    def rows(self) -> Sequence[object]:
        """:raises UnexpectedAnswerError: the body is not a JSON array."""
        document = self.json()
        if not isinstance(document, list):
            raise UnexpectedAnswerError("the answer is not a list; is this a Pixmill?")
        return document

    def member(self, name: str) -> object:
        """:raises UnexpectedAnswerError: the body is not an object with this member."""
        document = self.json()
        if not isinstance(document, Mapping) or name not in document:
            raise UnexpectedAnswerError(f"the answer has no '{name}'; is this a Pixmill?")
        return document[name]

    def ids(self, name: str) -> list[int]:
        """:raises UnexpectedAnswerError: the body is not an object with an array of numbers under this name."""
        found = self.member(name)
        if not isinstance(found, list) or not all(isinstance(number, int) for number in found):
            raise UnexpectedAnswerError(f"'{name}' of the answer is not a list of ids; is this a Pixmill?")
        return found

    def texts(self, name: str) -> list[str]:
        """:raises UnexpectedAnswerError: the body is not an object with an array of strings under this name."""
        found = self.member(name)
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise UnexpectedAnswerError(f"'{name}' of the answer is not a list of texts; is this a Pixmill?")
        return found

    def problem(self) -> ProblemError:
        """Return the exception for an error response."""
        return problem_of(
            self.status,
            self.body,
            reason=self.reason,
            request_id=self.headers.get("x-request-id"),
            retry_after=_seconds(self.headers.get("retry-after")),
        )


@dataclass(frozen=True)
class Pause:
    """A pause between two attempts or polls."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """A function that computes or waits for a disk; an asynchronous driver runs it in a thread."""

    work: Callable[[], None]


Effect: TypeAlias = Call | Pause | Work
Operation: TypeAlias = Generator[Effect, Reply | None, T]


@dataclass(frozen=True)
class Retries:
    """The retry policy.

    :param attempts: maximum number of attempts.
    :param first_seconds: pause before the second attempt; each further pause is twice as long.
    :param most_seconds: the longest pause, even if the server asks for a longer one.
    """

    attempts: int = 6
    first_seconds: float = 0.25
    most_seconds: float = 30

    def pause(self, attempt: int, asked: float | None = None) -> Pause:
        """Return the pause after an attempt, counted from 1.

        :param asked: the seconds that the server asks for.
        """
        doubled = self.first_seconds * 2 ** min(attempt - 1, 16)
        # Vary the pause by at most a quarter, so that clients of a restarted server do not all return at once.
        jittered = min(doubled, self.most_seconds) * random.uniform(0.75, 1.25)  # noqa: S311 # nosec B311 (no secret)
        return Pause(max(jittered, min(asked or 0, self.most_seconds)))


class Exchange:
    """Sends calls and retries them where that is safe.

    :ivar retries: the retry policy.
    """

    def __init__(self, retries: Retries) -> None:
        self.retries = retries

    def send(self, call: Call) -> Operation[Reply]:
        """Return the response to a call.

        :raises ProblemError: the server refuses the request.
        :raises UnreachableError: the server does not answer.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = yield from once(call)
            except UnreachableError as error:
                if attempt >= self.retries.attempts or (error.sent and not call.repeatable):
                    raise
                yield self.retries.pause(attempt)
                continue
            if reply.is_success:
                return reply
            problem = reply.problem()
            if attempt >= self.retries.attempts or not may_pass(call, problem):
                raise problem
            yield self.retries.pause(attempt, problem.retry_after)


def once(call: Call) -> Operation[Reply]:
    """Send a call without retries.

    :raises RedirectedError: the server redirects a call that changes something.
    """
    reply = yield call
    if reply is None:
        raise TypeError("the driver gave no reply to a call")
    if reply.status in REDIRECTS and "location" in reply.headers:
        raise RedirectedError(reply.headers["location"])
    return reply


def may_pass(call: Call, problem: ProblemError) -> bool:
    """Return whether the call is safe to retry and may succeed a little later."""
    if problem.kind in PASSING_KINDS:
        return call.repeatable
    if is_lasting(problem):
        return False
    return problem.status in NEVER_ACTED_ON or (problem.status in PASSING and call.repeatable)


def work(function: Callable[[], T]) -> Operation[T]:
    """Run a function that computes or waits for a disk, and return its result."""
    results: list[T] = []
    yield Work(lambda: results.append(function()))
    return results[0]


def has_more(reply: Reply) -> bool:
    """Return whether the server processed only a part of a request, so that a repetition processes the rest."""
    document = reply.json()
    return isinstance(document, Mapping) and document.get("more") is True


def json_call(method: str, path: str, body: object, *, repeatable: bool = False, key: str | None = None) -> Call:
    """Return a call with a JSON body.

    :param key: an idempotency key, which makes the call repeatable.
    """
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
    return Call(method, path, (), headers, json.dumps(body).encode(), repeatable or key is not None)


def get(path: str, query: Query = ()) -> Call:
    """Return a call for a GET request."""
    return Call("GET", path, query, repeatable=True)


def _seconds(header: str | None) -> float | None:
    """Parse ``Retry-After``, which is a number of seconds or a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
