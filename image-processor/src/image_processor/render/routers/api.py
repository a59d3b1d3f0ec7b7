"""Endpoints for authenticated clients: thumbnails, metadata, previews, signed URLs, and the removal of results."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from service_kit.access.asgi_gate import Endpoint, admitted
from service_kit.access.gate import Gate
from service_kit.access.principals import LOCAL_OWNER, Principal, Scope
from service_kit.database import MAX_ID
from service_kit.errors import DomainError, FieldError, RuleError
from service_kit.field_errors import summary_of
from service_kit.json_types import WHOLE_NUMBER
from service_kit.languages import ENGLISH, language_of
from service_kit.problems import Problem, invalid_request, problem_with
from service_kit.public_url import PublicUrlSettings, public_url
from service_kit.texts import sentence
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from image_processor.imaging.output import Output, Tiles
from image_processor.imaging.source import Source
from image_processor.render import failures
from image_processor.render.metrics import MEDIA_TYPE, RenderMetrics
from image_processor.render.plans.deferred import PlannedStep
from image_processor.render.plans.plan import DigestSource, Encoding, FileSource, PlanSource, RenderPlan, step
from image_processor.render.routers.clients import json_of, until_gone
from image_processor.render.routers.metadata import chosen, metadata_plan, parts_of
from image_processor.render.routers.nginx_cache import NginxCache
from image_processor.render.routers.responses import (
    MEDIA_TYPES,
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
from image_processor.render.sources.file_rows import FileRow, FileRows
from image_processor.render.sources.shared_links import SharedLinks
from image_processor.render.urls.presets import FoundPreset, RenderPresets
from image_processor.render.urls.signed_urls import ENCODE_ONLY, Id, UrlMaker, UrlRequest, check_gives_image
from image_processor.services.codec.plan import MAX_STEPS, PIPELINE, plan_of
from image_processor.statuses import STATUSES

THUMBNAIL_SIZES = (128, 256, 512, 1024)
PREVIEW_SIDE = 1024
FULL_SIZE_HEADER = "X-Pixmill-Full-Size"
"""Width and height of a preview's result before it was shrunk, such as ``3000x2000``."""
METADATA_SECONDS = 3600
"""How long a browser may reuse metadata without revalidation."""
_PRIVATE = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
_ID = re.compile(r"[1-9][0-9]{0,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")

_Model = TypeVar("_Model", bound=BaseModel)


class PreviewIn(BaseModel):
    """A pipeline, or the name of a preset, and the file to try it on."""

    model_config = ConfigDict(extra="forbid")

    file_id: Id
    steps: list[object] | None = Field(None, max_length=MAX_STEPS)
    preset: str | None = Field(None, max_length=64, description="A name from `presets`, instead of `steps`.")
    output: dict[str, object] | None = None
    source: dict[str, object] | None = None
    max_side: Annotated[int, Field(ge=16, le=4096), WHOLE_NUMBER] = Field(
        PREVIEW_SIDE, description="The longest side of the answer, in pixels; a larger result is shrunk."
    )

    @model_validator(mode="after")
    def _steps_or_preset(self) -> Self:
        if (self.steps is None) == (self.preset is None):
            raise RuleError("steps_or_preset", sentence("give either steps or preset"))
        if self.preset is not None and (self.output is not None or self.source is not None):
            raise RuleError("preset_alone", sentence("a preset has its own output and source"))
        return self


class NoQuery(BaseModel):
    """The query of a request that takes none: ignoring its parameters would mislead."""

    model_config = ConfigDict(extra="forbid")


