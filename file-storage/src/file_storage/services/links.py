"""Signed links: whoever has one may download one file until it expires."""

import time
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer
from service_kit.problems import Problem


class Link(NamedTuple):
    """What a token says: the file, and until when in seconds since 1970."""

    file_id: int
    expires_at: int


class LinkSigner:
    """Makes and reads the tokens of signed links; each is an HMAC over a file's id and a time.

    :param secret: whoever knows it can make links to any file.
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(secret, salt="file link")

    def sign(self, link: Link) -> str:
        token: str = self._serializer.dumps(link)
        return token

    def read(self, token: str) -> Link:
        """:raises Problem: 403, the token was not made here; 410, it has expired."""
        try:
            link = Link(*self._serializer.loads(token))
        except BadSignature as error:
            raise _invalid() from error
        # Base64 has spare bits at its end: another last letter can stand for the same signature.
        if self.sign(link) != token:
            raise _invalid()
        if link.expires_at <= time.time():
            raise Problem("link-expired", 410, "This link has expired; ask for a new one.")
        return link


def _invalid() -> Problem:
    return Problem("invalid-link", 403, "This link was not made by this server, or is cut short.")
