"""The endpoints that delete many files, and list, restore and empty the trash."""

from functools import partial

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import array_response, problem_responses
from service_kit.paging import PageQuery, list_response
from service_kit.request_body import described, json_body
from werkzeug.http import http_date

from file_storage.models import File
from file_storage.routers.choices import ChosenIn, JsonId
from file_storage.routers.rows import as_json
from file_storage.routers.schemas import FileOut
from file_storage.services.trash import MAX_FILES, TrashService

trash = APIBlueprint("trash", __name__, abp_tags=[Tag(name="files")])


class DeleteIn(ChosenIn):
    """Files to delete: by their ids, or by the filters of a list."""


class RestoreIn(BaseModel):
    """Files to restore from the trash."""

    model_config = ConfigDict(extra="forbid")

    ids: list[JsonId] = Field(min_length=1, max_length=MAX_FILES)


class EmptyIn(BaseModel):
    """Files to permanently remove from the trash; without ids, all files."""

    model_config = ConfigDict(extra="forbid")

    ids: list[JsonId] = Field(default_factory=list, min_length=1, max_length=MAX_FILES)


class DeletedOut(BaseModel):
    """The files that were deleted."""

    model_config = ConfigDict(title="Deleted")

    deleted: int = Field(description="The number of deleted files.")
    ids: list[int] = Field(description="Their ids in ascending order. Ids of files that did not exist are omitted.")
    more: bool = Field(description="Whether the request ended early; if so, send it again to delete the rest.")
    restore_until: str | None = Field(
        None,
        description="The time until which all of them can be restored, as an HTTP date; null: they cannot be restored.",
    )


class RestoredOut(BaseModel):
    """The files that were restored."""

    model_config = ConfigDict(title="Restored")

    restored: int = Field(description="The number of restored files.")
    ids: list[int] = Field(
        description="Their ids in ascending order. Ids of files that were not in the trash are omitted."
    )


class EmptiedOut(BaseModel):
    """The number of files that were permanently removed."""

    model_config = ConfigDict(title="Emptied")

    removed: int
    more: bool = Field(description="Whether the request ended early; if so, send it again to remove the rest.")


class TrashedOut(FileOut):
    """A file in the trash."""

    model_config = ConfigDict(title="TrashedFile")

    deleted_at: str = Field(description="As an HTTP date.")
    restore_until: str = Field(description="As an HTTP date.")


class TrashQuery(PageQuery[str]):
    """Which page of the trash is listed."""

    after: str = Field(
        "",
        max_length=100,
        pattern=r"^[0-9._]*$",
        description="A cursor: only files after it; the Link header has the next page's URL.",
    )


@trash.post(
    "/delete",
    summary="Delete files, by ids or by the filters of a list",
    description=f"At most {MAX_FILES} files per request. The response omits ids that do not exist, so that a request"
    " can be repeated safely.",
    responses={200: DeletedOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions=described(DeleteIn),
)
@needs(Scope.FILES_DELETE)
def delete_files() -> dict[str, object]:
    wanted, service = json_body(DeleteIn), svcs.flask.get(TrashService)
    if wanted.filter is not None:
        deleted = service.delete_matching(principal(), wanted.filter.filter())
    else:
        deleted = service.delete_all(principal(), wanted.ids or [])
    until = None if deleted.restore_until is None else http_date(deleted.restore_until)
    return {"deleted": len(deleted.ids), "ids": deleted.ids, "more": deleted.more, "restore_until": until}


@trash.post(
    "/restore",
    summary="Restore files from the trash",
    description="The files keep their ids, names and links. The response omits ids that are not in the trash.",
    responses={200: RestoredOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions=described(RestoreIn),
)
@needs(Scope.FILES_DELETE)
def restore_files() -> dict[str, object]:
    restored = svcs.flask.get(TrashService).restore(principal(), json_body(RestoreIn).ids)
    return {"restored": len(restored), "ids": restored}


@trash.get(
    "/trash",
    summary="List the files in the trash, the last deleted first",
    responses={200: array_response(TrashedOut.model_json_schema()), **problem_responses(404, 422)},
)
@needs(Scope.FILES_DELETE)
def list_trash(query: TrashQuery) -> Response:
    service = svcs.flask.get(TrashService)
    url = f"{request.script_root}/trash"
    return list_response(partial(service.page, principal()), service.cursor, partial(_as_json, service), query, url)


@trash.post(
    "/trash/empty",
    summary="Permanently remove these files, or all files, from the trash",
    description=f"At most {MAX_FILES} files per request.",
    responses={200: EmptiedOut, **problem_responses(400, 413, 415, 422)},
    openapi_extensions=described(EmptyIn),
)
@needs(Scope.FILES_DELETE)
def empty_trash() -> dict[str, object]:
    emptied = svcs.flask.get(TrashService).empty(principal(), json_body(EmptyIn).ids or None)
    return emptied._asdict()


def _as_json(service: TrashService, file: File) -> dict[str, object]:
    times = {"deleted_at": http_date(file.deleted_at), "restore_until": http_date(service.restore_until(file))}
    return as_json(file) | times
