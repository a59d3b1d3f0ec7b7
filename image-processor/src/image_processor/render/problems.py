"""Errors in URLs: kinds of :class:`DomainError`, and the HTTP status that each dialect's peer returns for them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic import ValidationError
from service_kit.errors import DomainError, FieldError
from service_kit.texts import reason_of, sentence

BAD_URL = "bad-render-url"
BAD_OPTION = "bad-render-option"
UNSUPPORTED = "unsupported-render-option"
FORBIDDEN_OPTION = "forbidden-render-option"
WRONG_SIGNATURE = "wrong-render-signature"
EXPIRED = "expired-render-url"
NO_SUCH_ROUTE = "no-render-route"

STATUSES: Mapping[str, Mapping[str, int]] = {
    "native": {
        BAD_URL: 400,
        BAD_OPTION: 400,
        UNSUPPORTED: 422,
        FORBIDDEN_OPTION: 403,
        WRONG_SIGNATURE: 403,
        EXPIRED: 410,
    },
    "thumbor": {
        BAD_URL: 400,
        BAD_OPTION: 400,
        UNSUPPORTED: 422,
        FORBIDDEN_OPTION: 400,
        WRONG_SIGNATURE: 400,
        EXPIRED: 410,
    },
    "imagor": {
        BAD_URL: 400,
        BAD_OPTION: 400,
        UNSUPPORTED: 422,
        FORBIDDEN_OPTION: 403,
        WRONG_SIGNATURE: 403,
        EXPIRED: 410,
    },
    "imgproxy": {
        BAD_URL: 404,
        BAD_OPTION: 404,
        UNSUPPORTED: 422,
        FORBIDDEN_OPTION: 403,
        WRONG_SIGNATURE: 403,
        EXPIRED: 404,
    },
}
"""The peer's status by dialect and kind; 422 for an option that the peer supports and Pixmill does not."""


TOO_LARGE = sentence("A number in the URL is too large.")


@contextmanager
def numbers_in_range() -> Iterator[None]:
    """Refuse numbers that exceed an algorithm's limits, for which a peer has no limits of its own.

    :raises DomainError: ``bad-render-url``.
    """
    try:
        yield
    except ValidationError as error:
        raise bad_url(TOO_LARGE) from error


def bad_url(detail: str) -> DomainError:
    """Return the error of a URL that does not follow the grammar."""
    return DomainError(BAD_URL, detail, context=reason_of(detail))


def bad_option(option: str, detail: str) -> DomainError:
    """Return the error of an option whose arguments are wrong."""
    return _about(BAD_OPTION, option, detail)


def unsupported(option: str, reason: str) -> DomainError:
    """Return the error of an option that the peer supports and Pixmill does not."""
    return _about(UNSUPPORTED, option, reason)


def forbidden_option(option: str, reason: str) -> DomainError:
    """Return the error of an option that a setting forbids."""
    return _about(FORBIDDEN_OPTION, option, reason)


def wrong_signature() -> DomainError:
    """Return the error of a URL with a wrong signature. It does not reveal the right one."""
    return DomainError(WRONG_SIGNATURE, sentence("The URL's signature does not fit its path, or is missing."))


def expired() -> DomainError:
    """Return the error of a URL that has expired."""
    return DomainError(EXPIRED, sentence("The URL has expired."))


def _about(kind: str, option: str, detail: str) -> DomainError:
    return DomainError(
        kind,
        sentence("Option '{option}': {detail}.", option=option, detail=detail),
        [FieldError(pointer=option, detail=detail, context=reason_of(detail))],
    )
