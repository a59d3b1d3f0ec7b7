"""Controls nginx's cache in front of this service: which images it keeps, until when, and how to remove them."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import structlog
from service_kit.front_headers import FORGET
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from image_processor.render.config import FrontCacheSettings
from image_processor.render.plans.plan import RenderPlan
from image_processor.render.processes.job import StoredFile
from image_processor.render.removals import Removals
from image_processor.render.service import Found

log = structlog.get_logger()

UNTIL = "X-Accel-Expires"
"""The response header with the second since 1970 until which nginx keeps the response. nginx does not pass it on."""
MOST_KEPT = 20_000
"""The most responses that nginx may keep; this service remembers each of them so that it can remove it."""
LONGEST_TARGET_BYTES = 2048
LONGEST_SECONDS = 60
"""nginx keeps nothing for longer, because `http.lookup_seconds` is at most 50."""
_AT_ONCE = 16


@dataclass(frozen=True)
class _CacheKey:
    """The key of a cached response (`proxy_cache_key` in `config/nginx.conf`), in the bytes that the client sent."""

    host: bytes
    target: bytes
    accept: bytes


class NginxCache:
    """Controls nginx's cache of images by URL.

    Only images by URL are public to everyone who knows the URL. Thumbnails, metadata and previews need authentication,
    which nginx cannot check.

    :param mark: a file whose time is that until which nginx may keep a response: after a restart, the next process of
        the service does not know which ones.
    :param removals: the removals of results.
    """

    def __init__(self, settings: FrontCacheSettings, mark: Path, removals: Removals) -> None:
        self._kept: OrderedDict[_CacheKey, tuple[int, Sequence[StoredFile]]] = OrderedDict()
        self._mark = mark
        self._removals = removals
        # A later time was written before the clock was set back.
        self._marked = self._unknown_until = min(_time_of(mark), time.time() + LONGEST_SECONDS)
        self._http = None
        if settings.url:
            self._http = httpx2.AsyncClient(
                base_url=settings.url.rstrip("/"),
                timeout=settings.timeout_seconds,
                limits=httpx2.Limits(max_connections=_AT_ONCE),
                trust_env=False,
            )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def last_second(self, plan: RenderPlan, found: Found) -> int:
        """Return the last second, since 1970, in which nginx may send the response; 0 if nginx must not keep it.

        It is before the remembered rows of the files and the preset expire, so that nginx delays neither a deletion nor
        a change, and before the URL expires.
        """
        if self._http is None or plan.wishes.max_age == 0 or not found.may_be_kept:
            return 0
        wishes, now = plan.wishes, time.time()
        known = found.fresh_until if wishes.preset_until is None else min(found.fresh_until, wishes.preset_until)
        end = int(now + known - time.monotonic())
        # nginx sends it during the whole last second.
        last = min(end, wishes.expires or end) - 1
        return last if last > now else 0

    def offer(self, request: Request, target: bytes, response: Response, found: Found, last_second: int) -> None:
        """Allow nginx to keep a response; do nothing if it must not be kept, or if nginx already keeps too many.

        :param target: the path and query as sent.
        """
        if not last_second or request.method != "GET" or response.status_code != 200:
            return
        files = found.stored_files
        # The results of its files may have been removed while it was rendered.
        if self._removals.concern(files, found.removals):
            return
        host, accept = (request.headers.get(name, "").encode("latin-1") for name in ("Host", "Accept"))
        key = _CacheKey(host, target, accept)
        self._kept.pop(key, None)
        self._drop_expired()
        if len(self._kept) >= MOST_KEPT or len(target) > LONGEST_TARGET_BYTES or not self._has_marked(last_second):
            return
        self._kept[key] = last_second, files
        response.headers[UNTIL] = f"@{last_second}"
        response.background = BackgroundTask(self._sent, key, found)

    async def forget(self, file_id: int, sha256: str | None) -> None:
        """Remove all responses that are made from a file, or from one with the same bytes, from nginx's cache.

        After a restart of the service, wait until what nginx keeps since before it has expired.

        :param sha256: that of the file; ``None`` if it no longer exists.
        """
        made_of_it = {
            key: kept
            for key, kept in self._kept.items()
            if any(file.file_id == file_id or file.sha256 == sha256 for file in kept[1])
        }
        if self._http is not None:
            are_forgotten = await asyncio.gather(*(_forget(self._http, key) for key in made_of_it))
            for (key, kept), is_forgotten in zip(made_of_it.items(), are_forgotten, strict=True):
                # In the meantime, nginx may have received a newer response.
                if is_forgotten and self._kept.get(key) is kept:
                    del self._kept[key]
        # nginx sends a response during the whole last second.
        left = self._unknown_until + 1 - time.time()
        if left > 0:
            await asyncio.sleep(min(left, LONGEST_SECONDS))

    async def _sent(self, key: _CacheKey, found: Found) -> None:
        """Forget a response again that nginx had not received completely when it was to be forgotten."""
        if self._http is not None and self._removals.concern(found.stored_files, found.removals):
            await _forget(self._http, key)

    def _has_marked(self, last_second: int) -> bool:
        """Return whether the next process of the service will know that nginx keeps something until this second."""
        if last_second > self._marked:
            try:
                # Renamed, because a crash between the two steps must not shorten the time.
                made = self._mark.with_name(f"{self._mark.name}.new")
                made.touch()
                os.utime(made, (last_second, last_second))
                made.replace(self._mark)
            except OSError as error:
                log.warning("nginx may keep nothing", error=str(error))
                return False
            self._marked = last_second
        return True

    def _drop_expired(self) -> None:
        now = time.time()
        while self._kept:
            key, (last_second, _) = next(iter(self._kept.items()))
            if last_second >= now:
                return
            del self._kept[key]


def _time_of(mark: Path) -> float:
    try:
        return mark.stat().st_mtime
    except FileNotFoundError:
        return 0


async def _forget(http: httpx2.AsyncClient, key: _CacheKey) -> bool:
    """Remove a response from nginx's cache; return whether nginx has answered."""
    headers = {b"Host": key.host, b"Accept": key.accept, FORGET.encode(): b"1"}
    try:
        # Send the original target: httpx would normalize it, and nginx would not find the cached response.
        await http.get("/", headers=headers, extensions={"target": key.target})
    except httpx2.HTTPError as error:
        log.warning("nginx keeps an image for some seconds more", error=str(error) or type(error).__name__)
        return False
    return True


def forgetting(request: Request) -> Response | None:
    """Return an expired response, which replaces nginx's cached one, if the request asks for that."""
    if FORGET not in request.headers:
        return None
    return Response(status_code=404, headers={UNTIL: "@1", "Cache-Control": "no-store"})
