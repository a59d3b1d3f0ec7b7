"""The endpoint of file statistics for the web page."""

from collections import Counter
from collections.abc import Sequence

import svcs
from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit import __version__
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import problem_responses

from file_storage.config import Settings
from file_storage.services.stats import FileStats
from file_storage.services.totals import MonthlyCount

stats = APIBlueprint("stats", __name__, abp_tags=[Tag(name="files")])


class QuotaOut(BaseModel):
    """The limits of what may be stored; null means no limit."""

    bytes: int | None
    files: int | None


class TypeOut(BaseModel):
    """Files of one kind of media type."""

    media_type: str = Field(description="A value of the filter media_type of a list.", examples=["image/*"])
    files: int
    bytes: int


class MonthOut(BaseModel):
    """Files that were uploaded in one month."""

    month: str = Field(description="In UTC.", examples=["2026-11"])
    files: int
    bytes: int


class StatsOut(BaseModel):
    """Statistics of files."""

    version: str = Field(description="The version of Pixmill.")
    owner: str = Field(description="The owner who sends the request.")
    all_owners: bool = Field(description="Whether the numbers include all owners, as for a key with the scope `admin`.")
    files: int
    bytes: int = Field(description="The total size of the owner's files; for all owners, identical bytes count once.")
    reserved_bytes: int = Field(
        description="The size of unfinished resumable uploads, and of large uploads in transit."
    )
    room_bytes: int = Field(description="How many bytes still fit on the disk and into the quotas.")
    trash_seconds: float = Field(description="How long a deleted file can be restored; 0: not at all.")
    quota: QuotaOut
    by_type: list[TypeOut] = Field(
        description="`files` by kind of media type, most files first; identical bytes count for each file."
    )
    by_month: list[MonthOut] = Field(
        description="`files` by month of upload, oldest first; identical bytes count for each file."
    )


@stats.get("/stats", summary="Get statistics of files", responses={200: StatsOut, **problem_responses(422)})
@needs(Scope.FILES_READ)
def show_stats() -> Response:
    who = principal()
    numbers = svcs.flask.get(FileStats).of(who)
    answer = StatsOut(
        version=__version__,
        owner=who.owner,
        all_owners=who.sees_all,
        files=numbers.stored.files,
        bytes=numbers.stored.bytes,
        reserved_bytes=numbers.stored.reserved,
        room_bytes=numbers.room,
        trash_seconds=svcs.flask.get(Settings).trash.seconds,
        quota=QuotaOut(bytes=numbers.quota_bytes, files=numbers.quota_files),
        by_type=_by_type(numbers.counts),
        by_month=_by_month(numbers.counts),
    )
    response = Response(answer.model_dump_json(), mimetype="application/json")
    response.headers["Cache-Control"] = "private, max-age=1"
    return response


def _by_type(counts: Sequence[MonthlyCount]) -> list[TypeOut]:
    files, bytes_ = Counter[str](), Counter[str]()
    for count in counts:
        files[count.kind] += count.files
        bytes_[count.kind] += count.bytes
    return [TypeOut(media_type=f"{kind}/*", files=count, bytes=bytes_[kind]) for kind, count in files.most_common()]


def _by_month(counts: Sequence[MonthlyCount]) -> list[MonthOut]:
    files, bytes_ = Counter[str](), Counter[str]()
    for count in counts:
        files[count.month] += count.files
        bytes_[count.month] += count.bytes
    return [MonthOut(month=month, files=files[month], bytes=bytes_[month]) for month in sorted(files)]
