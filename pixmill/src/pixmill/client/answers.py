"""The server's answers as frozen dataclasses.

An answer keeps fields that this version of the library does not know in ``extra``, so a newer server breaks nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

from pixmill.client.problems import UnexpectedAnswerError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The base class of all answers.

    :ivar document: the JSON object as the server sent it.
    """

    document: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def extra(self) -> Mapping[str, object]:
        """The fields that this class does not declare."""
        known = {entry.name for entry in fields(self)}
        return {name: value for name, value in self.document.items() if name not in known}

    @classmethod
    def of(cls, document: object) -> Self:
        """Return a JSON object as an instance of this class.

        :raises UnexpectedAnswerError: the value is not an object or lacks a field.
        """
        if not isinstance(document, Mapping):
            raise UnexpectedAnswerError(
                f"the answer has {document!r:.80} instead of {cls.__name__}; is this a Pixmill?"
            )
        wanted = {entry.name for entry in fields(cls)} - {"document"}
        known = {name: cls.converted(name, value) for name, value in document.items() if name in wanted}
        try:
            return cls(document=document, **known)
        except TypeError as error:
            raise UnexpectedAnswerError(f"the answer is not a complete {cls.__name__}: {error}") from error

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        """Convert the value of a field: HTTP and RFC 3339 dates become ``datetime``."""
        if name.endswith(("_at", "_until")) and isinstance(value, str):
            return parsedate_to_datetime(value)
        if name == "time" and isinstance(value, str):
            return datetime.fromisoformat(value)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class File(Answer):
    """A stored file.

    :ivar name: the name without the extension.
    :ivar extension: with its dot, in lower case; empty if the name has no extension.
    :ivar size: in bytes.
    :ivar sha256: of the bytes, in hexadecimal.
    :ivar width: of an image as displayed, in pixels.
    :ivar folder: such as ``holiday/2026``; empty if the file is in no folder.
    :ivar origin: ``upload``, or ``result`` for a file that a task made (see ``source_id``, ``task_id`` and
    ``batch_id``).
    :ivar taken_at: when the camera took the image.
    :ivar expires_at: when the file will be deleted, if ever.
    :ivar restore_until: the deadline for restoring a file in the trash.
    """

    id: int
    name: str
    extension: str
    comment: str
    size: int
    sha256: str
    media_type: str
    width: int | None = None
    height: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    folder: str = ""
    origin: str | None = None
    source_id: int | None = None
    task_id: int | None = None
    batch_id: int | None = None
    taken_at: datetime | None = None
    expires_at: datetime | None = None
    deleted_at: datetime | None = None
    restore_until: datetime | None = None

    @property
    def path(self) -> str:
        """The folder and the name with its extension."""
        return f"{self.folder}/{self.filename}" if self.folder else self.filename

    @property
    def filename(self) -> str:
        """The name with its extension."""
        return self.name + self.extension


def id_of(file: File | int) -> int:
    """Return the id of a file, given the file or the id."""
    return file.id if isinstance(file, File) else file


@dataclass(frozen=True, kw_only=True)
class Task(Answer):
    """The run of an algorithm on a file.

    :ivar result_id: the id of the result file, once the task is finished.
    :ivar status: ``pending``, ``processing``, ``finished``, ``error`` or ``cancelled``.
    :ivar error: why the task ended in error.
    :ivar problem: the same for programs: ``type``, ``detail`` and ``context``.
    :ivar attempt: the number of attempts so far.
    :ivar started_at: the newest attempt.
    """

    id: int
    source_id: int
    status: str
    algorithm: str
    result_id: int | None = None
    error: str | None = None
    params: Mapping[str, object] | None = field(default=None, hash=False)
    priority: int = 0
    batch_id: int | None = None
    preset: str | None = None
    source_name: str | None = None
    attempt: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    problem: Mapping[str, object] | None = field(default=None, hash=False)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def reason(self) -> str | None:
        """The reason for the error, in the client's language."""
        return _reason(self.problem, self.error)


ENDED = frozenset({"finished", "error", "cancelled"})
"""The final states; a task leaves them only by a restart."""


@dataclass(frozen=True, kw_only=True)
class TaskEvent(Answer):
    """A change of a task.

    :ivar event_id: the stream can be resumed after this id; empty if the state was queried instead of received.
    """

    task_id: int
    status: str
    result_id: int | None = None
    error: str | None = None
    event_id: str = ""
    batch_id: int | None = None
    problem: Mapping[str, object] | None = field(default=None, hash=False)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def reason(self) -> str | None:
        """The reason for the error, in the client's language."""
        return _reason(self.problem, self.error)


@dataclass(frozen=True, kw_only=True)
class FileEvent(Answer):
    """A change of a file.

    :ivar change: ``created``, ``changed`` or ``deleted``.
    :ivar file: the file when the event was sent; ``None`` if it had been deleted.
    :ivar event_id: the stream can be resumed after this id.
    """

    file_id: int
    change: str
    file: File | None = None
    event_id: str = ""

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        if name == "file" and value is not None:
            return File.of(value)
        return super().converted(name, value)


