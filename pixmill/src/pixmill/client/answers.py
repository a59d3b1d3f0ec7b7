"""What the server answers, as frozen dataclasses.

An answer keeps what this version of the library does not know (``extra``), so that a newer server breaks nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

from pixmill.client.problems import UnexpectedAnswerError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Base of all answers.

    :ivar document: the JSON object as the server sent it.
    """

    document: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def extra(self) -> Mapping[str, object]:
        """What the server sent in addition to the fields of this class."""
        known = {entry.name for entry in fields(self)}
        return {name: value for name, value in self.document.items() if name not in known}

    @classmethod
    def of(cls, document: object) -> Self:
        """Return a JSON object as this class.

        :raises UnexpectedAnswerError: it is no object, or lacks a field.
        """
        if not isinstance(document, Mapping):
            raise UnexpectedAnswerError(f"no {cls.__name__} but {document!r:.80}; is this a Pixmill?")
        wanted = {entry.name for entry in fields(cls)} - {"document"}
        known = {name: cls.converted(name, value) for name, value in document.items() if name in wanted}
        try:
            return cls(document=document, **known)
        except TypeError as error:
            raise UnexpectedAnswerError(f"an answer lacks what a {cls.__name__} has: {error}") from error

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        """Return the value of a field: dates of HTTP and of RFC 3339 as ``datetime``."""
        if name.endswith(("_at", "_until")) and isinstance(value, str):
            return parsedate_to_datetime(value)
        if name == "time" and isinstance(value, str):
            return datetime.fromisoformat(value)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class File(Answer):
    """A stored file.

    :ivar name: without the extension.
    :ivar extension: with its dot, in lower case; empty if the name has no extension.
    :ivar size: in bytes.
    :ivar sha256: of the bytes, in hexadecimal.
    :ivar width: of an image as displayed, in pixels.
    :ivar folder: such as ``holiday/2026``; empty for a file in no folder.
    :ivar origin: ``upload``, or ``result`` for what a task made, from ``source_id`` by ``task_id`` of ``batch_id``.
    :ivar taken_at: when a camera took the image.
    :ivar expires_at: when the file is deleted, if it is.
    :ivar restore_until: of a file in the trash.
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
    """Return the id of a file, which may be given by it."""
    return file.id if isinstance(file, File) else file


@dataclass(frozen=True, kw_only=True)
class Task(Answer):
    """The run of an algorithm on a file.

    :ivar result_id: the id of the result file, once the task is finished.
    :ivar status: ``pending``, ``processing``, ``finished``, ``error`` or ``cancelled``.
    :ivar error: why the task ended in error.
    :ivar problem: the same for programs: ``type``, ``detail`` and ``context``.
    :ivar attempt: how often it was begun.
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
        """Why the task ended in error, in the language of the client."""
        return _reason(self.problem, self.error)


ENDED = frozenset({"finished", "error", "cancelled"})
"""The states in which nothing changes any more, unless somebody restarts the task."""


@dataclass(frozen=True, kw_only=True)
class TaskEvent(Answer):
    """A change of a task.

    :ivar task_id: the task.
    :ivar event_id: continues the stream after this event; empty if the event was not sent but asked for.
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
        """Why the task ended in error, in the language of the client."""
        return _reason(self.problem, self.error)


@dataclass(frozen=True, kw_only=True)
class FileEvent(Answer):
    """A change of a file.

    :ivar change: ``created``, ``changed`` or ``deleted``.
    :ivar file: as it was when the event was sent; ``None`` if it had been deleted.
    :ivar event_id: continues the stream after this event.
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
    """The end of the last task of a batch.

    :ivar status: ``ended``.
    :ivar event_id: continues the stream after this event.
    """

    batch_id: int
    status: str
    event_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause(Answer):
    """Errors of a batch that differ in their numbers only.

    :ivar tasks: how many ended so.
    :ivar task_id: the first of them, with its ``error``.
    """

    cause: str
    tasks: int
    task_id: int
    error: str
    problem: Mapping[str, object] | None = field(default=None, hash=False)

    @property
    def reason(self) -> str:
        """Why the first of them ended in error, in the language of the client."""
        return _reason(self.problem, self.error) or self.error


@dataclass(frozen=True, kw_only=True)
class Batch(Answer):
    """Tasks that were created together.

    :ivar status: ``running`` or ``ended``.
    :ivar tasks: how many were created.
    :ivar counts: how many are in each state, without those that were deleted.
    :ivar rate: tasks a second; as all that follows, only of a single batch, not in lists.
    :ivar seconds_left: at this rate; ``None`` if nobody knows.
    :ivar errors: by cause, the most frequent first.
    """

    id: int
    status: str
    algorithm: str
    tasks: int
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
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
        """How many tasks have ended, those that were deleted among them."""
        return self.tasks - self.counts.get("pending", 0) - self.counts.get("processing", 0)

    @classmethod
    def converted(cls, name: str, value: object) -> object:
        if name == "errors" and isinstance(value, list):
            return tuple(Cause.of(item) for item in value)
        return super().converted(name, value)


