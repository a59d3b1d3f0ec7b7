"""nginx before this service: which images it may keep, until when, and how it forgets them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
import structlog
from starlette.requests import Request
from starlette.responses import Response

from image_processor.render.config import FrontCacheSettings
from image_processor.render.plan import RenderPlan
from image_processor.render.service import Found

log = structlog.get_logger()

UNTIL = "X-Accel-Expires"
"""The header by which nginx keeps a response up to a second since 1970. nginx does not pass it on."""
FORGET = "X-Pixmill-Forget"
"""The header of a request whose response is to replace what nginx keeps. nginx takes it from its inner port alone."""
MOST_KEPT = 20_000
"""Responses that nginx may have at a time: it must be possible to have each of them forgotten."""
LONGEST_TARGET_BYTES = 2048
_AT_ONCE = 16


@dataclass(frozen=True)
class _Kept:
    """What tells nginx's kept responses apart (`proxy_cache_key` in `config/nginx.conf`)."""

    host: str
    target: bytes
    accept: str


class Front:
    """nginx's cache of images by URL.

    Only images by URL are for everybody who knows the URL. Thumbnails, metadata and previews need a key, which nginx
    cannot judge.
    """

    def __init__(self, settings: FrontCacheSettings) -> None:
        self._kept: OrderedDict[_Kept, tuple[int, Sequence[int]]] = OrderedDict()
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
        """Return the last second, since 1970, in which nginx may send the response; 0: nginx must not keep it.

        It ends with what is remembered about the files and the preset, so that a deletion or a change shows no later
        than without nginx, and before the URL expires.
        """
        if self._http is None or plan.wishes.max_age == 0:
            return 0
        wishes, now = plan.wishes, time.time()
        known = found.fresh_until if wishes.preset_until is None else min(found.fresh_until, wishes.preset_until)
        end = int(now + known - time.monotonic())
        # nginx sends it during the whole last second.
        last = min(end, wishes.expires or end) - 1
        return last if last > now else 0

    def offer(
        self, request: Request, target: bytes, response: Response, file_ids: Sequence[int], last_second: int
    ) -> None:
        """Let nginx keep a response.

        :param target: path and query as they were sent.
        :param file_ids: the stored files that the response is made of.
        """
        if not last_second or request.method != "GET" or response.status_code != 200:
            return
        kept = _Kept(request.headers.get("Host", ""), target, request.headers.get("Accept", ""))
        self._kept.pop(kept, None)
        self._drop_expired()
        if len(self._kept) >= MOST_KEPT or len(target) > LONGEST_TARGET_BYTES:
            return
        self._kept[kept] = last_second, file_ids
        response.headers[UNTIL] = f"@{last_second}"

    async def forget(self, file_id: int) -> None:
        """Have nginx forget everything that is made of a file."""
        made_of_it = [kept for kept, (_, file_ids) in self._kept.items() if file_id in file_ids]
        for kept in made_of_it:
            del self._kept[kept]
        if self._http is not None:
            await asyncio.gather(*(_forget(self._http, kept) for kept in made_of_it))

    def _drop_expired(self) -> None:
        now = time.time()
        while self._kept:
            kept, (last_second, _) = next(iter(self._kept.items()))
            if last_second >= now:
                return
            del self._kept[kept]


async def _forget(http: httpx2.AsyncClient, kept: _Kept) -> None:
    headers = {"Host": kept.host, "Accept": kept.accept, FORGET: "1"}
    try:
        # The target as it was sent: httpx would spell it in its own way, and nginx would not find it.
        await http.get("/", headers=headers, extensions={"target": kept.target})
    except httpx2.HTTPError as error:
        log.warning("nginx keeps an image for some seconds more", error=str(error) or type(error).__name__)


def forgetting(request: Request) -> Response | None:
    """Return the response that replaces what nginx keeps, if the request is for that: it has expired already."""
    if FORGET not in request.headers:
        return None
    return Response(status_code=404, headers={UNTIL: "@1", "Cache-Control": "no-store"})
