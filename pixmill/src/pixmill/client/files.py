"""Operations on stored files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from pixmill.client.answers import Deletion, File, FileStats, Index, Link
from pixmill.client.exchange import Call, Exchange, Operation, Query, Reply, get, has_more, json_call
from pixmill.client.paging import PAGE, following
from pixmill.client.uploads import FILES

MANY = 10_000
"""Maximum number of ids in one request."""


@dataclass(frozen=True, kw_only=True)
class FileFilter:
    """A filter for files, and the order of the list.

    :param name: a part of the name, in any case.
    :param q: a part of the name or the comment, in any case.
    :param extension: such as ``.jpg``; several mean any of them.
    :param media_type: such as ``image/png`` or ``image/*``; several mean any of them.
    :param folder: this folder and its subfolders.
    :param origin: ``upload`` or ``result``.
    :param source_id: only results from this file.
    :param task_id: only results of this task.
    :param batch_id: only results of this batch.
    :param taken_after: by the camera's clock.
    :param sort: ``id``, ``name``, ``size``, ``created_at`` or ``taken_at``; with ``-`` in descending order.
    """

    name: str | None = None
    q: str | None = None
    extension: str | Sequence[str] | None = None
    media_type: str | Sequence[str] | None = None
    folder: str | None = None
    origin: str | None = None
    source_id: int | None = None
    task_id: int | None = None
    batch_id: int | None = None
    taken_after: datetime | None = None
    taken_before: datetime | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    size_min: int | None = None
    size_max: int | None = None
    sort: str = "id"

    def conditions(self) -> dict[str, object]:
        """Return the given filters as JSON."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "sort"}
        return {name: _as_json(value) for name, value in given.items() if value is not None}

    def query(self) -> Query:
        """Return the filters and the order as a query string's parameters."""
        pairs: list[tuple[str, str]] = []
        for name, value in self.conditions().items():
            pairs += [(name, str(item)) for item in (value if isinstance(value, list) else [value])]
        return [*pairs, ("sort", self.sort)]

    def call(self, page: int) -> Call:
        """Return the call for the first page."""
        return get(f"{FILES}/", [*self.query(), ("limit", str(page))])


class FileOperations:
    """The operations on stored files."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def get(self, file_id: int) -> Operation[File]:
        reply = yield from self._exchange.send(get(f"{FILES}/{file_id}"))
        return File.of(reply.json())

    def page(self, call: Call) -> Operation[tuple[list[File], Call | None]]:
        reply = yield from self._exchange.send(call)
        return [File.of(row) for row in reply.rows()], following(call, reply)

    def index(self, wanted: FileFilter) -> Operation[Index]:
        reply = yield from self._exchange.send(get(f"{FILES}/index", wanted.query()))
        return Index.of(reply.json())

    def update(self, file_id: int, changes: Mapping[str, str]) -> Operation[File]:
        # Repeating the same change is harmless.
        reply = yield from self._exchange.send(json_call("PATCH", f"{FILES}/{file_id}", dict(changes), repeatable=True))
        return File.of(reply.json())

    def copy(self, file_id: int, fields: Mapping[str, object], key: str) -> Operation[File]:
        call = json_call("POST", f"{FILES}/{file_id}/copy", dict(fields), key=key)
        return File.of((yield from self._exchange.send(call)).json())

    def existing(self, file_ids: Sequence[int]) -> Operation[list[File]]:
        """Return the existing files among these ids."""
        found: list[File] = []
        for first in range(0, len(file_ids), MANY):
            found += yield from self._lookup({"ids": list(file_ids[first : first + MANY])})
        return found

    def with_digests(self, digests: Sequence[str]) -> Operation[list[File]]:
        """Return the first file with each of these digests."""
        return (yield from self._lookup({"sha256": list(digests)}))

    def delete(self, file_ids: Sequence[int]) -> Operation[Deletion]:
        """Delete files; return only those that existed."""
        ids: list[int] = []
        until: datetime | None = None
        for first in range(0, len(file_ids), MANY):
            part = yield from self._deleted(file_ids[first : first + MANY])
            ids += part.ids
            until = until or part.restore_until
        return Deletion(ids=tuple(ids), restore_until=until)

    def delete_matching(self, wanted: FileFilter) -> Operation[Deletion]:
        """Delete all files that match.

        :raises ValueError: the filter is empty, which would delete every file.
        """
        conditions = wanted.conditions()
        if not conditions:
            raise ValueError("an empty filter would delete every file; add a condition")
        # By ids, so that a lost response does not lose the ids that restore the files.
        wanted_ids = (yield from self.index(wanted)).ids
        deleted = yield from self.delete(wanted_ids)
        if len(deleted.ids) == len(wanted_ids):
            return deleted
        left = {file.id for file in (yield from self.existing(wanted_ids))}
        return replace(deleted, ids=tuple(file_id for file_id in wanted_ids if file_id not in left))

    def restore(self, file_ids: Sequence[int]) -> Operation[list[int]]:
        """Restore files from the trash; return their ids."""
        ids: list[int] = []
        for first in range(0, len(file_ids), MANY):
            body = {"ids": list(file_ids[first : first + MANY])}
            yield from self._until_done(f"{FILES}/restore", body, lambda reply: ids.extend(reply.ids("ids")))
        return ids

    def empty_trash(self, file_ids: Sequence[int], *, everything: bool) -> Operation[int]:
        """Delete files, or everything, from the trash permanently; return their number.

        :raises ValueError: neither ids nor ``everything`` is given, or both: an empty list must not mean everything.
        """
        if everything == bool(file_ids):
            raise ValueError("give the ids of files in the trash, or everything=True")
        removed: list[int] = []

        def count(reply: Reply) -> None:
            number = reply.member("removed")
            removed.append(number if isinstance(number, int) else 0)

        bodies: list[dict[str, object]] = [
            {"ids": list(file_ids[first : first + MANY])} for first in range(0, len(file_ids), MANY)
        ]
        for body in [{}] if everything else bodies:
            yield from self._until_done(f"{FILES}/trash/empty", body, count)
        return sum(removed)

    def stats(self) -> Operation[FileStats]:
        return FileStats.of((yield from self._exchange.send(get(f"{FILES}/stats"))).json())

    def link(self, file_id: int, seconds: float, note: str) -> Operation[Link]:
        body: dict[str, object] = {"expires_in": int(seconds)}
        if note:
            body["note"] = note
        # Not repeated after a lost response: a second link would stay if the first is revoked.
        reply = yield from self._exchange.send(json_call("POST", f"{FILES}/{file_id}/links", body))
        return Link.of(reply.json())

    def link_set(self, file_ids: Sequence[int], seconds: float, note: str, password: str | None) -> Operation[Link]:
        body: dict[str, object] = {"file_ids": list(file_ids), "expires_in": int(seconds), "note": note}
        if password is not None:
            body["password"] = password
        reply = yield from self._exchange.send(json_call("POST", f"{FILES}/links", body))
        return Link.of(reply.json())

    def links_page(self, call: Call) -> Operation[tuple[list[Link], Call | None]]:
        reply = yield from self._exchange.send(call)
        return [Link.of(row) for row in reply.rows()], following(call, reply)

    def update_link(self, link_id: int, note: str | None, seconds: int | None) -> Operation[Link]:
        given = {"note": note, "expires_in": seconds}
        changes = {name: value for name, value in given.items() if value is not None}
        call = json_call("PATCH", f"{FILES}/links/{link_id}", changes, repeatable=True)
        return Link.of((yield from self._exchange.send(call)).json())

    def revoke_link(self, link_id: int) -> Operation[None]:
        yield from self._exchange.send(Call("DELETE", f"{FILES}/links/{link_id}"))

    def _lookup(self, body: Mapping[str, object]) -> Operation[list[File]]:
        reply = yield from self._exchange.send(json_call("POST", f"{FILES}/lookup", body, repeatable=True))
        found = reply.member("files")
        return [File.of(row) for row in found] if isinstance(found, list) else []

    def _deleted(self, file_ids: Sequence[int]) -> Operation[Deletion]:
        parts: list[Deletion] = []

        def take(reply: Reply) -> None:
            parts.append(Deletion.of(reply.json()))

        yield from self._until_done(f"{FILES}/delete", {"ids": list(file_ids)}, take)
        return Deletion(
            ids=tuple(file_id for part in parts for file_id in part.ids), restore_until=parts[0].restore_until
        )

    def _until_done(self, path: str, body: Mapping[str, object], take: Callable[[Reply], None]) -> Operation[None]:
        """Repeat a request until the server has processed everything; repeating it is harmless."""
        while True:
            reply = yield from self._exchange.send(json_call("POST", path, body, repeatable=True))
            take(reply)
            if not has_more(reply):
                return


def trash_call() -> Call:
    """Return the call for the first page of the trash."""
    return get(f"{FILES}/trash", [("limit", str(PAGE))])


def links_call() -> Call:
    """Return the call for the first page of the links."""
    return get(f"{FILES}/links", [("limit", str(PAGE))])


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return list(value) if isinstance(value, list | tuple) else value