@dataclass(frozen=True, kw_only=True)
class BatchEvent(Answer):
    """The event that the last task of a batch has ended.

    :ivar status: ``ended``.
    :ivar event_id: the stream can be resumed after this id.
    """

    batch_id: int
    status: str
    event_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause(Answer):
    """A group of errors of a batch that differ only in numbers.

    :ivar key: selects the tasks of the group in a list; ``None`` from a server of an earlier version.
    :ivar tasks: the number of tasks in the group.
    :ivar task_id: the first of them, whose ``error`` is shown.
    """

    cause: str
    key: str | None = None
    tasks: int
    task_id: int
    error: str
    problem: Mapping[str, object] | None = field(default=None, hash=False)

    @property
    def reason(self) -> str:
        """The error of the first task, in the client's language."""
        return _reason(self.problem, self.error) or self.error


@dataclass(frozen=True, kw_only=True)
class Batch(Answer):
    """Tasks that were created together.

    :ivar status: ``running`` or ``ended``.
    :ivar tasks: the number of created tasks.
    :ivar counts: the number of tasks in each state, without deleted ones.
    :ivar forgotten: the number of deleted tasks.
    :ivar rate: tasks per second; 0 if tasks of an ended batch were deleted. This field and all below are missing in
        lists of batches.
    :ivar seconds_left: the estimate at this rate; ``None`` if unknown.
    :ivar errors: grouped by cause, most frequent first.
    """

    id: int
    status: str
    algorithm: str
    tasks: int
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    forgotten: int = 0
    params: Mapping[str, object] | None = field(default=None, hash=False)
    preset: str | None = None
    priority: int = 0
    cache: bool = True
    expires_in: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rate: float = 0
    seconds_left: float | None = None
    errors: Sequence[Cause] = ()

    @property
    def has_ended(self) -> bool:
        return self.status == "ended"

    @property
    def ended_tasks(self) -> int:
        """The number of tasks that have ended, including deleted ones."""
        return self.tasks - self.counts.get("pending", 0) - self.counts.get("processing", 0)

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        if name == "errors" and isinstance(value, list):
            return tuple(Cause.of(item) for item in value)
        return super().converted(name, value)


@dataclass(frozen=True, kw_only=True)
class Forgotten(Answer):
    """The outcome of deleting the tasks of a batch.

    :ivar forgotten: the number of deleted tasks.
    :ivar left: the number of tasks that were not deleted: those that had not ended.
    """

    forgotten: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Deletion(Answer):
    """The outcome of deleting files.

    :ivar restore_until: the deadline for restoring them; ``None`` if they cannot be restored.
    """

    ids: Sequence[int] = ()
    restore_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Index(Answer):
    """The ids of all files that match.

    :ivar ratios: width divided by height for images; ``None`` for other files.
    """

    total: int
    ids: Sequence[int] = ()
    ratios: Sequence[float | None] = ()


@dataclass(frozen=True, kw_only=True)
class Metadata(Answer):
    """The metadata of an image.

    :ivar colors: most frequent first, each with its ``share``.
    :ivar unavailable: the reasons why parts are missing.
    """

    info: Mapping[str, object] | None = field(default=None, hash=False)
    exif: Mapping[str, object] | None = field(default=None, hash=False)
    histogram: Mapping[str, object] | None = field(default=None, hash=False)
    colors: Sequence[Mapping[str, object]] | None = field(default=None, hash=False)
    blurhash: str | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class ImageSource(Answer):
    """A ``<source>`` of a ``<picture>``.

    :ivar type: such as ``image/webp``.
    """

    type: str
    srcset: str


@dataclass(frozen=True, kw_only=True)
class ImageUrls(Answer):
    """Signed URLs of an image.

    :ivar srcset: for an ``<img>``, if widths or pixel densities were requested.
    :ivar sources: for a ``<picture>``, one for each requested format.
    :ivar expires_at: when the URLs expire, if ever.
    """

    url: str
    srcset: str | None = None
    sources: Sequence[ImageSource] = ()
    expires_at: datetime | None = None

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        if name == "sources" and isinstance(value, list):
            return tuple(ImageSource.of(item) for item in value)
        if name == "expires_at" and isinstance(value, int):
            return datetime.fromtimestamp(value, UTC)
        return super().converted(name, value)


