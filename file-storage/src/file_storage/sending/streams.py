"""Response bodies that are generated while they are sent."""

from collections.abc import Iterable, Iterator

import structlog
from service_kit.errors import DomainError

log = structlog.get_logger()


def until_broken(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces until one cannot be read; log the reason.

    The status has already been sent. The client knows the length and detects that the rest is missing.
    """
    try:
        yield from pieces
    except (OSError, DomainError) as error:
        log.error("response broken off", reason=str(error))
