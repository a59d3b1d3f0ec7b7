"""Operations on stored files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pixmill.client.answers import File, Link
from pixmill.client.exchange import Call, Exchange, Operation, get, json_call
from pixmill.client.paging import following
from pixmill.client.problems import NotFoundError, UnreachableError
from pixmill.client.uploads import FILES

PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class FileFilter:
    """Which files a list has, and in which order.

    :param name: a part of the name, in any case.
    :param media_type: such as ``image/png``, or ``image/*``.
    :param sort: ``id``, ``name``, ``size`` or ``created_at``; with ``-`` the largest first.
    """

    name: str | None = None
    extension: str | None = None
    media_type: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    size_min: int | None = None
    size_max: int | None = None
    sort: str = "id"

    def call(self, page: int) -> Call:
        """Return the call for the first page."""
        given = {
            "name": self.name,
            "extension": self.extension,
            "media_type": self.media_type,
            "created_after": _time(self.created_after),
            "created_before": _time(self.created_before),
            "size_min": self.size_min,
            "size_max": self.size_max,
            "sort": self.sort,
            "limit": page,
        }
        return get(f"{FILES}/", [(name, str(value)) for name, value in given.items() if value is not None])


class FileOperations:
    """What a client does with stored files."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def get(self, file_id: int) -> Operation[File]:
        reply = yield from self._exchange.send(get(f"{FILES}/{file_id}"))
        return File.of(reply.json())

    def page(self, call: Call) -> Operation[tuple[list[File], Call | None]]:
        reply = yield from self._exchange.send(call)
        return [File.of(row) for row in reply.rows()], following(call, reply)

    def update(self, file_id: int, changes: Mapping[str, str]) -> Operation[File]:
        # The same change twice is the same as once.
        reply = yield from self._exchange.send(json_call("PATCH", f"{FILES}/{file_id}", dict(changes), repeatable=True))
        return File.of(reply.json())

    def delete(self, file_ids: Sequence[int]) -> Operation[None]:
        for file_id in file_ids:
            yield from self._delete(file_id)

    def copy(self, file_id: int, name: str | None, key: str) -> Operation[File]:
        body = {} if name is None else {"name": name}
        call = json_call("POST", f"{FILES}/{file_id}/copy", body, repeatable=True)
        reply = yield from self._exchange.send(
            Call(call.method, call.path, (), {**call.headers, "Idempotency-Key": key}, call.body, repeatable=True)
        )
        return File.of(reply.json())

    def link(self, file_id: int, seconds: float) -> Operation[Link]:
        body = {"expires_in": seconds}
        # Nothing is stored: a second link does no harm.
        reply = yield from self._exchange.send(json_call("POST", f"{FILES}/{file_id}/links", body, repeatable=True))
        return Link.of(reply.json())

    def existing(self, file_ids: Sequence[int]) -> Operation[list[File]]:
        """Return those of these files that exist."""
        reply = yield from self._exchange.send(
            json_call("POST", f"{FILES}/lookup", {"ids": list(file_ids)}, repeatable=True)
        )
        found = reply.member("files")
        return [File.of(row) for row in found] if isinstance(found, list) else []

    def _delete(self, file_id: int) -> Operation[None]:
        attempt, lost = 0, False
        while True:
            attempt += 1
            try:
                yield from self._exchange.send(Call("DELETE", f"{FILES}/{file_id}"))
            except UnreachableError:
                if attempt >= self._exchange.retries.attempts:
                    raise
                lost = True
                yield self._exchange.retries.pause(attempt)
            except NotFoundError:
                # An earlier attempt, whose answer was lost, has deleted it.
                if not lost:
                    raise
                return
            else:
                return


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
