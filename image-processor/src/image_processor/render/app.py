"""The render service's application: ``uvicorn --factory image_processor.render.app:create_app``.

One asynchronous process parses URLs and sends cached results; its child processes render.
"""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from service_kit import logs
from service_kit.access.asgi_gate import ApiApplication, Endpoint, recorded
from service_kit.access.audit import AuditTrail
from service_kit.access.config import AccessSettings
from service_kit.access.cors import Cors
from service_kit.access.gate_injectors import create_gate
from service_kit.access.keys import KeyService
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.garbage import freeze_existing_objects
from service_kit.problems import Problem
from service_kit.settings import SettingsError, exit_with, load_or_exit, warn_of_short_passwords
from service_kit.texts import sentence
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from image_processor.render.cache import NGINX_KEEPS, ORIGINS, RenderCache
from image_processor.render.config import RenderSettings
from image_processor.render.engine import render_engine
from image_processor.render.metrics import RenderMetrics
from image_processor.render.processes.pool import Pool
from image_processor.render.removals import Removals
from image_processor.render.routers.api import ApiRoutes, answering
from image_processor.render.routers.images import ImageRoutes
from image_processor.render.routers.nginx_cache import NginxCache
from image_processor.render.routers.responses import problem_response
from image_processor.render.service import RenderService
from image_processor.render.sources.file_rows import FileRows
from image_processor.render.sources.origins import Origins
from image_processor.render.sources.shared_links import SharedLinks
from image_processor.render.urls.presets import RenderPresets
from image_processor.render.urls.reading import Reader
from image_processor.render.urls.signed_urls import UrlMaker
from image_processor.services.codec.configured_presets import ConfiguredPresets

log = structlog.get_logger()

