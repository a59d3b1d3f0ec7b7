"""The endpoint of images by URL, in Pixmill's own form and in the peers' dialects. A signature grants access."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from service_kit.errors import DomainError
from service_kit.problems import Problem, problem_with
from service_kit.texts import counted, sentence
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from image_processor.render import failures
from image_processor.render.config import RenderHttpSettings
from image_processor.render.metrics import RenderMetrics
from image_processor.render.plans.plan import FileSource, PlanSource, RenderPlan
from image_processor.render.problems import NO_SUCH_ROUTE
from image_processor.render.routers.clients import until_gone
from image_processor.render.routers.hints import VARY_BY_HINTS, hinted
from image_processor.render.routers.nginx_cache import NginxCache, forgetting
from image_processor.render.routers.responses import (
    MEDIA_TYPES,
    disposition,
    entity_tag,
    file_response,
    http_date,
    is_unchanged,
    not_modified,
    nothing_here,
    problem_response,
    server_timing,
)
from image_processor.render.routers.results import response_of, result_for
from image_processor.render.service import Found, RenderService, Result
from image_processor.render.sources.freshness import Freshness
from image_processor.render.urls.reading import MAX_TARGET_BYTES, Reader, status_of

log = structlog.get_logger()

PRESET_SECONDS = 60
"""How long caches may keep the image of a URL with a preset before they revalidate it, because presets change."""
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    # An image that is opened as a page must not run or load anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    # Pages of other sites may embed the image.
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_SPELLINGS: Mapping[str, tuple[str, ...]] = {".jpg": (".jpg", ".jpeg", ".jpe", ".jfif"), ".tif": (".tif", ".tiff")}
"""The usual extensions of a format that has several, by the one of its results."""
_NEEDS_FALLBACK = (
    failures.FILE_NOT_FOUND,
    failures.NOT_RENDERABLE,
    failures.TOO_LARGE,
    failures.ORIGIN_FAILED,
    failures.ORIGIN_SLOW,
)


class ImageRoutes:
    """Handles requests for images by URL.

    :param closed_paths: the paths of dialects without a key: `/img/thumbor/…` must not be read as Pixmill's own URL.
    """

    def __init__(
        self,
        reader: Reader,
        service: RenderService,
        settings: RenderHttpSettings,
        metrics: RenderMetrics,
        nginx_cache: NginxCache,
        closed_paths: Sequence[str],
    ) -> None:
        self._reader = reader
        self._service = service
        self._settings = settings
        self._metrics = metrics
        self._nginx_cache = nginx_cache
        self._closed_paths = tuple(closed_paths)

    async def image(self, request: Request) -> Response:
        """Handle ``GET`` and ``HEAD`` of every path that no other endpoint has."""
        if (forgotten := forgetting(request)) is not None:
            return forgotten
        form = "none"
        try:
            target = _target(request)
            if target.decode("latin-1").startswith(self._closed_paths):
                raise DomainError(NO_SUCH_ROUTE, "")
            dialect, rest = self._reader.dialect_of(target, request.headers.get("Host", ""))
            form = dialect.name
            if request.method not in ("GET", "HEAD"):
                raise Problem(
                    "method-not-allowed",
                    405,
                    sentence("{method} is not allowed here.", method=request.method),
                    headers={"Allow": "GET, HEAD"},
                )
            response = await self._answer(request, await dialect.plan(rest))
        except ClientDisconnect:
            response = Response(status_code=499)
        except DomainError as error:
            response = _refusal(request, form, error)
        except Problem as problem:
            response = problem_response(request, problem, _SAFE)
        self._metrics.requests.labels(form, str(response.status_code)).inc()
        return response

    async def _answer(self, request: Request, plan: RenderPlan) -> Response:
        begin = time.monotonic()
        if self._settings.client_hints:
            plan = hinted(plan, request.headers)
        try:
            found = await self._found(request, plan)
            looked_up = time.monotonic() - begin
            # The key of nginx's cache does not contain the client hints.
            kept_until = 0 if self._settings.client_hints else self._nginx_cache.last_second(plan, found)
            headers = self._headers(plan, found, kept_until)
            if is_unchanged(request, found.key, _modified(plan, found)):
                return not_modified(headers)
            response = await self._sent(request, found, headers, {"lookup": looked_up})
            self._nginx_cache.offer(request, _target(request), response, found, kept_until)
            return response
        except DomainError as error:
            fallback = self._fallback(plan)
            if error.kind not in _NEEDS_FALLBACK or fallback is None:
                raise
            log.info("fallback sent", reason=error.kind, detail=error.detail)
            found = await self._found(request, replace(plan, source=fallback))
            headers = {**_SAFE, "Cache-Control": "no-store"}
            return await self._sent(request, found, headers, {})

    async def _found(self, request: Request, plan: RenderPlan) -> Found:
        finding = self._service.find(plan, request.headers.get("Accept", ""))
        # A remembered row is not worth the tasks that watch the connection.
        return await until_gone(request, finding) if self._service.asks_origins(plan) else await finding

    async def _sent(
        self, request: Request, found: Found, headers: dict[str, str], timing: dict[str, float]
    ) -> Response:
        return await response_of(
            lambda: result_for(request, self._service, found),
            lambda result: self._response(request, found, result, headers, timing),
        )

    def _response(
        self, request: Request, found: Found, result: Result, headers: dict[str, str], timing: dict[str, float]
    ) -> Response:
        stored, plan = result.stored, found.plan
        parts = timing | dict(result.seconds)
        sent = headers | {
            "Content-Type": MEDIA_TYPES[stored.extension],
            "Server-Timing": server_timing(parts, result.state),
        }
        if plan.wishes.file_name or plan.wishes.attachment:
            name = plan.wishes.file_name or "image"
            named = with_extension(name, stored.extension)
            sent["Content-Disposition"] = disposition("attachment" if plan.wishes.attachment else "inline", named)
        return file_response(request, stored.path, stored.size, sent, entity_tag(found.key))

    def _headers(self, plan: RenderPlan, found: Found, kept_until: int) -> dict[str, str]:
        headers = _SAFE | {
            "ETag": entity_tag(found.key),
            "Cache-Control": self._cache_control(plan, found.freshness, kept_until),
        }
        if (modified := _modified(plan, found)) is not None:
            headers["Last-Modified"] = http_date(modified)
        vary = ["Accept"] if plan.negotiated else []
        if self._settings.client_hints and plan.answer != "original":
            vary += VARY_BY_HINTS
            headers["Accept-CH"] = "Sec-CH-Width, Save-Data"
        if vary:
            headers["Vary"] = ", ".join(vary)
        if plan.ignored:
            headers["X-Pixmill-Ignored"] = ", ".join(plan.ignored)[:500].encode("ascii", "replace").decode()
        return headers

    def _cache_control(self, plan: RenderPlan, freshness: Freshness | None, kept_until: int) -> str:
        """Return the header; nothing may be kept for longer than the origin of a source allows."""
        if freshness is not None and not freshness.is_stored:
            return "no-store"
        wishes, usual = plan.wishes, self._settings.max_age_seconds
        if wishes.preset_until is not None:
            usual = min(usual, PRESET_SECONDS)
        seconds = usual if wishes.max_age is None else wishes.max_age
        # Count from the last moment at which nginx may send the response.
        now = time.time()
        sent = max(int(now), kept_until + 1)
        if wishes.expires:
            seconds = min(seconds, max(0, wishes.expires - sent))
        if not seconds:
            return "no-store"
        # A URL that expires is for those who got it, so no cache that others share should keep its image.
        is_private = bool(wishes.expires) or (freshness is not None and freshness.is_private)
        if freshness is not None:
            left = freshness.clients_until - time.monotonic() - max(0, sent - now)
            seconds = min(seconds, max(0, int(left)))
        scope = "private" if is_private else "public"
        return f"{scope}, max-age={seconds}" if seconds else f"{scope}, no-cache"

    def _fallback(self, plan: RenderPlan) -> PlanSource | None:
        if plan.wishes.fallback is not None:
            return plan.wishes.fallback
        return FileSource(self._settings.fallback_file_id) if self._settings.fallback_file_id else None


def with_extension(name: str, extension: str) -> str:
    """Return a file name with the extension of the result, unless it ends with another extension of that format."""
    return name if name.lower().endswith(_SPELLINGS.get(extension, (extension,))) else name + extension


def _modified(plan: RenderPlan, found: Found) -> int | None:
    """Return when the result was last modified; ``None`` with a preset, whose changes have no known time."""
    return found.modified if plan.wishes.preset_until is None else None


def _target(request: Request) -> bytes:
    """Return the path and query as sent, because signatures cover these bytes.

    :raises Problem: 414, they are too long.
    """
    scope = request.scope
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    target = path + b"?" + query if query else path
    if len(target) > MAX_TARGET_BYTES:
        raise Problem(
            "uri-too-long",
            414,
            counted(
                "A URL may have at most {limit:,} byte.",
                "A URL may have at most {limit:,} bytes.",
                "limit",
                limit=MAX_TARGET_BYTES,
            ),
        )
    return target


def _refusal(request: Request, form: str, error: DomainError) -> Response:
    if error.kind == NO_SUCH_ROUTE:
        return problem_response(request, nothing_here(request), _SAFE)
    known = failures.STATUSES.get(error.kind)
    status = failures.OF_PEERS.get(form, {}).get(error.kind, known) if known else status_of(form, error)
    if status is None:
        raise LookupError(error.kind)
    return problem_response(request, problem_with(error, status), _SAFE)
