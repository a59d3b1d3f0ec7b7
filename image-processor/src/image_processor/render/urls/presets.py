"""Finds presets for images by URL, in the settings or at the API, and remembers them for some seconds."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import httpx2
from service_kit.access.gate import OWNER_HEADER
from service_kit.access.principals import LOCAL_OWNER

from image_processor.render.config import RenderPresetSettings
from image_processor.render.failures import presets_unavailable

GONE_SECONDS = 1.0
"""How long to remember that a preset does not exist."""
_MAX_REMEMBERED = 10_000
_NAME = re.compile(r"(?!\.{1,2}$)[\w.-]{1,64}")
"""Other names belong to no preset, and some, such as ``..``, would change the path of the request."""


@dataclass(frozen=True)
class FoundPreset:
    """A preset.

    :param params: the params of a pipeline.
    :param for_everybody: whether it comes from the settings, so that everyone may use the files that it names.
    :param until: the monotonic time from which it is looked up again.
    """

    params: Mapping[str, object]
    for_everybody: bool
    until: float = field(default=0, compare=False)


@dataclass
class _CachedPreset:
    until: float
    asked: "asyncio.Task[FoundPreset | None]"


class RenderPresets:
    """Finds presets.

    :param configured: the presets of the settings, which take precedence.
    :param settings: how to reach the API, which stores the presets of owners; ``None`` if owners have no presets.
    :param inner_secret: the secret that authenticates the render service to the API.
    :param seconds: how long a preset is remembered.
    """

    def __init__(
        self,
        configured: Mapping[str, Mapping[str, object]],
        settings: RenderPresetSettings | None = None,
        inner_secret: str | None = None,
        seconds: float = 0,
    ) -> None:
        self._configured = configured
        self._seconds = seconds
        self._remembered: dict[tuple[str, str], _CachedPreset] = {}
        self._http = None
        if settings is not None and inner_secret is not None:
            self._http = httpx2.AsyncClient(
                base_url=settings.url.rstrip("/"),
                headers={"Authorization": f"Bearer {inner_secret}"},
                timeout=settings.timeout_seconds,
                trust_env=False,
            )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def find(self, name: str, owner: str = LOCAL_OWNER, *, fresh: bool = False) -> FoundPreset | None:
        """Return a preset of the settings, or else of the owner; ``None`` if it does not exist.

        :param fresh: whether to ask the API even if the preset is remembered.
        :raises DomainError: ``presets-unavailable``.
        """
        if name in self._configured:
            return FoundPreset(self._configured[name], for_everybody=True, until=time.monotonic() + self._seconds)
        if self._http is None or not _NAME.fullmatch(name):
            return None
        known = self._remembered.get((owner, name))
        if known is None or fresh or known.until <= time.monotonic():
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            # Concurrent calls for the same preset share one request.
            asked = asyncio.create_task(_ask(self._http, owner, name))
            asked.add_done_callback(_look_at_error)
            known = self._remembered[owner, name] = _CachedPreset(time.monotonic() + self._seconds, asked)
        try:
            found = await asyncio.shield(known.asked)
        except Exception:
            self._forget(owner, name, known)
            raise
        if found is None:
            known.until = min(known.until, time.monotonic() + GONE_SECONDS)
            return None
        return replace(found, until=known.until)

    def _forget(self, owner: str, name: str, known: _CachedPreset) -> None:
        if self._remembered.get((owner, name)) is known:
            del self._remembered[owner, name]


def _look_at_error(asked: "asyncio.Task[FoundPreset | None]") -> None:
    # Mark the error as retrieved: the callers may have been cancelled.
    if not asked.cancelled():
        asked.exception()


async def _ask(http: httpx2.AsyncClient, owner: str, name: str) -> FoundPreset | None:
    try:
        response = await http.get(f"/presets/{quote(name, safe='')}", headers={OWNER_HEADER: owner})
    except httpx2.HTTPError as error:
        raise presets_unavailable() from error
    if response.status_code == 404:
        return None
    if response.status_code != 200:
        raise presets_unavailable()
    preset = response.json()
    return FoundPreset(preset["params"], for_everybody=preset["read_only"])