API = "/api/image-processing"
SHARED = "/api/file-server/shared"
SWEEP_SECONDS = 20
"""Interval between searches for cached results whose files were deleted."""
_EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app() -> Starlette:
    """Return the ASGI application, configured by ``config/render/conf.yml`` and the environment."""
    _allow_many_connections()
    settings = load_or_exit(RenderSettings)
    logs.configure(settings.log.level)
    access = load_or_exit(AccessSettings)
    warn_of_short_passwords(access)
    access_database = Database(access.database.url, access.database.pool_size)
    keys = KeyService(access_database)
    # Its database role may add entries, but not delete old ones.
    trail = AuditTrail(access_database, keep_seconds=None)
    try:
        configured = dict(ConfiguredPresets(settings.presets).items())
        secret = settings.file_storage.inner_secret.get_secret_value()
        presets = RenderPresets(configured, settings.image_processor, secret, settings.http.lookup_seconds)
        reader = Reader(settings, presets)
    except SettingsError as error:
        exit_with(error)
    cache, origins = _cache_and_origins(settings)
    pool = Pool(settings)
    rows = FileRows(settings.file_storage, settings.http.lookup_seconds)
    metrics = _metrics(pool, cache, origins)
    removals = Removals()
    service = RenderService(settings, render_engine(), cache, pool, rows, origins, metrics, removals)
    urls = UrlMaker(settings.native)
    nginx_cache = NginxCache(settings.front, Path(settings.cache.folder) / NGINX_KEEPS, removals)
    links = SharedLinks(settings.file_storage)
    gate = create_gate(access, keys, access_database)
    api = ApiRoutes(gate, service, rows, presets, urls, settings.http, metrics, nginx_cache, links)
    peers = (settings.thumbor, settings.imagor, settings.imgproxy)
    closed = [peer.path for peer in peers if peer.path and not peer.enabled]
    images = ImageRoutes(reader, service, settings.http, metrics, nginx_cache, closed)

    @asynccontextmanager
    async def running(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(cache.delete_strays)
        await pool.start()
        sweeper = asyncio.create_task(_sweep(service))
        freeze_existing_objects()
        try:
            yield
        finally:
            sweeper.cancel()
            origins.close()
            await pool.stop()
            await rows.close()
            await presets.close()
            await nginx_cache.close()
            await links.close()
            cache.close()
            await asyncio.to_thread(trail.close)

    handlers: dict[int | type[Exception], ExceptionHandler] = {405: _refuse_method, Exception: _refuse_unexpected}
    return ApiApplication(Cors(access.http.cors_origins), _routes(api, images, pool, trail), handlers, running)


def _cache_and_origins(settings: RenderSettings) -> tuple[RenderCache, Origins]:
    """Return the cache of results and that of fetched sources; exit if their folder cannot be written."""
    folder = Path(settings.cache.folder)
    try:
        cache = RenderCache(folder, settings.cache.max_bytes, settings.cache.keep_free_bytes)
        return cache, Origins(settings.origins, folder / ORIGINS, settings.cache.max_bytes // 10)
    except (OSError, sqlite3.Error) as error:
        exit_with(SettingsError(f"cache.folder {folder} cannot be written: {error}"))


def _routes(api: ApiRoutes, images: ImageRoutes, pool: Pool, trail: AuditTrail) -> list[Route]:
    async def healthy(_request: Request) -> Response:
        return JSONResponse({"status": "ok"} if pool.process_ids else {"status": "starting"})

    def changing(method: str, path: str, endpoint: Endpoint) -> Route:
        """Return a route whose requests go to the audit trail, because they remove something or grant access."""
        return Route(path, recorded(answering(endpoint), path, trail), methods=[method])

    return [
        Route("/healthz", healthy),
        Route(f"{API}/thumbnails/sha256/{{sha256}}/{{size}}", answering(api.thumbnail_of_digest)),
        Route(f"{API}/thumbnails/{{file_id}}/{{size}}", answering(api.thumbnail)),
        Route(f"{SHARED}/{{token}}/{{file_id}}/thumbnails/{{size}}", answering(api.shared_thumbnail)),
        Route(f"{API}/metadata/sha256/{{sha256}}", answering(api.metadata_of_digest)),
        Route(f"{API}/metadata/{{file_id}}", answering(api.metadata)),
        Route(f"{API}/preview", answering(api.preview), methods=["POST"]),
        changing("POST", f"{API}/render-urls", api.urls),
        Route(f"{API}/renders/metrics", answering(api.metrics)),
        changing("DELETE", f"{API}/renders/{{file_id}}", api.remove),
        Route("/{path:path}", images.image, methods=_EVERY_METHOD),
    ]


def _allow_many_connections() -> None:
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def _metrics(pool: Pool, cache: RenderCache, origins: Origins) -> RenderMetrics:
    metrics = RenderMetrics()
    metrics.watch("pixmill_render_waiting", "Renders that wait for a process.", lambda: pool.waiting)
    metrics.watch("pixmill_render_fetches_waiting", "Fetches from origins that wait.", lambda: origins.waiting)
    metrics.watch("pixmill_render_running", "Renders that have begun.", lambda: pool.running)
    metrics.watch("pixmill_render_processes", "Render processes.", lambda: len(pool.process_ids))
    metrics.watch("pixmill_render_cache_bytes", "Bytes of all results.", lambda: cache.bytes)
    metrics.watch("pixmill_render_evictions", "Results that went for others.", lambda: cache.evictions)
    pool.killed = lambda reason: metrics.killed.labels(reason).inc()
    return metrics


async def _sweep(service: RenderService) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            removed = await service.sweep()
        except DomainError:
            # The file server is unavailable: the next sweep removes them.
            continue
        except Exception:
            log.exception("results of deleted files are not removed")
            continue
        if removed:
            log.info("results of deleted files removed", results=removed)


async def _refuse_method(request: Request, error: Exception) -> Response:
    allowed = (error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem_response(
        request,
        Problem("method-not-allowed", 405, sentence("{method} is not allowed here.", method=request.method)),
        allowed,
    )


async def _refuse_unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return problem_response(
        request,
        Problem(
            "internal-error",
            500,
            sentence("The server has failed; its log has the details."),
            context={"request_id": request.headers.get("X-Request-ID")},
        ),
    )
