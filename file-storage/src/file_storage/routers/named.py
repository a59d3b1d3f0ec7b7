"""The upload endpoint with the file's name at the end of the path, as ``curl -T`` sends it."""

import re
from typing import NoReturn

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel
from service_kit.access.flask_gate import needs
from service_kit.access.principals import Scope
from service_kit.query import Query, takes_any_query
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter, Map

from file_storage.routers.raw_body import store_body
from file_storage.routers.schemas import ExpiresIn, Folder, Name, NewFileFields, ShortComment

named = APIBlueprint("named", __name__)

_LIKE_AN_ID = "-?[0-9.]+(?:e[-+]?[0-9]+)?"


class NewName(BaseConverter):
    """``<new_name:…>``: a path segment that does not look like an id and is not part of an earlier route."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map)
        taken = {rule.rule.split("/")[1] for rule in url_map.iter_rules()}
        self.regex = rf"(?!(?:{'|'.join(map(re.escape, sorted(taken)))}|{_LIKE_AN_ID})$)[^/]+"


class NamePath(BaseModel):
    name: Name


class NamedQuery(Query):
    """The comment of a file whose name is in the path; a name in the query overrides the path."""

    name: Name | None = None
    comment: ShortComment = ""
    folder: Folder | None = None
    expires_in: ExpiresIn = None


@named.put("/<new_name:name>", summary="Add a file, sent as the request body by curl -T", doc_ui=False)
@needs(Scope.FILES_WRITE)
def put_named_file(path: NamePath, query: NamedQuery) -> Response:
    # curl appends the local file name to the path even if the query has a name.
    return store_body(NewFileFields.model_validate(query.model_dump() | {"name": query.name or path.name}))


@named.route("/<new_name:name>", methods=["GET", "POST", "PATCH", "DELETE"])
@takes_any_query
@needs(Scope.FILES_READ)
def find_nothing(name: str) -> NoReturn:  # noqa: ARG001 (the same for every name)
    """Answer 404 instead of 405: files are found by id, so no other method applies to a name."""
    raise NotFound