@dataclass(frozen=True, kw_only=True)
class Forgotten(Answer):
    """What became of the tasks of a batch that was to be forgotten.

    :ivar forgotten: how many were deleted.
    :ivar left: how many have not ended.
    """

    forgotten: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Deletion(Answer):
    """Files that were deleted.

    :ivar restore_until: how long they can be restored; ``None`` if they cannot.
    """

    ids: Sequence[int] = ()
    restore_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Index(Answer):
    """The ids of all files that match.

    :ivar ratios: of each image its width by its height; ``None`` for other files.
    """

    total: int
    ids: Sequence[int] = ()
    ratios: Sequence[float | None] = ()


@dataclass(frozen=True, kw_only=True)
class Metadata(Answer):
    """What is known about an image.

    :ivar colors: the most frequent first, each with its ``share``.
    :ivar unavailable: why a part is missing.
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

    :ivar srcset: for an ``<img>``, if widths or pixel densities were asked for.
    :ivar sources: for a ``<picture>``, one for each format that was asked for.
    :ivar expires_at: when they end, if they do.
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
    """Numbers of the stored files.

    :ivar all_owners: whether they are of all owners.
    :ivar bytes: of all owners, equal bytes count once.
    :ivar reserved_bytes: of uploads that are not complete.
    :ivar room_bytes: what still fits.
    :ivar quota: limits of ``bytes`` and ``files``.
    :ivar by_type: ``files`` and ``bytes`` of each kind of ``media_type``, such as ``image/*``.
    :ivar by_month: ``files`` and ``bytes`` that were uploaded in each ``month``, such as ``2026-11``, in UTC.
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
    """Numbers of the tasks.

    :ivar tasks: how many are in each state.
    :ivar last_minute: how many ended within the last minute, by state.
    :ivar by_day: how many ended on each ``day`` of the last 30, by state, such as ``finished``.
    :ivar workers: those that work; only an administrator sees them.
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
    """Numbers of both services."""

    files: FileStats
    tasks: TaskStats


@dataclass(frozen=True, kw_only=True)
class Algorithm(Answer):
    """An algorithm of the server.

    :ivar result: ``image``, ``json`` or ``zip``.
    :ivar frames: whether an animation is used frame by frame (``each``), as a whole (``all``), or its ``first`` one.
    :ivar streams: whether a large image is not loaded as a whole.
    :ivar params: the JSON Schema of its params.
    """

    name: str
    summary: str
    result: str = "image"
    frames: str = "each"
    streams: bool = False
    title: str = ""
    category: str = ""
    example: Mapping[str, object] | None = field(default=None, hash=False)
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Preset(Answer):
    """A pipeline with a name.

    :ivar params: those of the algorithm ``pipeline``.
    :ivar read_only: whether it is one of the server's ``conf.yml``.
    """

    name: str
    read_only: bool = False
    updated_at: datetime | None = None
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Link(Answer):
    """An address by which a file, or a set of files, is downloaded without a key.

    :ivar url: only of a link that was made just now; nothing shows it again.
    :ivar api_url: the same for programs, of a set.
    :ivar file_id: ``None`` for a set.
    :ivar file_count: the files that who opens it sees.
    :ivar trashed_count: of a set, those in the trash, which nobody sees.
    """

    id: int
    url: str = ""
    api_url: str = ""
    expires_at: datetime | None = None
    created_at: datetime | None = None
    file_id: int | None = None
    file_count: int = 1
    trashed_count: int = 0
    note: str = ""
    has_password: bool = False


@dataclass(frozen=True, kw_only=True)
class Key(Answer):
    """A key of a client.

    :ivar secret: only of a key that was made just now; nothing shows it again.
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
    """Whom files and tasks belong to.

    :ivar limits: by name; ``None`` is no limit.
    """

    name: str
    limits: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry(Answer):
    """Something that was done, or refused."""

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
    """Who this client is for the server.

    :ivar mode: ``local``, ``keys`` or ``open``.
    """

    mode: str
    signed_in: bool = False
    owner: str | None = None
    key_id: str | None = None
    scopes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Readiness(Answer):
    """Whether a service and its dependencies answer.

    :ivar status: ``ok`` or ``unavailable``.
    :ivar dependencies: the same of each.
    """

    status: str
    dependencies: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class WebhookEvent(Answer):
    """A verified webhook.

    :ivar id: the same if the webhook is delivered again.
    :ivar type: ``task.finished``, ``task.error`` or ``task.cancelled``.
    """

    id: str
    type: str
    task: Mapping[str, object] = field(default_factory=dict, hash=False)


def _reason(problem: Mapping[str, object] | None, error: str | None) -> str | None:
    """Return the sentence of a problem, which the server translates, or else the error."""
    detail = None if problem is None else problem.get("detail")
    return detail if isinstance(detail, str) and detail else error
