"""Signed links: each lets its holder download one file until it expires."""

import time
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer
from service_kit.errors import DomainError


class Link(NamedTuple):
    """What a token says: the file, and until when in seconds since 1970."""

    file_id: int
    expires_at: int


class LinkSigner:
    """Makes and reads the tokens of signed links; each is an HMAC over a file's id and a time.

    :param secret: lets its holder make links to any file.
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(secret, salt="file link")

    def sign(self, link: Link) -> str:
        token: str = self._serializer.dumps(link)
        return token

    def read(self, token: str) -> Link:
        """:raises DomainError: ``invalid-link``, the token was not made here; ``link-expired``."""
        try:
            link = Link(*self._serializer.loads(token))
        except BadSignature as error:
            raise _invalid() from error
        # Base64 has spare bits at its end: another last letter can stand for the same signature.
        if self.sign(link) != token:
            raise _invalid()
        if link.expires_at <= time.time():
            raise DomainError("link-expired", "This link has expired; ask for a new one.")
        return link


def _invalid() -> DomainError:
    return DomainError("invalid-link", "This link was not made by this server, or is cut short.")