class ApiRoutes:
    """Handles requests to these endpoints."""

    def __init__(
        self,
        gate: Gate,
        service: RenderService,
        rows: FileRows,
        presets: RenderPresets,
        urls: UrlMaker,
        http: PublicUrlSettings,
        metrics: RenderMetrics,
        nginx_cache: NginxCache,
        links: SharedLinks,
    ) -> None:
        self._gate = gate
        self._service = service
        self._rows = rows
        self._presets = presets
        self._urls = urls
        self._http = http
        self._metrics = metrics
        self._nginx_cache = nginx_cache
        self._links = links

    async def thumbnail(self, request: Request) -> Response:
        """``GET /api/image-processing/thumbnails/{file_id}/{size}``."""
        return await self._thumbnail(request, _file_of(request))

    async def thumbnail_of_digest(self, request: Request) -> Response:
        """``GET /api/image-processing/thumbnails/sha256/{sha256}/{size}``."""
        return await self._thumbnail(request, _digest_of(request))

    async def shared_thumbnail(self, request: Request) -> Response:
        """``GET /api/file-server/shared/{token}/{file_id}/thumbnails/{size}``."""
        token, source = request.path_params["token"], _file_of(request)
        if not _TOKEN.fullmatch(token):
            raise nothing_here(request)
        _refuse_query(request)
        refusal = await self._links.refusal(token, source.file_id, request.headers)
        if refusal is not None:
            headers = _PRIVATE | {"Cache-Control": "no-store", **refusal.headers}
            return Response(refusal.content, refusal.status, headers)
        found = await self._service.find(thumbnail_plan(source, _size_of(request)))
        # Each use asks whether the link is still open.
        return await self._thumbnail_response(request, found, "private, no-cache")

    async def _thumbnail(self, request: Request, source: PlanSource) -> Response:
        size = _size_of(request)
        principal = await self._admitted(request, Scope.FILES_READ)
        found = await self._service.find(thumbnail_plan(source, size), principal=principal)
        # The bytes of a file never change. Private, because the request is authenticated.
        return await self._thumbnail_response(request, found, "private, max-age=31536000, immutable")

    async def _thumbnail_response(self, request: Request, found: Found, kept: str) -> Response:
        headers = _PRIVATE | {
            "ETag": entity_tag(found.key),
            "Cache-Control": kept,
            # Another user of the same browser must not get the cached response.
            "Vary": "Cookie, Authorization",
        }
        if found.modified is not None:
            headers["Last-Modified"] = http_date(found.modified)
        if is_unchanged(request, found.key, found.modified):
            return not_modified(headers)

        def respond(result: Result) -> Response:
            timing = server_timing(dict(result.seconds), result.state)
            sent = headers | {"Content-Type": "image/webp", "Server-Timing": timing}
            return file_response(request, result.stored.path, result.stored.size, sent, entity_tag(found.key))

        return await response_of(lambda: result_for(request, self._service, found), respond)

    async def metadata(self, request: Request) -> Response:
        """``GET /api/image-processing/metadata/{file_id}``."""
        return await self._metadata(request, _file_of(request))

    async def metadata_of_digest(self, request: Request) -> Response:
        """``GET /api/image-processing/metadata/sha256/{sha256}``."""
        return await self._metadata(request, _digest_of(request))

    async def _metadata(self, request: Request, source: PlanSource) -> Response:
        principal = await admitted(self._gate, request, Scope.FILES_READ)
        parts = parts_of(request.query_params)
        found = await self._service.find(metadata_plan(source, parts), principal=principal)
        language = language_of(request.headers.get("Accept-Language"))
        key = found.key if language == ENGLISH else f"{found.key}-{language}"
        headers = _PRIVATE | {
            "ETag": entity_tag(key),
            "Content-Language": language,
            # The bytes of a file never change, but a later version of Pixmill may report more about them.
            "Cache-Control": f"private, max-age={METADATA_SECONDS}",
            "Vary": "Cookie, Authorization, Accept-Language",
        }
        if is_unchanged(request, key, None):
            return not_modified(headers)

        def respond(result: Result) -> Response:
            sent = headers | {"Server-Timing": server_timing(dict(result.seconds), result.state)}
            content = chosen(result.stored.path.read_bytes(), parts, language)
            return Response(content, 200, sent, media_type="application/json")

        return await response_of(lambda: result_for(request, self._service, found), respond)

    async def preview(self, request: Request) -> Response:
        """``POST /api/image-processing/preview``."""
        principal = await self._admitted(request, Scope.FILES_READ)
        wanted = _validated(PreviewIn, await json_of(request))
        preset = None if wanted.preset is None else await self._preset(wanted.preset, principal)
        plan = preview_plan(wanted, None if preset is None else preset.params)
        for_everybody = preset is not None and preset.for_everybody
        found = await self._service.find(plan, principal=principal, named_for_everybody=for_everybody)
        result = await until_gone(request, self._service.render_uncached(found))
        stored = result.stored
        try:
            content = stored.path.read_bytes()
        finally:
            stored.path.unlink(missing_ok=True)
        headers = _PRIVATE | {"Cache-Control": "no-store", "Server-Timing": server_timing(dict(result.seconds))}
        if result.full_size is not None:
            headers[FULL_SIZE_HEADER] = "{}x{}".format(*result.full_size)
        return Response(content, 200, headers, media_type=MEDIA_TYPES[stored.extension])

    async def urls(self, request: Request) -> Response:
        """``POST /api/image-processing/render-urls``."""
        principal = await self._admitted(request, Scope.LINKS_CREATE)
        wanted = _validated(UrlRequest, await json_of(request))
        await self._owned(wanted.file_id, principal)
        remote = request.client.host if request.client else ""
        base = public_url(lambda name: request.headers.get(name, ""), remote, self._http)
        owner = LOCAL_OWNER
        if wanted.preset is not None:
            preset = await self._preset(wanted.preset, principal)
            check_gives_image(plan_of(PIPELINE, preset.params), "/preset")
            if not preset.for_everybody:
                owner = principal.owner
        try:
            made = self._urls.make(wanted, base, int(time.time()), owner)
        except DomainError as error:
            raise _without_prefix(error) from error
        # A signature grants access to the files that the steps name, so the client must own them too.
        for file_id in plan_of(PIPELINE, {"steps": wanted.steps}).file_ids() if wanted.steps else ():
            await self._owned(file_id, principal)
        body = {**made.model_dump(exclude_none=True), "expires_at": made.expires_at}
        return JSONResponse(body, 201, dict(_PRIVATE))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/image-processing/renders/{file_id}``."""
        principal = await self._admitted(request, Scope.FILES_DELETE)
        file_id = _file_of(request).file_id
        # The remembered row may be outdated: the file may just have been deleted.
        self._rows.forget(file_id)
        row = await self._rows.find(file_id)
        if row is not None and await self._rows.find(file_id, principal) is None:
            # The file belongs to another owner.
            raise failures.file_not_found(file_id)
        sha256 = None if row is None else row.sha256
        await self._service.forget_file(file_id, sha256)
        await self._nginx_cache.forget(file_id, sha256)
        return Response(status_code=204)

    async def metrics(self, request: Request) -> Response:
        """``GET /api/image-processing/renders/metrics``."""
        await admitted(self._gate, request, Scope.METRICS_READ)
        return Response(self._metrics.text(), media_type=MEDIA_TYPE)

    async def _admitted(self, request: Request, scope: Scope) -> Principal:
        """Return the principal of a request that takes no query; a stranger does not learn that it takes none.

        :raises Problem: as :func:`admitted`; 422, the request has a query.
        """
        principal = await admitted(self._gate, request, scope)
        _refuse_query(request)
        return principal

    async def _preset(self, name: str, principal: Principal) -> FoundPreset:
        """Return the current preset, not a remembered one: users preview and sign presets that they just changed."""
        found = await self._presets.find(name, principal.owner, fresh=True)
        if found is None:
            detail = sentence("There is no preset '{preset}'.", preset=name)
            raise Problem("preset-not-found", 404, detail, context={"name": name})
        return found

    async def _owned(self, file_id: int, principal: Principal) -> FileRow:
        row = await self._rows.find(file_id, principal)
        if row is None:
            raise failures.file_not_found(file_id)
        return row


def answering(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint so that its errors become problem documents."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except Problem as problem:
            return problem_response(request, problem, _PRIVATE)
        except DomainError as error:
            status = {**STATUSES, **failures.STATUSES}[error.kind]
            return problem_response(request, problem_with(error, status), _PRIVATE)

    return answer


def thumbnail_plan(source: PlanSource, size: int) -> RenderPlan:
    """Return the plan of a thumbnail."""
    return RenderPlan(
        source=source,
        steps=(step("thumbnail", {"width": size, "height": size}),),
        encoding=Encoding(Output(format="webp", quality=80, effort=3, metadata="strip", profile="strip")),
        reading=Source(frames=1),
    )


def preview_plan(wanted: PreviewIn, preset: Mapping[str, object] | None = None) -> RenderPlan:
    """Return the plan of a preview: run the pipeline of a task, and shrink what it makes.

    :param preset: the params of the requested preset.
    :raises DomainError: ``invalid-fields``, ``unknown-algorithm``.
    """
    steps = wanted.steps or [ENCODE_ONLY]
    try:
        planned = plan_of(PIPELINE, preset or {"steps": steps, "output": wanted.output, "source": wanted.source})
    except DomainError as error:
        raise _without_prefix(error) from error
    if isinstance(planned.encoding, Tiles):
        detail = sentence("A preview can be an image or an analysis, but not tiles.")
        raise DomainError(
            "invalid-fields", detail, [FieldError(pointer="/steps", detail=detail, code="preview_of_tiles")]
        )
    return RenderPlan(
        source=FileSource(wanted.file_id),
        steps=tuple(PlannedStep(algorithm.name, given) for algorithm, given in planned.steps),
        encoding=Encoding(planned.encoding),
        reading=planned.source,
        files=tuple((file_id, FileSource(file_id)) for file_id in planned.file_ids()),
        accepts_still=False,  # the task would refuse it too
        max_side=wanted.max_side,
    )


def _without_prefix(error: DomainError) -> DomainError:
    """Return the error with ``/params`` removed from its pointers, because the request has no such member."""
    errors = [
        cast("FieldError", {**field, "pointer": field["pointer"].removeprefix("/params")}) for field in error.errors
    ]
    detail = summary_of(errors) if error.kind == "invalid-fields" else error.detail
    return replace(error, detail=detail, errors=errors)


def _validated(model: type[_Model], document: object) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_request(error, document, "", model) from error


def _refuse_query(request: Request) -> None:
    """Refuse a request with query parameters, as the other services do.

    :raises Problem: 422, it has some.
    """
    _validated(NoQuery, dict(request.query_params))


def _file_of(request: Request) -> FileSource:
    """Return the file that the path names.

    :raises Problem: 404, the id is invalid.
    """
    text = request.path_params["file_id"]
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise nothing_here(request)
    return FileSource(int(text))


def _size_of(request: Request) -> int:
    """Return the size of a thumbnail that the path names.

    :raises Problem: 404, thumbnails have other sizes.
    """
    size = request.path_params["size"]
    if size not in map(str, THUMBNAIL_SIZES):
        raise Problem(
            "not-found",
            404,
            sentence("Thumbnails have these sizes: {names}.", names=", ".join(map(str, THUMBNAIL_SIZES))),
            context={"path": request.url.path},
        )
    return int(size)


def _digest_of(request: Request) -> DigestSource:
    """Return the source whose SHA-256 the path contains.

    :raises Problem: 404, the SHA-256 is invalid.
    """
    text = request.path_params["sha256"]
    if not _SHA256.fullmatch(text):
        raise nothing_here(request)
    return DigestSource(text)
