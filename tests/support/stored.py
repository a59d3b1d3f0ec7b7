"""Stores files without a request, for file-storage's own tests."""

import svcs
from file_storage.models import File
from file_storage.services.names import FileName
from file_storage.services.storing import StoringService
from file_storage.storage import Staging


def stored(services: svcs.Container, content: bytes, key: str | None = None) -> File:
    """Store a file.

    :param key: the upload's Idempotency-Key.
    """
    with services.get(Staging).stage() as staged:
        staged.write(content)
        return services.get(StoringService).store(staged, FileName("a", ".bin"), "", key)
