"""Reads the key of a request (RFC 6750, 2.1)."""

import hmac
from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token in the header ``Authorization``; ``None`` without one of the scheme Bearer.

    :param headers: a mapping that ignores the case of names.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def name_of(token: str | None, secrets: Mapping[Name, str]) -> Name | None:
    """Return the name of the secret that equals the token; ``None`` if none does."""
    given = (token or "").encode()
    # A list and not a generator, so that the time reveals nothing about the secrets.
    found = [name for name, secret in secrets.items() if hmac.compare_digest(given, secret.encode())]
    return found[0] if found else None
