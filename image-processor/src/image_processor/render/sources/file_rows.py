"""Looks up the rows of files at the file server and remembers them for some seconds."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime

import httpx2
from service_kit.access.gate import OWNER_HEADER, SEES_HEADER
from service_kit.access.principals import Principal
from service_kit.errors import DomainError

from image_processor.render.config import RenderFileSettings
from image_processor.render.failures import storage_unavailable

GONE_SECONDS = 1.0
"""How long to remember that a file does not exist."""
AT_ONCE = 2
"""The most concurrent lookups per viewer: with a second one, requests need not wait for a slow first one."""
MOST_IN_A_LOOKUP = 200
MOST_IN_USE = 2000
"""How many of the most recently requested files are looked up again before their rows expire."""
IN_USE_TIMES = 3
"""How long a file counts as in use after a request, in multiples of the time that a row is remembered."""
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True)
class FileRow:
    """A file.

    :param owner: ``None`` from a file server of an earlier version.
    :param created: seconds since 1970; its bytes never change.
    :param until: the monotonic time at which the row expires.
    """

    id: int
    owner: str | None
    sha256: str
    media_type: str
    width: int | None
    height: int | None
    created: int
    until: float = field(default=0, compare=False)


Name = int | str
"""The id of a file, or the SHA-256 of its bytes."""
_Viewer = tuple[str, bool] | None
"""An owner, and whether they may see all files; ``None`` for a signed URL, which shows the files of any owner."""


@dataclass(frozen=True)
class _CachedRow:
    until: float
    row: FileRow | None


@dataclass(frozen=True)
class _Question:
    name: Name
    answer: asyncio.Future[FileRow | None]


class FileRows:
    """Looks up files in batches: a lookup costs more than a small image, whether for one file or a hundred.

    Requests that arrive while lookups are running share the next one. Files in use are looked up again, in batches,
    before their rows expire.

    :param seconds: how long the row of a file is remembered.
    """

    def __init__(self, settings: RenderFileSettings, seconds: float) -> None:
        self._http = httpx2.AsyncClient(
            base_url=settings.url.rstrip("/"),
            headers={"Authorization": f"Bearer {settings.inner_secret.get_secret_value()}"},
            timeout=settings.timeout_seconds,
            trust_env=False,
            follow_redirects=True,
        )
        self._seconds = seconds
        self._remembered: dict[tuple[_Viewer, Name], _CachedRow] = {}
        self._asked: dict[tuple[_Viewer, Name], _Question] = {}
        self._waiting: dict[_Viewer, list[_Question]] = {}
        self._lookups: dict[_Viewer, set[asyncio.Task[None]]] = {}
        self._in_use: OrderedDict[Name, float] = OrderedDict()
        self._refresher: asyncio.Task[None] | None = None
        self._forgotten = 0

    async def close(self) -> None:
        if self._refresher is not None:
            self._refresher.cancel()
        await self._http.aclose()

    async def find(self, name: Name, principal: Principal | None = None) -> FileRow | None:
        """Return the file, or ``None`` if it does not exist.

        :param principal: the client, who must be allowed to see the file; ``None`` for a signed URL.
        :raises DomainError: ``file-storage-unavailable``.
        """
        viewer = None if principal is None else (principal.owner, principal.sees_all)
        if viewer is None:
            self._use(name)
        known = self._remembered.get((viewer, name))
        if known is not None and known.until > time.monotonic():
            return known.row
        question = self._asked.get((viewer, name))
        # Concurrent requests for the same file share one lookup.
        if question is None:
            question = self._asked[viewer, name] = _Question(name, asyncio.get_running_loop().create_future())
            self._waiting.setdefault(viewer, []).append(question)
            self._start_lookup(viewer)
        # Shielded, because other requests may wait for the same answer.
        return await asyncio.shield(question.answer)

    async def existing(self, ids: Sequence[int]) -> set[int]:
        """Return which of these files exist, without using or changing the remembered rows."""
        return {row.id for row in await self._lookup(None, ids)}

    def forget(self, file_id: int) -> None:
        """Forget the file's row, so that the next request looks it up again."""
        # A lookup that is still running may return the outdated row.
        self._forgotten += 1
        self._asked.clear()
        self._remembered = {
            name: known
            for name, known in self._remembered.items()
            if name[1] != file_id and not (known.row is not None and known.row.id == file_id)
        }

    def _start_lookup(self, viewer: _Viewer) -> None:
        tasks = self._lookups.setdefault(viewer, set())
        # Tasks that have ended take no more questions, although their callbacks may not have run yet.
        if sum(not task.done() for task in tasks) >= AT_ONCE:
            return
        task = asyncio.create_task(self._answer_waiting(viewer))
        tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not tasks and self._lookups.get(viewer) is tasks:
                del self._lookups[viewer]

        task.add_done_callback(ended)

    async def _answer_waiting(self, viewer: _Viewer) -> None:
        while waiting := self._waiting.pop(viewer, None):
            questions, rest = waiting[:MOST_IN_A_LOOKUP], waiting[MOST_IN_A_LOOKUP:]
            if rest:
                self._waiting[viewer] = rest
            await self._answer(viewer, questions)

    async def _answer(self, viewer: _Viewer, questions: Sequence[_Question]) -> None:
        try:
            rows = await self._found(viewer, [question.name for question in questions])
        except Exception as error:  # noqa: BLE001 (the callers get it)
            for question in questions:
                question.answer.set_exception(error)
                # Mark the error as retrieved: the callers may have been cancelled.
                question.answer.exception()
        else:
            for question in questions:
                question.answer.set_result(rows[question.name])
        finally:
            for question in questions:
                if self._asked.get((viewer, question.name)) is question:
                    del self._asked[viewer, question.name]

    async def _found(self, viewer: _Viewer, names: Sequence[Name]) -> Mapping[Name, FileRow | None]:
        """Look up files and remember their rows; the value is ``None`` for a name without a file."""
        began, forgotten = time.monotonic(), self._forgotten
        found: dict[Name, FileRow] = {}
        # The rows are in ascending order: of files with equal bytes, the first one is used.
        for row in await self._lookup(viewer, names):
            row = replace(row, until=began + self._seconds)
            found[row.id] = row
            found.setdefault(row.sha256, row)
        rows = {name: found.get(name) for name in names}
        if self._forgotten == forgotten:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            for name, file in rows.items():
                until = began + GONE_SECONDS if file is None else file.until
                self._remembered[viewer, name] = _CachedRow(until, file)
        return rows

    def _use(self, name: Name) -> None:
        self._in_use[name] = time.monotonic()
        self._in_use.move_to_end(name)
        if len(self._in_use) > MOST_IN_USE:
            self._in_use.popitem(last=False)
        if self._seconds and (self._refresher is None or self._refresher.done()):
            self._refresher = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        while self._in_use:
            await asyncio.sleep(self._seconds / 3)
            self._drop_unused()
            now = time.monotonic()
            ending = [name for name in self._in_use if now < self._until(name) < now + self._seconds / 2]
            for first in range(0, len(ending), MOST_IN_A_LOOKUP):
                # If the file server is unavailable, the rows simply expire.
                with suppress(DomainError):
                    await self._found(None, ending[first : first + MOST_IN_A_LOOKUP])

    def _drop_unused(self) -> None:
        oldest = time.monotonic() - IN_USE_TIMES * self._seconds
        while self._in_use:
            name, used = next(iter(self._in_use.items()))
            if used >= oldest:
                return
            del self._in_use[name]

    def _until(self, name: Name) -> float:
        """Return the monotonic time at which the file's row expires; 0 if no row is remembered."""
        known = self._remembered.get((None, name))
        return 0 if known is None or known.row is None else known.until

    async def _lookup(self, viewer: _Viewer, names: Sequence[Name]) -> Sequence[FileRow]:
        ids, digests = (
            [name for name in names if isinstance(name, int)],
            [name for name in names if isinstance(name, str)],
        )
        body = ({"ids": ids} if ids else {}) | ({"sha256": digests} if digests else {})
        headers = {} if viewer is None else {OWNER_HEADER: viewer[0]}
        if viewer is None or viewer[1]:
            headers[SEES_HEADER] = "all"
        try:
            response = await self._http.post("/lookup", json=body, headers=headers)
        except httpx2.HTTPError as error:
            raise storage_unavailable() from error
        if response.status_code != 200:
            raise storage_unavailable()
        return [_row_of(file) for file in response.json()["files"]]


def _row_of(file: dict[str, object]) -> FileRow:
    owner, width, height = file.get("owner"), file.get("width"), file.get("height")
    return FileRow(
        id=int(str(file["id"])),
        owner=owner if isinstance(owner, str) else None,
        sha256=str(file["sha256"]),
        media_type=str(file["media_type"]),
        width=width if isinstance(width, int) else None,
        height=height if isinstance(height, int) else None,
        created=int(parsedate_to_datetime(str(file["created_at"])).timestamp()),
    )
