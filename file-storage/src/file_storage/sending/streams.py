"""Bodies that are made while they are sent."""

from collections.abc import Iterable, Iterator

import structlog
from service_kit.problems import Problem

from file_storage.storage import StorageUnavailableError

log = structlog.get_logger()


def until_broken(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, as far as they can be read.

    The status has been sent when one cannot: the log has why, and the client, which knows the length, misses the rest.
    """
    try:
        yield from pieces
    except (OSError, StorageUnavailableError, Problem) as error:
        log.error("response broken off", reason=str(error))
