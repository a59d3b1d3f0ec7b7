"""Runs the client's operations against a file service in the process of the test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from flask.testing import FlaskClient
from pixmill.client.exchange import Call, Effect, Operation, Pause, Reply
from pixmill.client.problems import PixmillError, UnreachableError
from pixmill.client.uploads import FILES

T = TypeVar("T")

Lost = Callable[[Call], bool]


@dataclass
class Server:
    """Runs operations without a network.

    :param lost: whether the answer to a call is lost, although the server has acted on it.
    :ivar calls: the calls so far.
    """

    http: FlaskClient
    lost: Lost = lambda _: False
    calls: list[Call] = field(default_factory=list)

    def run(self, operation: Operation[T]) -> T:
        try:
            effect = next(operation)
            while True:
                effect = self._advanced(operation, effect)
        except StopIteration as end:
            result: T = end.value
            return result

    def bodies(self, method: str) -> list[int]:
        """Return the sizes of the bodies that the server received with this method."""
        return [len(call.body or b"") for call in self.calls if call.method == method]

    def _advanced(self, operation: Operation[T], effect: Effect) -> Effect:
        try:
            reply = self._done(effect)
        except (OSError, PixmillError) as error:
            return operation.throw(error)
        return operation.send(reply)

    def _done(self, effect: Effect) -> Reply | None:
        if isinstance(effect, Pause):
            return None
        if not isinstance(effect, Call):
            effect.work()
            return None
        self.calls.append(effect)
        got = self.http.open(
            effect.path.removeprefix(FILES),
            method=effect.method,
            query_string=list(effect.query),
            headers=list(effect.headers.items()),
            data=effect.body,
        )
        if self.lost(effect):
            raise UnreachableError("the answer is lost")
        headers: Mapping[str, str] = {name.lower(): value for name, value in got.headers.items()}
        return Reply(got.status_code, headers, got.data)
