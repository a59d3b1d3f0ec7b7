"""Builds ZIP archives of files while they are sent."""

import re
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from itertools import accumulate

from zipstream import ZipStream

from file_storage.models import File
from file_storage.services.errors import bytes_lost
from file_storage.services.names import shown
from file_storage.storage import READ_BYTES

_DRIVE = re.compile(r"^([A-Za-z]):")
"""A path on another drive for a Windows program that unpacks the archive."""


def zip_of(files: Sequence[File], open_file: Callable[[File], BufferedReader]) -> ZipStream:
    """Return an archive that yields its bytes once and has its length in bytes as ``len()``.

    Nothing is compressed: most images already are, and the length is known in advance. Files are in their folders.
    Duplicate names get a number, as does a file with the name of a folder.

    :param open_file: opens a file's bytes; called when the archive reaches the file.
    """
    archive = ZipStream(sized=True)
    folders = {path.casefold() for file in files for path in accumulate(_folder(file), "{}/{}".format)}
    last_numbers = dict.fromkeys(folders, 1)
    for file in files:
        archive.add(_content(file, open_file), _unique_name(file, last_numbers), size=file.size)
    return archive


def _content(file: File, open_file: Callable[[File], BufferedReader]) -> Iterator[bytes]:
    """Yield exactly ``file.size`` bytes, because the archive's length depends on it.

    :raises DomainError: ``bytes-lost`` during iteration if the blob was truncated after it was opened.
    """
    remaining = file.size
    with open_file(file) as content:
        while remaining:
            data = content.read(min(READ_BYTES, remaining))
            if not data:
                raise bytes_lost(file)
            remaining -= len(data)
            yield data


def _unique_name(file: File, last_numbers: dict[str, int]) -> str:
    """Return a name that no other file has, and record it.

    :param last_numbers: for each used name, the last number that was tried. To count from the beginning for each file
        takes quadratic time if many files have the same name.
    """
    wanted = _path(file, file.name)
    first = wanted.casefold()
    name, number = wanted, last_numbers.get(first, 1)
    while name.casefold() in last_numbers:
        number += 1
        name = _path(file, f"{file.name} ({number})")
    last_numbers[first] = number
    last_numbers.setdefault(name.casefold(), 1)
    return name


def _path(file: File, name: str) -> str:
    folder = "".join(f"{part}/" for part in _folder(file))
    return _DRIVE.sub(r"\1_", folder + shown(name + file.extension))


def _folder(file: File) -> Sequence[str]:
    """Return the folder's parts, without those that would lead elsewhere when the archive is unpacked."""
    return [part for part in file.folder.split("/") if part.strip(". ")]
