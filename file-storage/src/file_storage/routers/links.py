"""The endpoints of links: create, list, change and revoke them, and download one file through a link."""

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

from file_storage.config import Settings
from file_storage.headers.public_url import public_url
from file_storage.routers.download import FILE_RESPONSES, Disposition, DownloadQuery, send
from file_storage.routers.schemas import FilePath
from file_storage.routers.shared import MAX_PASSWORD
from file_storage.services.files import FileService
from file_storage.services.links import MAX_LINK_SECONDS, LinkService, ListedLink, NewLink
from file_storage.services.shared_sets import MAX_FILES, MAX_SET_SECONDS, NewSet, SharedSets

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
        None, description="As in a download; by default, the request that uses the link decides."
    )
    note: str = Field("", max_length=255, pattern=NO_NUL, description="What the link is for.")


class SetLinkIn(BaseModel):
    """The files of a link, how long it is valid, and its password."""

    model_config = ConfigDict(extra="forbid")

    file_ids: list[Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]] = Field(
        min_length=1, max_length=MAX_FILES, description="The files, in the order in which they are shown."
    )
    expires_in: Annotated[int, WHOLE_NUMBER] = Field(
        7 * 24 * 3600, ge=1, le=MAX_SET_SECONDS, description="In seconds, at most 90 days."
    )
    note: str = Field("", max_length=255, pattern=NO_NUL, description="A text that people who open the link see.")
    password: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_PASSWORD,
        pattern=NO_NUL,
        description="By default, the link needs no password.",
    )
    disposition: Disposition | None = Field(
        None, description="As in a download; by default, the request that uses the link decides."
    )


class LinkChange(BaseModel):
    """The fields to change; a missing field does not change."""

    model_config = ConfigDict(extra="forbid")

    note: str | None = Field(None, max_length=255, pattern=NO_NUL)
    expires_in: Annotated[int, Field(ge=1, le=MAX_SET_SECONDS), WHOLE_NUMBER] | None = Field(
        None,
        description="In seconds from now, at most 90 days; only for a link to a set of files.",
    )


class LinkOut(BaseModel):
    """A link that downloads one file until it expires."""

    model_config = ConfigDict(title="Link")

    id: int = Field(description="The id with which the link can be revoked.")
    url: str
    expires_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


class SetLinkOut(BaseModel):
    """A link for a set of files."""

    model_config = ConfigDict(title="SetLink")

    id: int = Field(description="The id with which the link can be changed and revoked.")
    token: str = Field(description="The token that opens the link. Only this response contains it.")
    url: str = Field(description="The URL of a web page with the files.")
    api_url: str = Field(description="The URL of the same data as JSON.")
    expires_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")
    file_count: int


class TokenPath(BaseModel):
    link: str = Field(description="The last part of a signed link's URL.")


class LinkPath(BaseModel):
    link: str = Field(description="The link's id, or the last part of its URL.")


_PROPERTIES = {
    "id": {"type": "integer"},
    "file_id": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Null for a set of files."},
    "created_at": {"type": "string"},
    "expires_at": {"type": "string"},
    "disposition": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "note": {"type": "string"},
    "file_count": {"type": "integer", "description": "The number of files that the link shows."},
    "trashed_count": {
        "type": "integer",
        "description": "The number of the set's files that are in the trash; the link does not show them.",
    },
    "has_password": {"type": "boolean"},
}
_LINK: dict[str, object] = {"type": "object", "properties": _PROPERTIES}
_LIST = array_response(_LINK)


@links.post(
    "/<int:id>/links",
    summary="Create a link to download this file until the link expires",
    responses={201: LinkOut, **problem_responses(400, 404, 413, 415, 422)},
    openapi_extensions=described(LinkIn),
)
@needs(Scope.LINKS_CREATE)
def make_link(path: FilePath) -> Response:
    wanted = json_body(LinkIn)
    file = svcs.flask.get(FileService).get(principal(), path.id)
    new = NewLink(wanted.expires_in, wanted.disposition, wanted.note)
    link, token = svcs.flask.get(LinkService).create(principal(), file, new)
    url = f"{public_url(request, svcs.flask.get(Settings).http)}{request.script_root}/links/{token}"
    body = LinkOut(id=link.id, url=url, expires_at=http_date(link.expires_at)).model_dump_json()
    return Response(body, 201, {"Location": url}, mimetype="application/json")


@links.post(
    "/links",
    summary="Create a link to view and download a set of files until the link expires",
    responses={201: SetLinkOut, **problem_responses(400, 404, 413, 415, 422)},
    openapi_extensions=described(SetLinkIn),
)
@needs(Scope.LINKS_CREATE)
def make_set_link() -> Response:
    wanted = json_body(SetLinkIn)
    base = public_url(request, svcs.flask.get(Settings).http)
    new = NewSet(wanted.file_ids, wanted.expires_in, wanted.note, wanted.password, wanted.disposition)
    link, token = svcs.flask.get(SharedSets).create(principal(), new)
    made = SetLinkOut(
        id=link.id,
        token=token,
        url=f"{base}/s/{token}",
        api_url=f"{base}{request.script_root}/shared/{token}",
        expires_at=http_date(link.expires_at),
        file_count=link.file_count,
    )
    return Response(made.model_dump_json(), 201, {"Location": made.api_url}, mimetype="application/json")


@links.get(
    "/links/<string:link>",
    summary="Download a file with a signed link",
    responses=FILE_RESPONSES | problem_responses(403, 404, 410, 422),
)
@public
def download_link(path: TokenPath, query: DownloadQuery) -> Response:
    file, disposition = svcs.flask.get(LinkService).file(path.link)
    return send(file, disposition or query.disposition)


@links.get(
    "/links",
    summary="List the valid links, to single files and to sets of files",
    description="Without their URLs, which only the response to their creation contains.",
    responses={200: _LIST, **problem_responses(422)},
)
@needs(Scope.LINKS_CREATE)
def list_links(query: LinkQuery) -> Response:
    page = partial(svcs.flask.get(LinkService).page, principal())
    return list_response(page, lambda listed: listed.link.id, _as_json, query, f"{request.script_root}/links")


@links.delete(
    "/links/<string:link>", summary="Revoke a link", responses={204: None, **problem_responses(403, 404, 410)}
)
@needs(Scope.LINKS_CREATE)
def revoke_link(path: LinkPath) -> Response:
    svcs.flask.get(LinkService).revoke(principal(), path.link)
    return Response(status=204)


@links.patch(
    "/links/<string:link>",
    summary="Change a link",
    responses={
        200: {"content": {"application/json": {"schema": _LINK}}},
        **problem_responses(400, 403, 404, 409, 410, 413, 415, 422),
    },
    openapi_extensions=described(LinkChange),
)
@needs(Scope.LINKS_CREATE)
def change_link(path: LinkPath) -> dict[str, object]:
    wanted = json_body(LinkChange)
    return _as_json(svcs.flask.get(LinkService).change(principal(), path.link, wanted.note, wanted.expires_in))


def _as_json(listed: ListedLink) -> dict[str, object]:
    link = listed.link
    return {
        "id": link.id,
        "file_id": link.file_id,
        "created_at": http_date(link.created_at),
        "expires_at": http_date(link.expires_at),
        "disposition": link.disposition,
        "note": link.note,
        "file_count": listed.file_count,
        "trashed_count": listed.trashed_count,
        "has_password": link.password_hash is not None,
    }
