"""Signs URLs and checks signatures, in Pixmill's own form and in those of thumbor, imagor and imgproxy.

Each signer takes the path as sent, byte for byte: a proxy that decodes it or merges slashes breaks signatures. All keys
verify and the first one signs, so that a key can be replaced while old URLs stay valid.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

Hash = Literal["sha1", "sha256", "sha512"]
LEAST_KEY_BYTES = 16
"""The minimum length of a peer's key: installations of the peers have such keys, and their URLs must stay valid."""
LEAST_SIGNATURE_BYTES = 8
"""A shorter signature could be guessed."""

PUBLISHED_KEYS = frozenset(
    key.encode()
    for key in (
        "MY_SECURE_KEY",
        "1234567890123456",
        "MY-SECURITY-KEY",
        "my-security-key",
        "mysecret",
        "secret",
        "hello",
    )
) | frozenset(
    bytes.fromhex(key)
    for key in (
        "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881",
        "520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5",
    )
)
"""Default and example keys from the peers' documentation, which are public."""

_CONTEXT = b"pixmill-img-1\n"
"""A prefix of the signed bytes, so that signatures that the same key makes elsewhere are not valid here."""


def check_key(key: bytes, least_bytes: int = LEAST_KEY_BYTES) -> bytes:
    """Return the key.

    :raises ValueError: the key is from a peer's documentation or too short.
    """
    if key in PUBLISHED_KEYS:
        raise ValueError(
            "this key is published in documentation: generate your own, for example with `openssl rand -hex 32`"
        )
    if len(key) < least_bytes:
        raise ValueError(
            f"a key has at least {least_bytes} bytes, and this one has {len(key)}: generate one with"
            " `openssl rand -hex 32`"
        )
    return key


@dataclass(frozen=True)
class NativeSigner:
    """HMAC-SHA256 of the path after the signature, base64url without padding."""

    keys: Sequence[bytes]

    def sign(self, path: bytes) -> str:
        """Return the signature of ``path``, which begins after the signature's slash and may contain an expiry."""
        return _native(self.keys[0], path)

    def accepts(self, signature: str, path: bytes) -> bool:
        return _any_equal(signature, [_native(key, path) for key in self.keys])


@dataclass(frozen=True)
class ThumborSigner:
    """HMAC-SHA1 of the path after the signature, base64url with padding."""

    keys: Sequence[bytes]

    def sign(self, path: bytes) -> str:
        return _mac(self.keys[0], path, "sha1")

    def accepts(self, signature: str, path: bytes) -> bool:
        # Some clients percent-encode the padding.
        given = unquote_to_bytes(signature).decode("ascii", "replace")
        return _any_equal(given, [_mac(key, path, "sha1") for key in self.keys])


@dataclass(frozen=True)
class ImagorSigner:
    """HMAC of the path after the signature, base64url with padding.

    :param letters: how many characters of the signature are kept; 0 keeps all.
    """

    keys: Sequence[bytes]
    algorithm: Hash = "sha1"
    letters: int = 0

    def sign(self, path: bytes) -> str:
        return self._cut(_mac(self.keys[0], path, self.algorithm))

    def accepts(self, signature: str, path: bytes) -> bool:
        # imagor also accepts a signature of the decoded path, for clients that sign before they encode.
        paths = dict.fromkeys((path, unquote_to_bytes(path)))
        return _any_equal(
            signature, [self._cut(_mac(key, signed, self.algorithm)) for key in self.keys for signed in paths]
        )

    def _cut(self, signature: str) -> str:
        return signature[: self.letters] if self.letters else signature


@dataclass(frozen=True)
class ImgproxySigner:
    """HMAC-SHA256 of salt and path, cut to ``size`` bytes, base64url without padding.

    :param pairs: keys with their salts.
    :param trusted: words that are accepted in place of a signature.
    """

    pairs: Sequence[tuple[bytes, bytes]]
    size: int = 32
    trusted: frozenset[str] = frozenset()

    def sign(self, path: bytes) -> str:
        """Return the signature of ``path``, which begins with a slash."""
        return self._signature(self.pairs[0], path)

    def accepts(self, signature: str, path: bytes) -> bool:
        if signature in self.trusted:
            return True
        return _any_equal(signature, [self._signature(pair, path) for pair in self.pairs])

    def _signature(self, pair: tuple[bytes, bytes], path: bytes) -> str:
        key, salt = pair
        digest = hmac.digest(key, salt + path, "sha256")[: self.size]
        return urlsafe_b64encode(digest).decode().rstrip("=")


def _native(key: bytes, path: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, _CONTEXT + path, "sha256")).decode().rstrip("=")


def _mac(key: bytes, path: bytes, algorithm: str) -> str:
    return urlsafe_b64encode(hmac.new(key, path, getattr(hashlib, algorithm)).digest()).decode()


def _any_equal(given: str, right: Sequence[str]) -> bool:
    """Return whether one of the signatures is equal, in a time that reveals nothing about them."""
    letters = given.encode("utf-8", "surrogateescape")
    # A list and not a generator, so that all are compared.
    return any([hmac.compare_digest(letters, signature.encode()) for signature in right])  # noqa: C419
