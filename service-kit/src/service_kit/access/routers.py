"""The HTTP routes for keys, owners, the audit trail and browser sessions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import svcs
from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.http import http_date

from service_kit.access.audit import AuditFilter, AuditTrail
from service_kit.access.config import AccessSettings
from service_kit.access.flask_gate import client_address, needs, principal, public
from service_kit.access.gate import SESSION_COOKIE, Gate
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.models import AuditEntry, Key, Owner
from service_kit.access.owners import OwnerService
from service_kit.access.principals import NOBODY, ROLES, Limits, Scope
from service_kit.api import array_response, problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import NO_NUL, TIME
from service_kit.paging import PageQuery, list_response
from service_kit.request_body import PUBLIC_JSON_LIMIT, described, json_body

access = APIBlueprint("access", __name__, abp_tags=[Tag(name="access")])

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
_Amount = Annotated[int, Field(ge=0, le=MAX_ID)] | None
_Rate = Annotated[int, Field(ge=1, le=2**31 - 1)] | None


class KeyIn(BaseModel):
    """A key to create, with a role, scopes, or both."""

    model_config = ConfigDict(extra="forbid")

    owner: _Name = Field(description="The owner of its files and tasks; created if it does not exist.")
    role: Literal["reader", "writer", "admin"] | None = Field(None, description="A predefined set of scopes.")
    scopes: list[Scope] = Field([], max_length=20, description="Scopes in addition to those of the role.")
    note: str = Field("", max_length=255, pattern=NO_NUL, description="What the key is for.")
    expires_in: float | None = Field(
        None, gt=0, le=10 * 365 * 86_400, description="How long the key is valid, in seconds; null: it never expires."
    )


class RotateIn(BaseModel):
    """How long the old key stays valid."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: float = Field(86_400, ge=0, le=30 * 86_400)


class LimitsIn(BaseModel):
    """The limits of an owner; null means no limit."""

    model_config = ConfigDict(extra="forbid")

    bytes: _Amount = None
    files: _Amount = None
    pending_tasks: _Amount = None
    requests_per_second: _Rate = Field(
        None,
        description="Of each service: the file server, image processing, images by URL, and each kind of event stream."
        " After a pause, twice as many at once.",
    )
    listeners: _Rate = Field(None, description="Open event streams of each kind: of files, and of tasks.")


class SignIn(BaseModel):
    """The key with which a browser signs in."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=200)


class KeyPath(BaseModel):
    """A key's id: the part of its secret between the underscores."""

    key_id: str = Field(max_length=16)


class OwnerPath(BaseModel):
    """An owner's name."""

    name: str = Field(max_length=64)


class KeysQuery(PageQuery[str]):
    """Which keys are listed."""

    after: str = Field("", max_length=16, pattern=NO_NUL, description="Only keys after the one with this id.")


class OwnersQuery(PageQuery[str]):
    """Which owners are listed."""

    after: str = Field("", max_length=64, pattern=NO_NUL, description="Only owners whose names come after this one.")


class AuditQuery(PageQuery[int]):
    """Filters of the audit trail."""

    after: int = Field(0, ge=0, le=MAX_ID, description="Only entries with a greater id.")
    limit: int = Field(
        100, ge=1, le=1000, description="The maximum number of entries; the Link header has the next page's URL."
    )
    owner: str | None = Field(None, max_length=64, description="Only entries of this owner.")
    key_id: str | None = Field(None, max_length=16, description="Only entries of this key.")
    since: Annotated[datetime, TIME] | None = Field(None, description="Only entries from this time on (RFC 3339).")


_LIST = array_response({"type": "object"})
_OBJECT: dict[str, object] = {"content": {"application/json": {"schema": {"type": "object"}}}}


@access.get("/keys", summary="List keys", responses={200: _LIST, **problem_responses(401, 403, 422)})
@needs(Scope.ADMIN)
def list_keys(query: KeysQuery) -> Response:
    page = svcs.flask.get(KeyService).page
    return list_response(page, lambda key: key.id, _key, query, f"{request.script_root}/keys")


@access.post(
    "/keys",
    summary="Create a key",
    description="Only this response contains the secret.",
    responses={201: _OBJECT, **problem_responses(400, 401, 403, 415, 422)},
    openapi_extensions=described(KeyIn),
)
@needs(Scope.ADMIN)
def create_key() -> Response:
    wanted = json_body(KeyIn)
    scopes = frozenset(wanted.scopes) | (ROLES[wanted.role] if wanted.role else frozenset())
    made = svcs.flask.get(KeyService).create(KeyRequest(wanted.owner, scopes, wanted.note, wanted.expires_in))
    return _secret_response({**_key(made.key), "secret": made.secret})


