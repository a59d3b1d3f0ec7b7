"""The exceptions of this library; users need not check status codes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class PixmillError(Exception):
    """Base of all errors of this library."""


class UnreachableError(PixmillError):
    """The server did not answer, or the connection broke.

    :ivar sent: whether the request may have reached the server.
    :ivar server: the URL of the server, if the connection failed.
    """

    def __init__(self, message: str, *, sent: bool = True, server: str | None = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.server = server


class UnexpectedAnswerError(PixmillError):
    """The answer is not from Pixmill: perhaps another server listens there."""


class RedirectedError(UnexpectedAnswerError):
    """The server redirects to another address. The client follows only reads: a redirect may drop a request's body.

    :ivar location: the new address.
    """

    def __init__(self, location: str) -> None:
        super().__init__(f"the server redirects this request to {location}; use the URL of the server there")
        self.location = location


class UnsendableTextError(PixmillError):
    """A name, folder or comment is not valid Unicode: for example, the name of a local file is not UTF-8."""

    def __init__(self, text: str) -> None:
        shown = text.encode("utf-8", "backslashreplace").decode()
        super().__init__(f"{shown} is not valid UTF-8; choose another name")
        self.text = text


class DamagedTransferError(PixmillError):
    """Bytes were damaged in transit: their digest does not match."""


class ChangedFileError(PixmillError):
    """A local file changed during its upload."""


class InUseError(PixmillError):
    """Another program uses the same local file."""


class WebhookError(PixmillError):
    """A webhook is not signed with this secret or is too old."""


@dataclass(frozen=True)
class FieldError:
    """An error in a field of the request.

    :ivar pointer: the field, as a JSON Pointer.
    :ivar code: the kind of error, such as ``less_than_equal``; empty if the server sends none.
    :ivar context: the values in ``detail``.
    """

    pointer: str
    detail: str
    code: str = ""
    context: Mapping[str, object] = field(default_factory=dict, hash=False)


class ProblemError(PixmillError):
    """The server refused a request with a problem document (RFC 9457).

    :ivar type: such as ``urn:pixmill:problem:file-not-found``.
    :ivar code: the kind of problem, such as ``file-not-found``.
    :ivar detail: what happened and how to fix it.
    :ivar context: the values in ``detail``, if the server sends them.
    :ivar errors: the invalid fields.
    :ivar request_id: identifies the request in the server's log.
    :ivar retry_after: the seconds to wait, from the server.
    """

    def __init__(
        self,
        status: int,
        type: str = "about:blank",  # noqa: A002 (RFC 9457's name)
        title: str = "",
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        code: str = "",
        context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail or title or f"HTTP status {status}")
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.retry_after = retry_after
        self.code: str = code or self.kind
        self.context: Mapping[str, object] = context or {}

    @property
    def kind(self) -> str:
        """The last part of the type, such as ``file-not-found``."""
        return self.type.rpartition(":")[2]


class SignInError(ProblemError):
    """The key is missing, invalid, or lacks a scope."""


class NotFoundError(ProblemError):
    """The object does not exist, or no longer exists."""


class InvalidError(ProblemError):
    """The request is invalid; ``errors`` lists the fields."""


class ConflictError(ProblemError):
    """The object's state does not allow the request."""


class StorageFullError(ProblemError):
    """The disk or the quota is full."""


class UnavailableError(ProblemError):
    """The server cannot answer now, even after the client's retries."""


TOO_MANY_TASKS = "too-many-pending-tasks"

_BY_STATUS: Mapping[int, type[ProblemError]] = {
    400: InvalidError,
    401: SignInError,
    403: SignInError,
    404: NotFoundError,
    405: InvalidError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    413: InvalidError,
    415: InvalidError,
    416: InvalidError,
    421: InvalidError,
    422: InvalidError,
    423: ConflictError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: StorageFullError,
}


def is_lasting(problem: ProblemError) -> bool:
    """Return whether retries are useless because a limit of the owner stays exceeded until somebody makes room.

    A single batch may have more tasks than the limit, and unfinished uploads stay for a day.
    """
    return problem.kind in (TOO_MANY_TASKS, "too-many-uploads") and problem.retry_after is None


def problem_of(
    status: int, body: bytes, *, reason: str = "", request_id: str | None = None, retry_after: float | None = None
) -> ProblemError:
    """Return the exception for an error response, which may come from a proxy and not be a problem document."""
    document = _document(body)
    return _BY_STATUS.get(status, ProblemError)(
        status,
        _text(document, "type") or "about:blank",
        _text(document, "title") or reason,
        _text(document, "detail") or f"{status} {reason}".strip(),
        errors=_errors(document.get("errors")),
        request_id=request_id,
        retry_after=retry_after,
        code=_text(document, "code"),
        context=_context(document),
    )


def problem_in(document: Mapping[str, object], request_id: str | None = None) -> ProblemError:
    """Return the exception for a problem document inside an answer, such as that of a batch."""
    status = document.get("status")
    code = status if isinstance(status, int) else 500
    return problem_of(code, json.dumps(document).encode(), request_id=request_id)


def _document(body: bytes) -> Mapping[str, object]:
    try:
        document: object = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _errors(value: object) -> Sequence[FieldError]:
    if not isinstance(value, list):
        return ()
    return tuple(
        FieldError(_text(entry, "pointer"), _text(entry, "detail"), _text(entry, "code"), _context(entry))
        for entry in value
        if isinstance(entry, dict)
    )


def _context(document: Mapping[str, object]) -> Mapping[str, object]:
    value = document.get("context")
    return value if isinstance(value, dict) else {}
