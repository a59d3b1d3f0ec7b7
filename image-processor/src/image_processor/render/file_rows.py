"""What the file server knows about files, remembered for seconds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime

import httpx2
from service_kit.access.gate import OWNER_HEADER, SEES_HEADER
from service_kit.access.principals import Principal

from image_processor.render.config import RenderFileSettings
from image_processor.render.failures import storage_unavailable

GONE_SECONDS = 1.0
"""How long it is remembered that there is no such file."""
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True)
class FileRow:
    """A file.

    :param created: seconds since 1970; its bytes never change.
    :param until: by the monotonic clock, when it is looked up again.
    """

    id: int
    sha256: str
    media_type: str
    width: int | None
    height: int | None
    created: int
    until: float = field(default=0, compare=False)


Name = int | str
"""An id, or the SHA-256 of the bytes."""


@dataclass(frozen=True)
class _Remembered:
    until: float
    row: FileRow | None


class FileRows:
    """Looks up files.

    :param seconds: how long it is remembered that a file exists.
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
        self._remembered: dict[tuple[str, Name], _Remembered] = {}
        self._asked: dict[tuple[str, Name], asyncio.Task[FileRow | None]] = {}

    async def close(self) -> None:
        await self._http.aclose()

    async def find(self, name: Name, principal: Principal | None = None) -> FileRow | None:
        """Return the file, or ``None`` if it does not exist.

        :param principal: who must own the file; ``None``: a signed URL names it, and the owner does not matter.
        :raises DomainError: ``file-storage-unavailable``.
        """
        who = "" if principal is None else f"{principal.owner} {principal.sees_all}"
        known = self._remembered.get((who, name))
        if known is not None and known.until > time.monotonic():
            return known.row
        # Equal questions at the same time are one question.
        task = self._asked.get((who, name))
        if task is None:
            task = self._asked[who, name] = asyncio.create_task(self._ask(who, name, principal))
            task.add_done_callback(lambda done: self._answered(who, name, done))
        return await asyncio.shield(task)

    async def existing(self, ids: Sequence[int]) -> set[int]:
        """Return which of these files exist; nothing is remembered."""
        return {row.id for row in await self._lookup({"ids": list(ids)}, None)}

    def forget(self, file_id: int) -> None:
        """Look the file up again next time."""
        self._remembered = {
            name: known
            for name, known in self._remembered.items()
            if name[1] != file_id and not (known.row is not None and known.row.id == file_id)
        }

    async def _ask(self, who: str, name: Name, principal: Principal | None) -> FileRow | None:
        rows = await self._lookup({"ids": [name]} if isinstance(name, int) else {"sha256": [name]}, principal)
        row = rows[0] if rows else None
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        until = time.monotonic() + (GONE_SECONDS if row is None else self._seconds)
        row = None if row is None else replace(row, until=until)
        self._remembered[who, name] = _Remembered(until, row)
        return row

    def _answered(self, who: str, name: Name, task: "asyncio.Task[FileRow | None]") -> None:
        self._asked.pop((who, name), None)
        if not task.cancelled():
            # The caller may be gone; then nobody looks at the error.
            task.exception()

    async def _lookup(self, body: dict[str, list[int] | list[str]], principal: Principal | None) -> Sequence[FileRow]:
        headers = {} if principal is None else {OWNER_HEADER: principal.owner}
        if principal is not None and principal.sees_all:
            headers[SEES_HEADER] = "all"
        try:
            response = await self._http.post("/lookup", json=body, headers=headers)
        except httpx2.HTTPError as error:
            raise storage_unavailable() from error
        if response.status_code != 200:
            raise storage_unavailable()
        return [_row_of(each) for each in response.json()["files"]]


def _row_of(file: dict[str, object]) -> FileRow:
    width, height = file.get("width"), file.get("height")
    return FileRow(
        id=int(str(file["id"])),
        sha256=str(file["sha256"]),
        media_type=str(file["media_type"]),
        width=width if isinstance(width, int) else None,
        height=height if isinstance(height, int) else None,
        created=int(parsedate_to_datetime(str(file["created_at"])).timestamp()),
    )
