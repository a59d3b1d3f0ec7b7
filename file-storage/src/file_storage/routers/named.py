"""Files whose name is the end of the path, as ``curl -T`` sends them."""

import re
from typing import NoReturn

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel
from service_kit.query import Query
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter, Map

from file_storage.routers.raw_body import store_body
from file_storage.routers.schemas import Name, ShortComment

named = APIBlueprint("named", __name__)

_LIKE_AN_ID = "-?[0-9.]+(?:e[-+]?[0-9]+)?"


class NewName(BaseConverter):
    """``<new_name:…>``: what neither looks like an id nor is the name of a route that was there before."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map)
        taken = {rule.rule.split("/")[1] for rule in url_map.iter_rules()}
        self.regex = rf"(?!(?:{'|'.join(map(re.escape, sorted(taken)))}|{_LIKE_AN_ID})$)[^/]+"


class NamePath(BaseModel):
    name: Name


class NamedQuery(Query):
    """What stands beside a body whose name is in the path; a name here is preferred."""

    name: Name | None = None
    comment: ShortComment = ""


@named.put("/<new_name:name>", summary="Add a file whose bytes are the body, as curl -T does", doc_ui=False)
def put_named_file(path: NamePath, query: NamedQuery) -> Response:
    # curl appends the local name even where the query has one.
    return store_body(query.name or path.name, query.comment)


@named.route("/<new_name:name>", methods=["GET", "POST", "PATCH", "DELETE"])
def find_nothing(name: str) -> NoReturn:  # noqa: ARG001 (whatever it is)
    """A file is found by its id: for other methods nothing is here, not something that they may not touch."""
    raise NotFound
