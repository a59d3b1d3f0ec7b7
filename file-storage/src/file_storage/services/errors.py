"""Domain errors that several modules raise."""

from service_kit.errors import DomainError

from file_storage.models import File


def file_not_found(file_id: int) -> DomainError:
    """Return the error for an id that no file has."""
    return DomainError("file-not-found", f"There is no file {file_id}.")


def bytes_lost(file: File) -> DomainError:
    """Return the error for a file whose bytes are missing or incomplete in the store."""
    detail = f"The bytes of file {file.id} are lost; an upload of the same bytes brings them back."
    return DomainError("bytes-lost", detail)
