"""Asks the file server whether a guest may see a file of a link for a set of files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
from service_kit.access.gate import SHARED_COOKIE
from starlette.requests import cookie_parser

from image_processor.render.config import RenderFileSettings
from image_processor.render.failures import storage_unavailable

_PASSED_ON = ("Content-Type", "Content-Language", "Retry-After", "Vary", "WWW-Authenticate")
_TICKET = re.compile(r"[A-Za-z0-9._-]{1,500}")
"""The form of what the file server gives; anything else could be another cookie."""


@dataclass(frozen=True)
class LinkRefusal:
    """The file server's answer to a guest who may not see the file."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class SharedLinks:
    """Asks for a byte of the file with what the guest sent, so that a link has one set of rules and one limit."""

    def __init__(self, settings: RenderFileSettings) -> None:
        # Without a secret: the file server treats these requests as the guest's.
        self._http = httpx2.AsyncClient(
            base_url=settings.url.rstrip("/"), timeout=settings.timeout_seconds, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def refusal(self, token: str, file_id: int, headers: Mapping[str, str]) -> LinkRefusal | None:
        """Return why the guest may not see the file; ``None`` if the link is open.

        :param headers: those of the guest's request, in a mapping that ignores the case of names.
        :raises DomainError: ``file-storage-unavailable``.
        """
        path = f"/shared/{quote(token, safe='')}/{file_id}"
        try:
            async with self._http.stream("GET", path, headers=_of_the_guest(headers)) as response:
                # 416: the file is empty.
                if response.is_success or response.status_code == 416:
                    return None
                if response.status_code >= 500:
                    raise storage_unavailable()
                passed_on = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
                return LinkRefusal(response.status_code, passed_on, await response.aread())
        except httpx2.HTTPError as error:
            raise storage_unavailable() from error


def _of_the_guest(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return the headers of the question: nothing of a key or session, and a challenge for which no browser asks.

    The values are the bytes that the guest sent: httpx would encode text as ASCII.
    """
    asked = {"Accept": "application/json", "Range": "bytes=0-0"}
    asked |= {name: headers[name] for name in ("Host", "Accept-Language") if name in headers}
    authorization = headers.get("Authorization", "")
    if authorization.lower().startswith("basic "):
        asked["Authorization"] = authorization
    # The standard library's parser returns no cookie at all if one of them is unusual.
    ticket = cookie_parser(headers.get("Cookie", "")).get(SHARED_COOKIE, "")
    if _TICKET.fullmatch(ticket):
        asked["Cookie"] = f"{SHARED_COOKIE}={ticket}"
    return {name.encode(): value.encode("latin-1") for name, value in asked.items()}