@access.post(
    "/keys/<key_id>/rotate",
    summary="Replace a key",
    description="Create a key like this one. The old key expires after the overlap. If it had an expiry before, the new"
    " key is valid for as long as the old one was from its creation to its expiry.",
    responses={201: _OBJECT, **problem_responses(400, 401, 403, 404, 415, 422)},
    openapi_extensions=described(RotateIn),
)
@needs(Scope.ADMIN)
def rotate_key(path: KeyPath) -> Response:
    made = svcs.flask.get(KeyService).rotate(path.key_id, json_body(RotateIn).overlap_seconds)
    return _secret_response({**_key(made.key), "secret": made.secret})


@access.delete("/keys/<key_id>", summary="Revoke a key", responses={200: _OBJECT, **problem_responses(401, 403, 404)})
@needs(Scope.ADMIN)
def revoke_key(path: KeyPath) -> Response:
    return jsonify(_key(svcs.flask.get(KeyService).revoke(path.key_id)))


@access.get("/owners", summary="List owners", responses={200: _LIST, **problem_responses(401, 403, 422)})
@needs(Scope.ADMIN)
def list_owners(query: OwnersQuery) -> Response:
    page = svcs.flask.get(OwnerService).page
    return list_response(page, lambda owner: owner.name, _owner, query, f"{request.script_root}/owners")


@access.put(
    "/owners/<name>/limits",
    summary="Set the limits of an owner",
    responses={200: _OBJECT, **problem_responses(400, 401, 403, 404, 415, 422)},
    openapi_extensions=described(LimitsIn),
)
@needs(Scope.ADMIN)
def limit_owner(path: OwnerPath) -> Response:
    limits = Limits(**json_body(LimitsIn).model_dump())
    return jsonify(_owner(svcs.flask.get(OwnerService).limit(path.name, limits)))


@access.get("/audit", summary="Read the audit trail", responses={200: _LIST, **problem_responses(401, 403, 422)})
@needs(Scope.ADMIN)
def list_audit(query: AuditQuery) -> Response:
    wanted = AuditFilter(query.owner, query.key_id, None if query.since is None else query.since.timestamp())
    trail = svcs.flask.get(AuditTrail)
    return list_response(
        lambda after, limit: trail.page(wanted, after, limit),
        lambda entry: entry.id,
        _entry,
        query,
        f"{request.script_root}/audit",
    )


@access.get(
    "/session", summary="Get the owner and scopes of this request", responses={200: _OBJECT, **problem_responses(401)}
)
@public
def show_session() -> Response:
    return jsonify(_who())


@access.post(
    "/session",
    summary="Sign a browser in with a key",
    description="The response sets a cookie that scripts cannot read.",
    responses={200: _OBJECT, **problem_responses(400, 401, 413, 415, 422, 429)},
    openapi_extensions=described(SignIn),
)
@public
def sign_in() -> Response:
    keys, settings = svcs.flask.get(KeyService, AccessSettings)
    secret = json_body(SignIn, PUBLIC_JSON_LIMIT).key.strip()
    seconds = settings.auth.session_seconds
    g.principal = svcs.flask.get(Gate).sign_in(secret, client_address(), principal())
    token = keys.sign_in(g.principal, seconds)
    response = jsonify(_who())
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(seconds),
        path="/",
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


@access.delete("/session", summary="Sign a browser out", responses={204: None, **problem_responses(401)})
@public
def sign_out() -> Response:
    token = request.cookies.get(SESSION_COOKIE)
    if token is not None:
        svcs.flask.get(KeyService).sign_out(token)
    response = Response(status=204)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=request.is_secure, httponly=True, samesite="Strict")
    return response


def _who() -> Mapping[str, object]:
    who, settings = principal(), svcs.flask.get(AccessSettings)
    return {
        "mode": settings.auth.mode,
        "open_to_others": settings.is_open_to_others,
        "signed_in": who != NOBODY,
        "owner": who.owner or None,
        "key_id": who.key_id,
        "scopes": sorted(who.scopes),
    }


def _secret_response(document: Mapping[str, object]) -> Response:
    response = jsonify(document)
    response.status_code = 201
    response.headers["Cache-Control"] = "no-store"
    return response


def _key(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "owner": key.owner,
        "note": key.note,
        "scopes": key.scopes,
        "created_at": http_date(key.created_at),
        "expires_at": _date(key.expires_at),
        "last_used_at": _date(key.last_used_at),
        "revoked_at": _date(key.revoked_at),
    }


def _owner(owner: Owner) -> dict[str, object]:
    return {
        "name": owner.name,
        "limits": {
            "bytes": owner.max_bytes,
            "files": owner.max_files,
            "pending_tasks": owner.max_pending_tasks,
            "requests_per_second": owner.max_requests_per_second,
            "listeners": owner.max_listeners,
        },
        "created_at": http_date(owner.created_at),
    }


def _entry(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "time": datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds"),
        "owner": entry.owner,
        "key_id": entry.key_id,
        "address": entry.address,
        "action": entry.action,
        "object": entry.object,
        "status": entry.status,
        "request_id": entry.request_id,
    }


def _date(time: float | None) -> str | None:
    return None if time is None else http_date(time)
