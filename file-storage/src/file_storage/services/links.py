"""Signed links: a link downloads one file until it expires."""

import time
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer
from service_kit.errors import DomainError


class Link(NamedTuple):
    """A file, and the expiry in seconds since 1970."""

    file_id: int
    expires_at: int


class LinkSigner:
    """Makes and reads the tokens of signed links: a file's id and an expiry with their HMAC.

    :param secret: anyone who knows it can make links to any file.
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(secret, salt="file link")

    def sign(self, link: Link) -> str:
        token: str = self._serializer.dumps(link)
        return token

    def read(self, token: str) -> Link:
        """Return the link of a token.

        :raises DomainError: ``invalid-link``, the signature is wrong; ``link-expired``.
        """
        try:
            link = Link(*self._serializer.loads(token))
        except BadSignature as error:
            raise _invalid() from error
        # The last base64 letter has spare bits, so another letter could mean the same signature.
        if self.sign(link) != token:
            raise _invalid()
        if link.expires_at <= time.time():
            raise DomainError("link-expired", "This link has expired; ask for a new one.")
        return link


def _invalid() -> DomainError:
    return DomainError("invalid-link", "This link was not made by this server, or is incomplete.")
