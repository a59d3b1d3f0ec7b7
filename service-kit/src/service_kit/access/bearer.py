"""Reads the key of a request (RFC 6750, 2.1)."""

from collections.abc import Mapping


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token in the header ``Authorization``; ``None`` without one of the scheme Bearer.

    :param headers: a mapping that ignores the case of names.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
