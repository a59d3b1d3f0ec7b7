"""ZIP archives of files, made while they are sent."""

from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader

from zipstream import ZipStream

from file_storage.models import File
from file_storage.services.errors import bytes_lost

CHUNK = 256 * 1024


def zip_of(files: Sequence[File], opened: Callable[[File], BufferedReader]) -> ZipStream:
    """The archive of the files: iterable once, in pieces, and with its length in bytes as ``len()``.

    Nothing is compressed: images are already, and so the length is known before. Equal names are told apart by a
    number.

    :param opened: gives a file's bytes; called when their turn comes.
    """
    archive = ZipStream(sized=True)
    taken: set[str] = set()
    for file in files:
        archive.add(_content(file, opened), _free_name(file, taken), size=file.size)
    return archive


def _content(file: File, opened: Callable[[File], BufferedReader]) -> Iterator[bytes]:
    """Give exactly as many bytes as the archive's length counts with.

    :raises DomainError: ``bytes-lost`` on the way, the blob was cut after it was opened.
    """
    left = file.size
    with opened(file) as content:
        while left:
            data = content.read(min(CHUNK, left))
            if not data:
                raise bytes_lost(file)
            left -= len(data)
            yield data


def _free_name(file: File, taken: set[str]) -> str:
    name, number = file.name + file.extension, 1
    while name.casefold() in taken:
        number += 1
        name = f"{file.name} ({number}){file.extension}"
    taken.add(name.casefold())
    return name
