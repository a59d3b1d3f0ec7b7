"""Errors of renders whose URL is valid: kinds of :class:`DomainError` and their HTTP statuses."""

from collections.abc import Mapping

from service_kit.errors import DomainError
from service_kit.texts import counted, reason_of, sentence

FILE_NOT_FOUND = "file-not-found"
TOO_LARGE = "source-too-large"
NOT_RENDERABLE = "not-renderable"
NOT_SENT_AS_IT_IS = "type-not-sent"
BUSY = "renders-busy"
LOST = "render-lost"
TOO_SLOW = "render-too-slow"
STORAGE_UNAVAILABLE = "file-storage-unavailable"
PRESETS_UNAVAILABLE = "presets-unavailable"
ORIGIN_FORBIDDEN = "origin-forbidden"
ORIGIN_FAILED = "origin-failed"
ORIGIN_SLOW = "origin-too-slow"

STATUSES: Mapping[str, int] = {
    FILE_NOT_FOUND: 404,
    TOO_LARGE: 413,
    NOT_RENDERABLE: 422,
    NOT_SENT_AS_IT_IS: 415,
    BUSY: 503,
    LOST: 503,
    TOO_SLOW: 422,
    STORAGE_UNAVAILABLE: 503,
    PRESETS_UNAVAILABLE: 503,
    ORIGIN_FORBIDDEN: 403,
    ORIGIN_FAILED: 502,
    ORIGIN_SLOW: 504,
}

OF_PEERS: Mapping[str, Mapping[str, int]] = {
    "thumbor": {ORIGIN_FORBIDDEN: 400, NOT_RENDERABLE: 400, TOO_LARGE: 400, TOO_SLOW: 504},
    "imagor": {TOO_LARGE: 400, NOT_RENDERABLE: 406, TOO_SLOW: 408, BUSY: 429},
    "imgproxy": {ORIGIN_FORBIDDEN: 404, TOO_LARGE: 422, TOO_SLOW: 503, BUSY: 429},
}
"""The statuses of a peer where they differ, by dialect and kind."""


def file_not_found(what: object) -> DomainError:
    """Return the error of a source that the file server does not have."""
    detail = sentence("There is no file {what}.", what=str(what))
    return DomainError(FILE_NOT_FOUND, detail, context={"file_id": what if isinstance(what, int) else None})


def too_large(detail: str) -> DomainError:
    """Return the error of a source that has too many bytes."""
    return DomainError(TOO_LARGE, detail, context=reason_of(detail))


def not_renderable(detail: str) -> DomainError:
    """Return the error of a source that is not an image or does not suit the steps."""
    return DomainError(NOT_RENDERABLE, detail, context=reason_of(detail))


def busy(detail: str) -> DomainError:
    """Return the error of a render for which no process is free."""
    return DomainError(BUSY, detail, retry_after=1, context=reason_of(detail))


def lost() -> DomainError:
    """Return the error of a render whose process died."""
    return DomainError(LOST, sentence("The process that rendered this picture has ended; try again."), retry_after=1)


def too_slow(seconds: float) -> DomainError:
    """Return the error of a render that exceeded the time limit."""
    return DomainError(
        TOO_SLOW,
        counted(
            "The render took longer than {seconds:g} second.",
            "The render took longer than {seconds:g} seconds.",
            "seconds",
            seconds=seconds,
        ),
        retry_after=60,
    )


def storage_unavailable() -> DomainError:
    """Return the error of a file server that does not answer."""
    return DomainError(STORAGE_UNAVAILABLE, sentence("The file server does not answer; try again."), retry_after=2)


def presets_unavailable() -> DomainError:
    """Return the error of an API that does not answer when a preset is looked up."""
    detail = sentence("The service that stores the presets does not answer; try again.")
    return DomainError(PRESETS_UNAVAILABLE, detail, retry_after=2)
