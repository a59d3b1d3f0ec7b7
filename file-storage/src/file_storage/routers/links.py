"""Signed links: make, list and revoke them, and download by them."""

from functools import partial
from typing import Annotated

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.access.flask_gate import needs, principal, public
from service_kit.access.principals import Scope
from service_kit.api import array_response, problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import NO_NUL, WHOLE_NUMBER
from service_kit.paging import PageQuery, list_response
from service_kit.request_body import described, json_body
from werkzeug.http import http_date

from file_storage.models import Link
from file_storage.routers.download import FILE_RESPONSES, Disposition, DownloadQuery, send
from file_storage.routers.schemas import FilePath
from file_storage.services.files import FileService
from file_storage.services.links import MAX_LINK_SECONDS, LinkService, NewLink

links = APIBlueprint("links", __name__, abp_tags=[Tag(name="files")])


class LinkQuery(PageQuery[int]):
    """Which links are listed."""

    after: int = Field(0, ge=0, le=MAX_ID, description="Only links with a greater id.")


class LinkIn(BaseModel):
    """How long a link is valid, how browsers treat the file, and what the link is for."""

    model_config = ConfigDict(extra="forbid")

    expires_in: Annotated[int, WHOLE_NUMBER] = Field(
        3600, ge=1, le=MAX_LINK_SECONDS, description="In seconds, at most a week."
    )
    disposition: Disposition | None = Field(
        None, description="As in a download; without it, the request by the link says so."
    )
    note: str = Field("", max_length=255, pattern=NO_NUL, description="What the link is for.")


class LinkOut(BaseModel):
    """A link that downloads one file until it expires."""

    model_config = ConfigDict(title="Link")

    id: int = Field(description="With it the link can be revoked.")
    url: str
    expires_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


class TokenPath(BaseModel):
    link: str = Field(description="The last part of a signed link's URL.")


class LinkPath(BaseModel):
    link: str = Field(description="The link's id, or the last part of its URL.")


_PROPERTIES = {
    "id": {"type": "integer"},
    "file_id": {"type": "integer"},
    "created_at": {"type": "string"},
    "expires_at": {"type": "string"},
    "disposition": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "note": {"type": "string"},
}
_LIST = array_response({"type": "object", "properties": _PROPERTIES})


@links.post(
    "/<int:id>/links",
    summary="Make a link that downloads this file until it expires",
    responses={201: LinkOut, **problem_responses(400, 404, 413, 415, 422)},
    openapi_extensions=described(LinkIn),
)
@needs(Scope.LINKS_CREATE)
def make_link(path: FilePath) -> Response:
    wanted = json_body(LinkIn)
    file = svcs.flask.get(FileService).get(principal(), path.id)
    new = NewLink(wanted.expires_in, wanted.disposition, wanted.note)
    link, token = svcs.flask.get(LinkService).create(principal(), file, new)
    url = f"{request.root_url.rstrip('/')}/links/{token}"
    body = LinkOut(id=link.id, url=url, expires_at=http_date(link.expires_at)).model_dump_json()
    return Response(body, 201, {"Location": url}, mimetype="application/json")


@links.get(
    "/links/<string:link>",
    summary="Download by a signed link",
    responses=FILE_RESPONSES | problem_responses(403, 404, 410, 422),
)
@public
def download_link(path: TokenPath, query: DownloadQuery) -> Response:
    file, disposition = svcs.flask.get(LinkService).file(path.link)
    return send(file, disposition or query.disposition)


@links.get(
    "/links",
    summary="List the signed links that are valid",
    description="Without their URLs, which are shown only when they are made.",
    responses={200: _LIST, **problem_responses(422)},
)
@needs(Scope.LINKS_CREATE)
def list_links(query: LinkQuery) -> Response:
    page = partial(svcs.flask.get(LinkService).page, principal())
    return list_response(page, lambda link: link.id, _as_json, query, f"{request.script_root}/links")


@links.delete(
    "/links/<string:link>", summary="Revoke a signed link", responses={204: None, **problem_responses(403, 404, 410)}
)
@needs(Scope.LINKS_CREATE)
def revoke_link(path: LinkPath) -> Response:
    svcs.flask.get(LinkService).revoke(principal(), path.link)
    return Response(status=204)


def _as_json(link: Link) -> dict[str, object]:
    return {
        "id": link.id,
        "file_id": link.file_id,
        "created_at": http_date(link.created_at),
        "expires_at": http_date(link.expires_at),
        "disposition": link.disposition,
        "note": link.note,
    }
