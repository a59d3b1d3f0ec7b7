"""Signs URLs of images without a request to the server.

``docs/rendering.md`` describes the format: HMAC-SHA256 of a context and of the path after the signature.
"""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from pixmill.client.answers import File, ImageSource, ImageUrls
from pixmill.client.images import Rendition

_CONTEXT = b"pixmill-img-1\n"
_MIN_KEY_BYTES = 32
_MAX_SIDE = 16_384
_MAX_URL_BYTES = 16 * 1024 - 32
"""The most bytes of a URL after the host that the server reads."""
_ORDER = ("exp", "p", "o", "j", "w", "h", "f", "q")
"""The server's order, so that URLs are identical to the server's and hit the same cache entries."""


class ImageSigner:
    """Signs URLs of images like the server, without a request to it.

    >>> signer = ImageSigner("https://images.example.com", key)
    >>> signer.urls(42, Rendition(width=320, format="webp")).url

    :param url: the server's URL as browsers reach it.
    :param key: one of the server's ``native.keys``: ``PIXMILL_RENDER_SECRET``, unless the operator has configured
    others. This key allows rendering all files of all owners.
    :param path: the server's ``native.path``.
    :param preset_owner: the owner of presets created through the API; those of ``conf.yml`` belong to everybody.
    :raises ValueError: the key has fewer than 32 bytes; no server starts with such a key.
    """

    def __init__(self, url: str, key: str, *, path: str = "/img/", preset_owner: str = "local") -> None:
        if len(key.encode()) < _MIN_KEY_BYTES:
            raise ValueError(f"a key has at least {_MIN_KEY_BYTES} bytes; give one of the server's native.keys")
        self._base = url.rstrip("/")
        self._path = path
        self._key = key.encode()
        self._preset_owner = preset_owner

    def urls(self, file: File | int | str, rendition: Rendition | None = None) -> ImageUrls:
        """Return signed URLs of an image.

        :param file: a file, its id, its SHA-256, or the URL of an image on a server that ``origins.hosts`` allows.
        :raises ValueError: the server would refuse the URL: a side is too large, a step gives no image, or the steps
            are too long for a URL.
        """
        wanted = rendition or Rendition()
        _check(wanted)
        source = quote(str(file.id if isinstance(file, File) else file), safe="")
        ends = None if wanted.expires is None else int(time.time() + wanted.expires.total_seconds())
        options = self._options(wanted, ends)
        srcset = self._srcset(source, wanted, options)
        return ImageUrls(
            url=self._url(source, options),
            srcset=srcset or None,
            sources=tuple(self._source(source, wanted, options, name) for name in wanted.formats),
            expires_at=None if ends is None else datetime.fromtimestamp(ends, UTC),
        )

    def _options(self, wanted: Rendition, ends: int | None) -> dict[str, str]:
        """Return the options by their names in a URL."""
        pipeline = wanted.pipeline()
        owner = self._preset_owner if wanted.preset is not None and self._preset_owner != "local" else None
        given: Mapping[str, object] = {
            "exp": ends,
            "p": wanted.preset,
            "o": owner,
            "j": _base64url(_compact(pipeline)) if pipeline else None,
            "w": wanted.width,
            "h": wanted.height,
            "f": wanted.format,
            "q": wanted.quality,
        }
        return {name: str(value) for name, value in given.items() if value is not None}

    def _source(self, source: str, wanted: Rendition, options: Mapping[str, str], name: str) -> ImageSource:
        chosen = {**options, "f": name}
        return ImageSource(
            type=f"image/{name}", srcset=self._srcset(source, wanted, chosen) or self._url(source, chosen)
        )

    def _srcset(self, source: str, wanted: Rendition, options: Mapping[str, str]) -> str:
        variants = [(f"{width}w", {**options, "w": str(width)}) for width in wanted.widths]
        for dpr in wanted.dprs:
            sides = {name: str(round(int(options[name]) * dpr)) for name in ("w", "h") if name in options}
            variants.append((f"{dpr:g}x", {**options, **sides}))
        return ", ".join(f"{self._url(source, chosen)} {name}" for name, chosen in variants)

    def _url(self, source: str, options: Mapping[str, str]) -> str:
        named = [f"{name}:{quote(options[name], safe='')}" for name in _ORDER if name in options]
        signed = "/".join([*named, source])
        signature = _base64url(hmac.digest(self._key, _CONTEXT + signed.encode(), "sha256"))
        target = f"{self._path}{signature}/{signed}"
        if len(target.encode()) > _MAX_URL_BYTES:
            raise ValueError(f"a URL has at most {_MAX_URL_BYTES} bytes after the host; store the steps as a preset")
        return self._base + target


def _check(wanted: Rendition) -> None:
    sides = [side for side in (wanted.width, wanted.height) if side is not None]
    scaled = [round(side * dpr) for side in sides for dpr in wanted.dprs]
    if any(not 1 <= side <= _MAX_SIDE for side in (*sides, *scaled, *wanted.widths)):
        raise ValueError(f"a side of an image is 1 to {_MAX_SIDE} pixels, also times its dpr")
    if wanted.steps is not None and not all(step.gives_image for step in wanted.steps.steps()):
        raise ValueError("a URL gives an image, and no analysis or tiles")


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
