"""Answers usual downloads, of a whole file without conditions, by id or link, before Flask sees the request.

Flask takes several times as long as the query and the headers of a download. All other requests, and all refusals, are
passed on to Flask, which answers as if this module did not exist.
"""

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import structlog
import svcs
from service_kit.access.flask_gate import ADMITTED, asked
from service_kit.access.gate import Gate
from service_kit.access.principals import InnerScope, Principal, Scope
from service_kit.database import MAX_ID
from service_kit.problems import Problem
from service_kit.request_ids import request_id
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Request

from file_storage.headers.digests import digest
from file_storage.routers.download import disposition_of, headers_of
from file_storage.sending.sender import FolderSender
from file_storage.services.file_rows import SentFile
from file_storage.services.files import FileService
from file_storage.services.links import LinkService, SentByLink

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

_PATH = re.compile(r"/(?:([1-9][0-9]{0,18})/download|links/([0-9]{1,19}\.[0-9]{1,19}\.[0-9a-f]+\.[A-Za-z0-9_-]+))/?")
_QUERIES = {"": "attachment", "disposition=attachment": "attachment", "disposition=inline": "inline"}
_UNUSUAL = frozenset(
    {"HTTP_RANGE", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"}
    # Requests from other sites' pages get additional headers, and the body of a GET must be drained.
    | {"HTTP_ORIGIN", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"}
)


class _Wanted(NamedTuple):
    """The file that a usual download requests."""

    file_id: int
    token: str
    """The token of a link, instead of an id."""
    disposition: str


def answer_usual_downloads(application: "WSGIApplication", registry: svcs.Registry) -> "WSGIApplication":
    """Return WSGI middleware that makes the web server send files of usual downloads; only for blobs in a folder."""
    gate, files, links, sender = svcs.Container(registry).get(Gate, FileService, LinkService, FolderSender)

    def answered(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.monotonic()
        wanted = _wanted(environ)
        if wanted is None:
            return application(environ, start_response)
        # Also passed on, so that Flask uses the same id.
        identifier = environ["HTTP_X_REQUEST_ID"] = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=identifier)
        principal = _admitted(gate, environ)
        sent = None if principal is None else _sent(wanted, principal, files, links)
        location = None if sent is None else _place(files, sent.file)
        if sent is None or location is None:
            return application(environ, start_response)
        file = sent.file
        headers = {
            "Content-Type": file.media_type,
            "Content-Disposition": disposition_of(file, sent.disposition or wanted.disposition),
            "Content-Digest": digest(file.sha256),
            "X-Request-ID": identifier,
            **headers_of(file),
            **sender.headers_for(location, file.size),
        }
        start_response("200 OK", list(headers.items()))
        log.info(
            "request",
            method="GET",
            path=environ.get("SCRIPT_NAME", "") + ("/links/-" if wanted.token else environ["PATH_INFO"]),
            status=200,
            milliseconds=round((time.monotonic() - started) * 1000, 1),
        )
        return ()

    return answered


def _wanted(environ: "WSGIEnvironment") -> _Wanted | None:
    """Return the requested file; ``None`` if this is not a usual download."""
    found = _PATH.fullmatch(environ["PATH_INFO"])
    if found is None or environ["REQUEST_METHOD"] != "GET" or not _UNUSUAL.isdisjoint(environ):
        return None
    disposition = _QUERIES.get(environ.get("QUERY_STRING", ""))
    file_id, token = int(found[1] or 0), found[2] or ""
    if disposition is None or environ.get("CONTENT_LENGTH", "") not in ("", "0") or file_id > MAX_ID:
        return None
    return _Wanted(file_id, token, disposition)


def _admitted(gate: Gate, environ: "WSGIEnvironment") -> Principal | None:
    """Return the request's principal; ``None`` if Flask must refuse it. Flask uses this decision."""
    try:
        principal = gate.admit(asked(Request(environ, populate_request=False)))
    except Problem as problem:
        environ[ADMITTED] = problem
        return None
    except SQLAlchemyError:
        # Flask asks the gate again and returns the problem of the database.
        return None
    environ[ADMITTED] = principal
    return principal


def _sent(wanted: _Wanted, principal: Principal, files: FileService, links: LinkService) -> SentByLink | None:
    """Return the file to send; ``None`` if Flask must refuse the request."""
    if wanted.token:
        return links.sent(wanted.token)
    may_read = not principal.scopes.isdisjoint((Scope.FILES_READ, InnerScope.FILES_FETCH))
    file = files.sent(principal, wanted.file_id) if may_read else None
    return None if file is None else SentByLink(file, None)


def _place(files: FileService, file: SentFile) -> str | None:
    """Return the path of the bytes; ``None`` if Flask must report that they cannot be read."""
    try:
        return files.place(file)
    except OSError:
        return None
