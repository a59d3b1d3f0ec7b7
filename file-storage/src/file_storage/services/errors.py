"""Domain errors that several modules raise."""

from collections.abc import Sequence

from service_kit.errors import DomainError, FieldError
from service_kit.texts import sentence

from file_storage.models import File

NAMED_IDS = 10
"""Maximum number of ids listed in an error."""


def file_not_found(file_id: int) -> DomainError:
    """Return the error for a file id that does not exist."""
    return DomainError("file-not-found", sentence("There is no file {file_id}.", file_id=file_id))


def files_not_found(file_ids: Sequence[int], pointer: str) -> DomainError:
    """Return the error for several file ids that do not exist.

    :param pointer: JSON pointer to the ids in the request.
    """
    listed = ", ".join(map(str, file_ids[:NAMED_IDS]))
    errors = [
        FieldError(pointer=pointer, detail=sentence("There is no file {file_id}.", file_id=file_id))
        for file_id in file_ids[:NAMED_IDS]
    ]
    detail = sentence("There is no file {listed}; leave out ids that do not exist.", listed=listed)
    return DomainError("file-not-found", detail, errors, context={"file_id": file_ids[0]})


def archive_empty() -> DomainError:
    """Return the error for an archive without files."""
    return DomainError("archive-empty", sentence("The archive would have no files."))


def bytes_lost(file: File) -> DomainError:
    """Return the error for a file whose bytes are missing or incomplete in the store."""
    detail = sentence(
        "The bytes of file {file_id} are lost; upload the same bytes again to restore them.", file_id=file.id
    )
    return DomainError("bytes-lost", detail)
