"""Hashes passwords of links with scrypt, which makes each guess expensive in time and memory."""

import hashlib
import hmac
import os
import threading
import unicodedata
from base64 import b64decode, b64encode

_COST, _BLOCK, _TIMES = 2**14, 8, 5
"""OWASP's parameters for 16 MiB; a quarter of a second on a slow processor."""
_SALT_BYTES = 16
_AT_ONCE = threading.BoundedSemaphore(2)
"""Limits a process to two hashes at a time, which need 32 MiB; waiting guesses hold no memory."""


def hashed(password: str) -> str:
    """Return the stored form of a password: the salt and the hash."""
    salt = os.urandom(_SALT_BYTES)
    return ".".join(b64encode(part).decode() for part in (salt, _scrypt(password, salt)))


def matches(password: str, stored: str) -> bool:
    """Return whether the password matches its stored form."""
    salt, expected = (b64decode(part) for part in stored.split("."))
    return hmac.compare_digest(_scrypt(password, salt), expected)


def _scrypt(password: str, salt: bytes) -> bytes:
    # Keyboards differ: "é" may be typed as one letter, or as a letter and an accent.
    typed = unicodedata.normalize("NFC", password).encode()
    with _AT_ONCE:
        return hashlib.scrypt(typed, salt=salt, n=_COST, r=_BLOCK, p=_TIMES, dklen=32)
