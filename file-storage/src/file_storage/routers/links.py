"""Signed links: list and revoke them. Downloads make them and send their files."""

from functools import partial

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import array_response, problem_responses
from service_kit.database import MAX_ID
from service_kit.paging import PageQuery, list_response
from werkzeug.http import http_date

from file_storage.models import Link
from file_storage.services.links import LinkService

links = APIBlueprint("links", __name__, abp_tags=[Tag(name="files")])


class LinkQuery(PageQuery[int]):
    """Which links are listed."""

    after: int = Field(0, ge=0, le=MAX_ID, description="Only links with a greater id.")


class LinkPath(BaseModel):
    link: int = Field(description="The link's id.")


_PROPERTIES = {
    "id": {"type": "integer"},
    "file_id": {"type": "integer"},
    "created_at": {"type": "string"},
    "expires_at": {"type": "string"},
    "disposition": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "note": {"type": "string"},
}
_LIST = array_response({"type": "object", "properties": _PROPERTIES})


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


@links.delete("/links/<int:link>", summary="Revoke a signed link", responses={204: None, **problem_responses(404, 405)})
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
