"""Stores files without a request, for file-storage's own tests."""

import svcs
from file_storage.models import File
from file_storage.services.names import FileName
from file_storage.services.storing import NO_DETAILS, Details, NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL, UNLIMITED, Limits, Principal

NAME = FileName("a", ".bin")


def unlimited(owner: str) -> Limits:
    """Return the limits of an owner who has none."""
    return UNLIMITED


def stored(
    services: svcs.Container,
    content: bytes,
    key: str | None = None,
    principal: Principal = LOCAL,
    *,
    name: FileName = NAME,
    comment: str = "",
    details: Details = NO_DETAILS,
) -> File:
    """Store a file.

    :param key: the upload's Idempotency-Key.
    :param principal: the owner of the file.
    """
    with services.get(Staging).stage() as staged:
        staged.write(content)
        return services.get(StoringService).store(principal, NewFile(staged, name, comment, key, details))
