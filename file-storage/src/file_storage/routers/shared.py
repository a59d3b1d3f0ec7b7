"""The endpoints for recipients of a link to a set of files, without a key: list the files and download them."""

import json

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.access.flask_gate import public
from service_kit.access.gate import SHARED_COOKIE
from service_kit.api import problem_responses
from service_kit.json_types import NO_NUL
from service_kit.problems import Problem
from service_kit.request_body import PUBLIC_JSON_LIMIT, described, json_body
from service_kit.texts import sentence
from werkzeug.http import http_date

from file_storage.models import File
from file_storage.routers.download import ARCHIVE_RESPONSES, FILE_RESPONSES, DownloadQuery, send, send_archive
from file_storage.services.errors import archive_empty
from file_storage.services.shared_sets import UNLOCKED_SECONDS, SharedSet, SharedSets

shared = APIBlueprint("shared", __name__, abp_tags=[Tag(name="files")])

MAX_PASSWORD = 200
_PRIVATE = {"Cache-Control": "no-store"}


class SharedPath(BaseModel):
    token: str = Field(description="The token of a link for a set of files.")


class SharedFilePath(SharedPath):
    file_id: int = Field(description="The id of a file of the set.")


class PasswordIn(BaseModel):
    """The password of a link."""

    model_config = ConfigDict(extra="forbid")

    password: str = Field(min_length=1, max_length=MAX_PASSWORD, pattern=NO_NUL)


class UnlockedOut(BaseModel):
    """How long the cookie of this response unlocks the link."""

    model_config = ConfigDict(title="Unlocked")

    expires_at: str = Field(description="When the password is needed again, as an HTTP date (RFC 9110, 5.6.7).")


class SharedFileOut(BaseModel):
    """A file of a set."""

    model_config = ConfigDict(title="SharedFile")

    id: int
    name: str = Field(description="Without the extension.")
    extension: str = Field(description="With its dot, in lower case; empty for none.")
    size: int = Field(description="In bytes.")
    media_type: str = Field(description="Media type (RFC 6838), detected from the bytes.")
    width: int | None = Field(description="The width of an image as displayed, in pixels.")
    height: int | None = Field(description="The height of an image as displayed, in pixels.")
    download_url: str = Field(description="The path at which this server sends the file.")


class SharedOut(BaseModel):
    """A set of files."""

    model_config = ConfigDict(title="SharedSet")

    note: str
    expires_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    size: int = Field(description="The total size of the files, in bytes.")
    archive_url: str = Field(description="The path at which this server sends all files as a ZIP archive.")
    files: list[SharedFileOut]


_PROBLEMS = problem_responses(401, 404, 422, 429)


@shared.get(
    "/shared/<string:token>",
    summary="Show the files of a link",
    description="A link with a password needs the cookie that `unlock` sets, or the password in HTTP Basic"
    " authentication, with any user name.",
    responses={200: SharedOut, **_PROBLEMS},
)
@public
def show_shared(path: SharedPath) -> Response:
    found = _opened(path.token)
    files = svcs.flask.get(SharedSets).files(found)
    here = f"{request.script_root}/shared/{path.token}"
    document = {
        "note": found.note,
        "expires_at": http_date(found.expires_at),
        "size": sum(file.size for file in files),
        "archive_url": f"{here}/archive",
        "files": [_as_json(file, here) for file in files],
    }
    return Response(json.dumps(document, ensure_ascii=False), headers=_PRIVATE, mimetype="application/json")


@shared.get(
    "/shared/<string:token>/<int:file_id>",
    summary="Download a file of a link",
    responses=FILE_RESPONSES | _PROBLEMS,
)
@public
def download_shared(path: SharedFilePath, query: DownloadQuery) -> Response:
    found = _opened(path.token)
    return send(svcs.flask.get(SharedSets).file(found, path.file_id), found.disposition or query.disposition)


@shared.get(
    "/shared/<string:token>/archive",
    summary="Download all files of a link as a ZIP archive",
    responses=ARCHIVE_RESPONSES | _PROBLEMS,
)
@public
def download_all_shared(path: SharedPath) -> Response:
    files = svcs.flask.get(SharedSets).files(_opened(path.token))
    if not files:
        raise archive_empty()
    return send_archive(files)


@shared.post(
    "/shared/<string:token>/unlock",
    summary="Unlock a link with its password",
    description=f"The response sets a cookie that unlocks only this link, for {UNLOCKED_SECONDS // 60} minutes. A"
    " browser also sends it when it requests pictures and downloads.",
    responses={200: UnlockedOut, **problem_responses(400, 401, 404, 413, 415, 422, 429)},
    openapi_extensions=described(PasswordIn),
)
@public
def unlock_shared(path: SharedPath) -> Response:
    service = svcs.flask.get(SharedSets)
    given, found = json_body(PasswordIn, PUBLIC_JSON_LIMIT).password, service.find(path.token)
    if not service.is_opened_by(given, found):
        raise _wrong_password()
    ticket, expires_at = service.ticket(found)
    body = UnlockedOut(expires_at=http_date(expires_at)).model_dump_json()
    response = Response(body, headers=_PRIVATE, mimetype="application/json")
    response.set_cookie(
        SHARED_COOKIE,
        ticket,
        max_age=UNLOCKED_SECONDS,
        path=f"{request.script_root}/shared/{path.token}",
        secure=request.is_secure,
        httponly=True,
        # Not Strict, so that the cookie is also sent when the link is opened from an email.
        samesite="Lax",
    )
    return response


def _opened(token: str) -> SharedSet:
    """Return the link of a token if the current request may open it.

    :raises Problem: 401 if the request has neither a ticket nor the right password of the link.
    """
    service = svcs.flask.get(SharedSets)
    found = service.find(token)
    if found.password_hash is None or service.is_ticket(request.cookies.get(SHARED_COOKIE, ""), found):
        return found
    given = request.authorization
    if given is None or given.type != "basic":
        detail = sentence("This link needs a password: POST it to unlock, or send it in HTTP Basic authentication.")
        raise Problem("password-required", 401, detail, headers=_challenge())
    if not service.is_opened_by(given.password or "", found):
        raise _wrong_password()
    return found


def _wrong_password() -> Problem:
    return Problem("wrong-password", 401, sentence("The password of the link is wrong."), headers=_challenge())


def _challenge() -> dict[str, str]:
    # With "Basic", a browser asks for the password before a script sees the response. Pages that have a form for the
    # password request JSON.
    scheme = "Pixmill-Unlock" if "application/json" in request.headers.get("Accept", "") else "Basic"
    return {"WWW-Authenticate": f'{scheme} realm="Pixmill link", charset="UTF-8"'}


def _as_json(file: File, here: str) -> dict[str, object]:
    return {
        "id": file.id,
        "name": file.name,
        "extension": file.extension,
        "size": file.size,
        "media_type": file.media_type,
        "width": file.width,
        "height": file.height,
        "download_url": f"{here}/{file.id}",
    }
