"""The Flask application that both services extend: problems, request log, health, metrics and the OpenAPI page."""

import atexit
import json
import re
import time
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import structlog
import svcs
from flask import Response, g, request
from flask_openapi3 import Info, OpenAPI, Server
from flask_openapi3_swagger.plugins import RegisterPlugin
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from werkzeug.exceptions import HTTPException

from service_kit import __version__, response_headers
from service_kit.access.flask_gate import needs, public
from service_kit.access.principals import Scope
from service_kit.database_problems import database_failed
from service_kit.errors import DomainError
from service_kit.idempotency_key import with_keys
from service_kit.languages import Language, language_of
from service_kit.openapi import complete
from service_kit.problems import Problem, invalid_request, problem_of
from service_kit.query import takes_any_query
from service_kit.request_body import decode_chunked, drain_unread, send_continue
from service_kit.request_deadline import RequestDeadline, end_process, end_unless_alive
from service_kit.request_ids import request_id
from service_kit.texts import sentence

log = structlog.get_logger()

_TOKEN = re.compile(r"^/(links|shared)/.+")


class FieldErrorOut(BaseModel):
    """An invalid field of a request."""

    model_config = ConfigDict(extra="allow", title="FieldError")

    pointer: str = Field(description="A JSON Pointer to the field (RFC 6901); empty for the whole document.")
    detail: str
    code: str = Field(description="The kind of error, such as `less_than_equal`.")
    context: dict[str, object] = Field(description="The values that `detail` contains, such as `le`.")


class ProblemOut(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        title="Problem",
    )

    type: str = Field(description="The kind of problem, as a URN.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do about it.")
    code: str = Field(description="The last part of `type`.")
    context: dict[str, object] = Field(description="The values that `detail` contains.")
    errors: list[FieldErrorOut] = Field(default_factory=list, description="The invalid fields, by JSON pointer.")


PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
"""A problem document as content of an OpenAPI response."""


Responses = dict[str | int, type[BaseModel] | dict[str, object] | None]
"""OpenAPI responses by status: a model of the JSON, an OpenAPI Response Object, or nothing for no content."""


def problem_responses(*statuses: int) -> Responses:
    """Return the OpenAPI responses for these statuses, each a problem document."""
    return {status: {"content": PROBLEM_CONTENT} for status in statuses}


def array_response(items: dict[str, object]) -> dict[str, object]:
    """Return the OpenAPI response for a JSON array.

    :param items: the JSON Schema of an item.
    """
    return {"content": {"application/json": {"schema": {"type": "array", "items": items}}}}


def create_api(
    name: str,
    title: str,
    description: str,
    base_path: str,
    registry: svcs.Registry,
    statuses: Mapping[str, int],
    dependencies: Mapping[type, str],
) -> OpenAPI:
    """Return an application without routes of its own; add routes first, then the gate (``flask_gate.install_gate``).

    :param base_path: the path at which the web server mounts it, such as ``/api/file-server``.
    :param registry: may also provide a :class:`prometheus_client.registry.Collector`, which ``/metrics`` publishes.
    :param statuses: the HTTP status of each kind of :class:`DomainError`.
    :param dependencies: the names in ``/readyz`` of the services that the registry can ping.
    """
    app = OpenAPI(
        name,
        info=Info(title=title, version=__version__, description=description),
        servers=[Server(url=base_path)],
        doc_ui=False,
        static_folder=None,
        security_schemes={},
        validation_error_model=ProblemOut,
        validation_error_callback=_refuse_fields,
    )
    app.url_map.strict_slashes = False
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # defined by the default provider, not by its base class
    app.json.sort_keys = False  # type: ignore[attr-defined]  # likewise
    # Flask's documented way to add middleware.
    app.wsgi_app = RequestDeadline(  # type: ignore[method-assign]
        send_continue(decode_chunked(app.wsgi_app)), end_process, end_unless_alive
    )
    svcs.flask.init_app(app, registry=registry)
    atexit.register(svcs.flask.close_registry, app)
    app.before_request(_begin_request)
    app.after_request(_log_request)
    app.after_request(_add_policies)
    app.after_request(_name_language)
    app.after_request(_drop_type_of_no_content)
    app.after_request(drain_unread)
    app.register_error_handler(Problem, render)
    app.register_error_handler(DomainError, lambda error: render(problem_of(error, statuses)))
    app.register_error_handler(HTTPException, _render_http_exception)
    app.register_error_handler(DBAPIError, _render_database_error)
    app.register_error_handler(NoConnectionError, _render_no_connection)
    app.register_error_handler(Exception, _render_unexpected)
    _add_documentation(app)
    _add_health(app, dependencies)
    _add_metrics(app)
    return app


def _add_documentation(app: OpenAPI) -> None:
    before = set(app.view_functions)
    app.add_url_rule("/openapi.json", "openapi_json", lambda: complete(_with_problems(with_keys(app.api_doc))))
    app.register_blueprint(RegisterPlugin.register(doc_url="../openapi.json"), url_prefix="/docs")
    app.add_url_rule("/docs", "docs", lambda: app.redirect(f"{request.script_root}/docs/swagger"))
    for name in set(app.view_functions) - before:
        # The plugin registers bound methods, which cannot be marked.
        app.view_functions[name] = takes_any_query(public(partial(app.view_functions[name])))


