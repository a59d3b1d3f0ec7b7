"""Domain errors that several modules raise."""

from service_kit.errors import DomainError
from service_kit.texts import sentence

from file_storage.models import File


def file_not_found(file_id: int) -> DomainError:
    """Return the error for an id that no file has."""
    return DomainError("file-not-found", sentence("There is no file {file_id}.", file_id=file_id))


def bytes_lost(file: File) -> DomainError:
    """Return the error for a file whose bytes are missing or incomplete in the store."""
    detail = sentence(
        "The bytes of file {file_id} are lost; an upload of the same bytes brings them back.", file_id=file.id
    )
    return DomainError("bytes-lost", detail)