@dataclass(frozen=True, kw_only=True)
class FileStats(Answer):
    """Statistics of the stored files.

    :ivar all_owners: whether the numbers cover all owners.
    :ivar bytes: the total size; when covering all owners, identical contents count once.
    :ivar reserved_bytes: the size of unfinished uploads.
    :ivar room_bytes: the number of bytes that still fit.
    :ivar quota: limits of ``bytes`` and ``files``.
    :ivar by_type: ``files`` and ``bytes`` of each kind of ``media_type``, such as ``image/*``.
    :ivar by_month: ``files`` and ``bytes`` uploaded in each ``month``, such as ``2026-11``, in UTC.
    """

    version: str
    files: int
    bytes: int
    owner: str = ""
    all_owners: bool = False
    reserved_bytes: int = 0
    room_bytes: int | None = None
    quota: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    by_type: Sequence[Mapping[str, str | int]] = field(default=(), hash=False)
    by_month: Sequence[Mapping[str, str | int]] = field(default=(), hash=False)


@dataclass(frozen=True, kw_only=True)
class TaskStats(Answer):
    """Statistics of the tasks.

    :ivar tasks: the number of tasks in each state.
    :ivar last_minute: the number of tasks that ended within the last minute, by state.
    :ivar by_day: the number of tasks that ended on each ``day`` of the last 30, by state, such as ``finished``.
    :ivar workers: the running workers; visible only to an administrator.
    """

    version: str
    tasks: Mapping[str, int] = field(default_factory=dict, hash=False)
    owner: str = ""
    all_owners: bool = False
    oldest_pending_seconds: float | None = None
    last_minute: Mapping[str, int] = field(default_factory=dict, hash=False)
    by_day: Sequence[Mapping[str, str | int]] = field(default=(), hash=False)
    workers: Sequence[Mapping[str, object]] = field(default=(), hash=False)


@dataclass(frozen=True)
class Stats:
    """Statistics of both services."""

    files: FileStats
    tasks: TaskStats


@dataclass(frozen=True, kw_only=True)
class Algorithm(Answer):
    """An algorithm of the server.

    :ivar result: ``image``, ``json`` or ``zip``.
    :ivar frames: how an animation is processed: each frame (``each``), as a whole (``all``), or only its ``first``
    frame.
    :ivar streams: whether large images are streamed instead of loaded completely.
    :ivar params: the JSON Schema of the params.
    """

    name: str
    summary: str
    result: str = "image"
    frames: str = "each"
    streams: bool = False
    title: str = ""
    category: str = ""
    category_title: str = ""
    example: Mapping[str, object] | None = field(default=None, hash=False)
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Preset(Answer):
    """A named pipeline.

    :ivar params: the params of the algorithm ``pipeline``.
    :ivar read_only: whether the preset is defined in the server's ``conf.yml``.
    """

    name: str
    read_only: bool = False
    updated_at: datetime | None = None
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Link(Answer):
    """A link for downloading a file or a set of files without a key.

    :ivar url: set only when the link has just been created; it cannot be retrieved later.
    :ivar api_url: for a set, the URL for programs; set like ``url``.
    :ivar file_id: ``None`` for a set.
    :ivar file_count: the number of files visible through the link.
    :ivar trashed_count: the number of a set's files in the trash, which the link hides.
    :ivar disposition: how browsers treat the file; ``None`` if the request that uses the link decides.
    """

    id: int
    url: str = ""
    api_url: str = ""
    expires_at: datetime | None = None
    created_at: datetime | None = None
    file_id: int | None = None
    file_count: int = 1
    trashed_count: int = 0
    disposition: str | None = None
    note: str = ""
    has_password: bool = False


@dataclass(frozen=True, kw_only=True)
class Key(Answer):
    """An API key.

    :ivar secret: set only when the key has just been created; it cannot be retrieved later.
    """

    id: str
    owner: str
    note: str = ""
    scopes: Sequence[str] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Owner(Answer):
    """An owner of files and tasks.

    :ivar limits: by name; ``None`` means no limit.
    """

    name: str
    limits: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry(Answer):
    """An entry of the audit trail: an action, done or refused."""

    id: int
    time: datetime
    owner: str | None = None
    key_id: str | None = None
    address: str = ""
    action: str = ""
    object: str | None = None
    status: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Session(Answer):
    """The identity of this client on the server.

    :ivar mode: ``local``, ``keys`` or ``open``.
    """

    mode: str
    signed_in: bool = False
    owner: str | None = None
    key_id: str | None = None
    scopes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Readiness(Answer):
    """The readiness of a service and its dependencies.

    :ivar status: ``ok`` or ``unavailable``.
    :ivar dependencies: the status of each dependency.
    """

    status: str
    dependencies: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class WebhookEvent(Answer):
    """A verified webhook.

    :ivar id: identical for repeated deliveries.
    :ivar type: ``task.finished``, ``task.error`` or ``task.cancelled``.
    """

    id: str
    type: str
    task: Mapping[str, object] = field(default_factory=dict, hash=False)


def _reason(problem: Mapping[str, object] | None, error: str | None) -> str | None:
    """Return the server's translated sentence from a problem, or the plain error if there is no problem."""
    detail = None if problem is None else problem.get("detail")
    return detail if isinstance(detail, str) and detail else error
