"""Parses the sources that URLs name."""

import re

from service_kit.texts import sentence

from image_processor.render.plans.plan import ColorSource, DigestSource, FileSource, OriginSource, PlanSource
from image_processor.render.problems import bad_url

_OURS = re.compile(r"(?:(?:pixmill|local)://)?/*(.*)", re.DOTALL)
_FILE = re.compile(r"([1-9][0-9]{0,18})(?:\.[A-Za-z0-9]{1,10}|/[^/]*)?")
_DIGEST = re.compile(r"([0-9a-f]{64})(?:\.[A-Za-z0-9]{1,10}|/[^/]*)?")
_ORIGIN = re.compile(r"https?://[^\s/]+(?:/.*)?", re.DOTALL)
_ON_HOST = re.compile(r"(?:[\w-]+\.)+[\w-]+(?::[0-9]{1,5})?/\S.*", re.DOTALL)
"""A URL without its scheme. The slash distinguishes a host from the name of a file."""


def source_of(text: str, scheme: str | None = None) -> PlanSource:
    """Return the source: ``42``, ``42.jpg``, ``42/any-name.jpg``, ``pixmill:///42``, a SHA-256, or a URL.

    :param scheme: the scheme of a URL that has none; ``None`` to refuse such a URL.
    :raises DomainError: ``bad-render-url``.
    """
    if _ORIGIN.fullmatch(text):
        return OriginSource(text)
    rest = _OURS.fullmatch(text)
    name = rest[1] if rest else text
    if digest := _DIGEST.fullmatch(name):
        return DigestSource(digest[1])
    # The file server would refuse a lookup with a larger id, and with it those of all other files in the batch.
    if (file := _FILE.fullmatch(name)) and int(file[1]) < _BEYOND_FILES:
        return FileSource(int(file[1]))
    if scheme is not None and _ON_HOST.fullmatch(text):
        return OriginSource(f"{scheme}://{text}")
    raise bad_url(sentence("'{text}' is neither the id of a file nor an http or https URL.", text=text[:200]))


class FileIds:
    """Assigns ids by which steps name the plan's other files: the file's own id, or a large one for other sources."""

    def __init__(self) -> None:
        self._ids: dict[PlanSource, int] = {}

    def add(self, source: PlanSource) -> int:
        """Return the id by which a step names the source."""
        if isinstance(source, ColorSource):
            raise bad_url(sentence("A color is not an image to put on another."))
        if isinstance(source, FileSource):
            return self._ids.setdefault(source, source.file_id)
        return self._ids.setdefault(source, _BEYOND_FILES + len(self._ids))

    def all(self) -> tuple[tuple[int, PlanSource], ...]:
        """Return the ids with their sources."""
        return tuple((number, source) for source, number in self._ids.items())


_BEYOND_FILES = 2**62
"""The first of the ids that no stored file has."""