def _with_problems(document: Mapping[str, object]) -> dict[str, object]:
    """Return an OpenAPI document in which every operation answers 422 with a problem document.

    flask-openapi3 describes an array of errors if an operation does not name the status.
    """
    paths = cast("Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[str, object]]]]]", document["paths"])
    described = {
        path: {
            method: {**operation, "responses": _refusing(operation["responses"])}
            for method, operation in all_of.items()
        }
        for path, all_of in paths.items()
    }
    return {**document, "paths": described}


def _refusing(responses: Mapping[str, Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    refusal = responses.get("422", {})
    is_problem = "application/problem+json" in cast("Mapping[str, object]", refusal.get("content", {}))
    return {**responses} if is_problem or not refusal else {**responses, "422": {**refusal, "content": PROBLEM_CONTENT}}


def _add_health(app: OpenAPI, dependencies: Mapping[type, str]) -> None:
    names = {f"{service.__module__}.{service.__qualname__}": name for service, name in dependencies.items()}

    # A probe may have parameters against caches.
    @takes_any_query
    @public
    def live() -> dict[str, str]:
        return {"status": "ok"}

    @takes_any_query
    @public
    def ready() -> Response:
        states: dict[str, str] = {}
        for ping in svcs.flask.get_pings():
            name = names[ping.name]
            try:
                ping.ping()
                states[name] = "ok"
            except Exception as error:  # noqa: BLE001 (every failure means unavailable)
                log.warning("dependency not ready", dependency=name, error=str(error))
                states[name] = "unavailable"
        healthy = all(state == "ok" for state in states.values())
        body = {"status": "ok" if healthy else "unavailable", "dependencies": states}
        return Response(json.dumps(body), 200 if healthy else 503, mimetype="application/json")

    app.add_url_rule("/healthz", "healthz", live)
    app.add_url_rule("/readyz", "readyz", ready)


def _add_metrics(app: OpenAPI) -> None:
    @takes_any_query
    @needs(Scope.METRICS_READ)
    def metrics() -> Response:
        registry = CollectorRegistry()
        registry.register(svcs.flask.get(Collector))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    app.add_url_rule("/metrics", "metrics", metrics)


def _begin_request() -> None:
    g.request_id = request_id(request.headers.get("X-Request-ID", ""))
    g.started = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _log_request(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    log.info(
        "request",
        method=request.method,
        path=_logged_path(),
        status=response.status_code,
        milliseconds=round((time.monotonic() - g.started) * 1000, 1),
    )
    return response


def _logged_path() -> str:
    """Return the request's path, without the token of a link: the token gives access to the file."""
    return request.script_root + _TOKEN.sub(r"/\1/-", request.path)


def _add_policies(response: Response) -> Response:
    is_decided = "Content-Security-Policy" in response.headers
    is_page = response.mimetype == "text/html" and not is_decided
    policies = response_headers.of_page(response.get_data(as_text=True)) if is_page else response_headers.API
    for name, value in policies.items():
        response.headers.setdefault(name, value)
    return response


def _name_language(response: Response) -> Response:
    if "language" in g:
        response.headers["Content-Language"] = g.language
        response.vary.add("Accept-Language")
    return response


def _drop_type_of_no_content(response: Response) -> Response:
    """Remove the Content-Type that Flask adds to responses without content."""
    if response.status_code in (204, 304):
        response.headers.pop("Content-Type", None)
    return response


def _refuse_fields(error: ValidationError) -> Response:
    return render(invalid_request(error, ChainMap(request.args, request.view_args or {})))


def preferred_language() -> Language:
    """Return the language that the client prefers, and make the response vary by ``Accept-Language``."""
    g.language = language_of(request.headers.get("Accept-Language"))
    return cast(Language, g.language)


def render(problem: Problem) -> Response:
    """Return the response for a problem (RFC 9457)."""
    body = json.dumps(problem.document(preferred_language()), ensure_ascii=False)
    response = Response(body, problem.status, mimetype="application/problem+json")
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    response.headers.extend(problem.headers)
    return response


_DETAILS: dict[int, Callable[[], str]] = {
    404: lambda: sentence("There is nothing at {path}.", path=request.script_root + request.path),
    405: lambda: sentence("{method} is not allowed here.", method=request.method),
}


def _render_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error.get_response()  # type: ignore[return-value]  # a redirect, or a response that the code chose
    detail = _DETAILS[status]() if status in _DETAILS else error.description or ""
    kind = error.name.lower().replace(" ", "-")
    response = render(Problem(kind, status, detail))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _render_database_error(error: DBAPIError) -> Response:
    if isinstance(error, DataError):
        log.warning("value refused by the database", error=str(error.orig))
        return render(Problem("invalid-value", 422, sentence("The database cannot store a value of the request.")))
    log.error("database unavailable", error=str(error.orig))
    return render(database_failed(error))


def _render_no_connection(error: NoConnectionError) -> Response:
    log.error("no free database connection", error=str(error))
    return render(database_failed(error))


def _render_unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    logged_as = g.get("request_id", "?")
    detail = sentence("The server has failed; its log has the details of request {request_id}.", request_id=logged_as)
    return render(Problem("internal-error", 500, detail))
