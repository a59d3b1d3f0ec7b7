"""The gate for Flask applications: every route declares the scope that it requires."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from flask import Flask, Response, g, request
from werkzeug.wrappers import Request

from service_kit.access.audit import MAX_OBJECT, AuditTrail, Change
from service_kit.access.cors import Cors
from service_kit.access.gate import SESSION_COOKIE, Asked, Gate, require
from service_kit.access.guard import SAFE_METHODS
from service_kit.access.principals import InnerScope, Principal, Scope
from service_kit.front_headers import REAL_IP
from service_kit.problems import Problem

_View = TypeVar("_View", bound=Callable[..., object])
_SCOPE, _INNER = "pixmill_scope", "pixmill_inner_scopes"
ADMITTED = "pixmill.admitted"
"""The key in the WSGI environment for an earlier decision of the gate: a principal or a problem.

With it, the gate does not count the same request again.
"""


class UnguardedRouteError(Exception):
    """A route declares no scope; the message lists such routes."""


def needs(scope: Scope, *inner: InnerScope) -> Callable[[_View], _View]:
    """Mark a view as callable only by principals with this scope.

    :param inner: the scopes of Pixmill's own processes; each suffices too.
    """

    def mark(view: _View) -> _View:
        setattr(view, _SCOPE, scope)
        setattr(view, _INNER, inner)
        return view

    return mark


def public(view: _View) -> _View:
    """Mark a view as callable by anyone."""
    setattr(view, _SCOPE, None)
    return view


def principal() -> Principal:
    """Return the principal that sends the current request."""
    return cast(Principal, g.principal)


def record_only_refusal() -> None:
    """Keep the current request out of the audit trail unless it is refused: it only asks for room."""
    g.only_asks = True


def mark_counted() -> None:
    """Mark the current request as one that the gate has counted before; call this before the gate decides."""
    g.is_counted = True


def client_address() -> str:
    """Return the client's address as seen by the web server in front."""
    return _address_of(request)


def _address_of(by: Request) -> str:
    return by.headers.get(REAL_IP) or by.remote_addr or ""


def asked(by: Request) -> Asked:
    """Return the parts of a request that the gate checks."""
    session = by.cookies.get(SESSION_COOKIE) if "Cookie" in by.headers else None
    return Asked(by.method, _headers_of(by), _address_of(by), session)


def _headers_of(by: Request) -> Mapping[str, str]:
    return by.headers  # type: ignore[return-value]  # Headers is such a mapping


def install_gate(app: Flask, gate: Gate, trail: AuditTrail, cors: Cors) -> None:
    """Let ``gate`` decide on every request to ``app``, and record every change in ``trail``.

    Call this after all routes are registered.

    :raises UnguardedRouteError: a route has neither :func:`needs` nor :func:`public`.
    """
    scopes = scopes_of(app)

    def admit() -> Response | None:
        g.principal = None
        if cors.is_preflight(request.method, _headers_of(request)):
            return Response(status=204)
        earlier = request.environ.get(ADMITTED)
        if isinstance(earlier, Problem):
            raise earlier
        g.principal = earlier or gate.admit(asked(request), counts=not g.get("is_counted", False))
        scope = scopes.get(request.endpoint or "")
        # A route without a scope is public or does not exist.
        if scope is not None:
            view = app.view_functions[request.endpoint or ""]
            require(g.principal, scope, *getattr(view, _INNER, ()))
        return None

    def record(response: Response) -> Response:
        if request.endpoint is None or _changes_nothing(response, scopes[request.endpoint]):
            return response
        rule = request.url_rule
        who: Principal | None = g.get("principal")
        change = Change(
            time=time.time(),
            owner=who.owner if who else "",
            key_id=who.key_id if who else None,
            address=client_address()[:64],
            action=f"{request.method} {request.script_root}{rule}"[:255],
            object=_object(),
            status=response.status_code,
            request_id=g.request_id,
        )
        trail.add(change)
        return response

    def allow_origin(response: Response) -> Response:
        response.headers.update(cors.headers(request.method, _headers_of(request)))
        if cors.varies:
            response.vary.add("Origin")
        return response

    app.before_request(admit)
    app.after_request(record)
    app.after_request(allow_origin)


def scopes_of(app: Flask) -> Mapping[str, Scope | None]:
    """Return the scope of each endpoint, ``None`` for a public one.

    :raises UnguardedRouteError: an endpoint has neither :func:`needs` nor :func:`public`.
    """
    unmarked = [name for name, view in app.view_functions.items() if not hasattr(view, _SCOPE)]
    if unmarked:
        raise UnguardedRouteError(f"these routes name no scope: {', '.join(sorted(unmarked))}")
    return {name: getattr(view, _SCOPE) for name, view in app.view_functions.items()}


def _object() -> str:
    """Return the path of the changed object; for a link that is named by its token, return the route."""
    is_link = any(f"/{of_links}/<" in f"{request.url_rule}" for of_links in ("links", "shared"))
    # The token of a link is a secret, its id is not.
    has_token = is_link and not all(_is_id(value) for value in (request.view_args or {}).values())
    path = f"{request.url_rule}" if has_token else request.path
    return (request.script_root + path).replace("\0", "")[:MAX_OBJECT]


def _is_id(value: object) -> bool:
    return f"{value}".isascii() and f"{value}".isdecimal()


def _changes_nothing(response: Response, scope: Scope | InnerScope | None) -> bool:
    """Return whether the audit trail omits the request of a response.

    :param scope: the scope of its route.
    """
    # A public route with an unsafe method starts or ends a session.
    only_reads = request.method in SAFE_METHODS or (scope is not None and scope.endswith(":read"))
    return only_reads or (g.get("only_asks", False) and response.status_code < 400)
