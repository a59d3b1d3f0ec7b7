"""What the server answers, as frozen dataclasses.

An answer keeps what this version of the library does not know (``extra``), so that a newer server breaks nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
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
        if name.endswith("_at") and isinstance(value, str):
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

    @property
    def filename(self) -> str:
        """The name with its extension."""
        return self.name + self.extension


@dataclass(frozen=True, kw_only=True)
class Task(Answer):
    """The run of an algorithm on a file.

    :ivar result_id: the id of the result file, once the task is finished.
    :ivar status: ``pending``, ``processing``, ``finished``, ``error`` or ``cancelled``.
    :ivar error: why the task ended in error.
    """

    id: int
    source_id: int
    status: str
    algorithm: str
    result_id: int | None = None
    error: str | None = None
    params: Mapping[str, object] | None = field(default=None, hash=False)
    priority: int = 0

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


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

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


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
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Preset(Answer):
    """A pipeline with a name.

    :ivar params: those of the algorithm ``pipeline``.
    """

    name: str
    params: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Link(Answer):
    """A signed URL that downloads a file without a key."""

    url: str
    expires_at: datetime | None = None


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
